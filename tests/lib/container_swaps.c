#include "tests/lib/container_swaps.h"

#include "common/fs.h"
#include "common/memory.h"
#include "tests/lib/container_rig.h"
#include "tests/lib/race.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum
{
  ROUNDS = 100, /* of each runtime */
};

/* What is exchanged with NAME.other: a folder, for a link to where the secret is or for another
 * folder that has it. */
static const char *const swapped[] = { "link", "folder", NULL };

static const char *const inputs[] = { "link/in", "folder/in", "link/in/file", "folder/in/file" };

enum
{
  INPUTS = sizeof inputs / sizeof inputs[0],
};

struct scene
{
  struct rig *rig;
  char *path;
  int fd;
  struct outside outside;
  struct race *race;
  unsigned int seed;
};

static void
put (int dirfd, const char *path, const char *text)
{
  assert_int_equal (fs_write_file (dirfd, path, (struct bytes){ text, strlen (text) }, NULL), 0);
}

static void
scene_make (struct scene *scene, struct rig *rig)
{
  *scene = (struct scene){ .rig = rig, .path = rig_folder (rig, "swaps"), .seed = seed_of_test () };
  scene->fd = open (scene->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  outside_make (&scene->outside);
  auto_free char *in = xasprintf ("%s/in", scene->outside.path);
  assert_int_equal (mkdir (in, 0755), 0);
  put (scene->outside.fd, "in/file", OUTSIDE_SECRET);
  assert_int_equal (symlinkat (scene->outside.path, scene->fd, "link.other"), 0);
  static const char *const folders[] = { "link/in", "folder/in", "folder.other/in" };
  for (size_t i = 0; i < 3; i++)
    {
      auto_free char *file = xasprintf ("%s/file", folders[i]);
      assert_int_equal (fs_make_folders (scene->fd, folders[i], 0755, NULL), 0);
      put (scene->fd, file, i == 2 ? OUTSIDE_SECRET : "harmless");
    }
}

static void
scene_release (struct scene *scene)
{
  (void) close (scene->fd);
  assert_int_equal (fs_remove_tree (AT_FDCWD, scene->path, NULL), 0);
  free (scene->path);
  outside_release (&scene->outside);
}

/* Runs a command that prints what it sees of all inputs, with MEANWHILE before it starts. */
static void
run_on_inputs (struct scene *scene, void (*meanwhile) (void *context), struct result *result)
{
  struct rig_mount mounts[INPUTS];
  char *sources[INPUTS];
  static const char *const targets[INPUTS] = { "/shoal-in/0", "/shoal-in/1", "/shoal-in/2",
                                               "/shoal-in/3" };
  for (size_t i = 0; i < INPUTS; i++)
    {
      sources[i] = xasprintf ("%s/%s", scene->path, inputs[i]);
      mounts[i] = (struct rig_mount){ sources[i], targets[i], false };
    }
  auto_job struct job job;
  rig_shell (&job, "cd /shoal-in; cat 0/file 1/file 2 3");
  scene->rig->meanwhile = meanwhile;
  scene->rig->context = scene;
  rig_run_mounted (scene->rig, &job, mounts, INPUTS, result);
  scene->rig->meanwhile = NULL;
  for (size_t i = 0; i < INPUTS; i++)
    free (sources[i]);
}

/* ---- inputs ----------------------------------------------------------------------------- */

static void
swap_link (void *context)
{
  const struct scene *scene = context;
  assert_int_equal (renameat2 (scene->fd, "link", scene->fd, "link.other", RENAME_EXCHANGE), 0);
}

static void
swap_folder (void *context)
{
  const struct scene *scene = context;
  assert_int_equal (renameat2 (scene->fd, "folder", scene->fd, "folder.other", RENAME_EXCHANGE), 0);
}

static void
assert_noticed (const struct result *result, const char *path)
{
  assert_int_equal (result->outcome, -1);
  assert_non_null (strstr (result->err.message, path));
  assert_string_equal (result->out.data, "");
}

static void
an_input_whose_parent_became_another_is_an_error (void **state)
{
  struct scene scene;
  scene_make (&scene, *state);
  auto_result struct result link;
  run_on_inputs (&scene, swap_link, &link);
  assert_noticed (&link, "link/in");
  swap_link (&scene);
  auto_result struct result folder;
  run_on_inputs (&scene, swap_folder, &folder);
  assert_noticed (&folder, "folder/in");
  assert_non_null (strstr (folder.err.message, "another one was put there"));
  swap_folder (&scene);
  auto_result struct result back;
  run_on_inputs (&scene, NULL, &back);
  rig_assert_ran (&back, 0);
  assert_string_equal (back.out.data, "harmlessharmlessharmlessharmless");
  scene_release (&scene);
}

static void
start_race (void *context)
{
  struct scene *scene = context;
  scene->race = race_start (scene->fd, swapped, scene->seed++);
}

/* As it was, after an odd number of swaps too. */
static void
swap_back (const struct scene *scene)
{
  struct stat status;
  char text[16] = "";
  assert_int_equal (fstatat (scene->fd, "link", &status, AT_SYMLINK_NOFOLLOW), 0);
  if (S_ISLNK (status.st_mode))
    swap_link ((void *) (uintptr_t) scene);
  auto_fd int fd = openat (scene->fd, "folder/in/file", O_RDONLY | O_CLOEXEC);
  assert_true (read (fd, text, sizeof text) > 0);
  if (strncmp (text, "harmless", 8) != 0)
    swap_folder ((void *) (uintptr_t) scene);
}

static void
inputs_that_are_swapped_all_the_time_show_nothing_else (void **state)
{
  struct scene scene;
  scene_make (&scene, *state);
  long swaps = 0;
  int ran = 0;
  int rounds = race_rounds (ROUNDS);
  for (int i = 0; i < rounds; i++)
    {
      auto_result struct result result;
      run_on_inputs (&scene, start_race, &result);
      swaps += race_stop (scene.race);
      swap_back (&scene);
      if (strstr (result.out.data, OUTSIDE_SECRET) != NULL)
        fail_msg ("round %d: what was put there meanwhile is seen", i);
      if (result.outcome == 0)
        {
          ran++;
          rig_assert_ran (&result, 0);
          assert_string_equal (result.out.data, "harmlessharmlessharmlessharmless");
        }
    }
  printf ("%d rounds, %ld swaps, %d ran\n", rounds, swaps, ran);
  assert_true (swaps > 0);
  scene_release (&scene);
}

/* ---- the scratch folder ----------------------------------------------------------------- */

/* Another folder in the place of all that this run writes, with what a runtime might read there. */
static void
swap_scratch (void *context)
{
  const struct scene *scene = context;
  auto_free char *scratch = xasprintf ("%s/run%d", scene->rig->folder, scene->rig->runs - 1);
  auto_free char *aside = xasprintf ("%s/aside", scene->rig->folder);
  auto_free char *other = xasprintf ("%s/other", scene->rig->folder);
  auto_free char *bundle = xasprintf ("%s/other/config.json", scene->rig->folder);
  assert_int_equal (mkdir (other, 0755), 0);
  put (AT_FDCWD, bundle, "{}");
  assert_int_equal (rename (scratch, aside), 0);
  assert_int_equal (symlink (other, scratch), 0);
}

static int
count_entries (const char *path)
{
  int count = 0;
  auto_dir DIR *dir = opendir (path);
  assert_non_null (dir);
  while (readdir (dir) != NULL)
    count++;
  return count - 2; /* "." and ".." */
}

static void
a_scratch_folder_is_used_wherever_it_is_now (void **state)
{
  struct scene scene;
  scene_make (&scene, *state);
  auto_free char *aside = xasprintf ("%s/aside", scene.rig->folder);
  auto_free char *other = xasprintf ("%s/other", scene.rig->folder);
  auto_free char *bundle = xasprintf ("%s/other/config.json", scene.rig->folder);
  auto_job struct job job;
  rig_shell (&job, "echo fine");
  scene.rig->meanwhile = swap_scratch;
  scene.rig->context = &scene;
  auto_result struct result result;
  rig_run (scene.rig, &job, &result);
  scene.rig->meanwhile = NULL;
  auto_buffer struct buffer text = { 0 };
  int entries = count_entries (other);
  assert_int_equal (fs_read_file (AT_FDCWD, bundle, 100, &text, NULL), 0);
  assert_int_equal (fs_remove_tree (AT_FDCWD, aside, NULL), 0);
  assert_int_equal (fs_remove_tree (AT_FDCWD, other, NULL), 0);
  assert_int_equal (entries, 1);
  assert_string_equal (text.data, "{}");
  rig_assert_ran (&result, 0);
  assert_string_equal (result.out.data, "fine\n");
  scene_release (&scene);
}

/* ---- the suite -------------------------------------------------------------------------- */

int
container_swaps_run (const struct container_conformance *subject)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (an_input_whose_parent_became_another_is_an_error),
    cmocka_unit_test (inputs_that_are_swapped_all_the_time_show_nothing_else),
    cmocka_unit_test (a_scratch_folder_is_used_wherever_it_is_now),
  };
  rig_use (subject);
  auto_free char *name = xasprintf ("swaps: %s", subject->oci_program != NULL ? subject->oci_program
                                                                              : subject->runtime);
  return cmocka_run_group_tests_name (name, tests, rig_set_up, rig_tear_down);
}
