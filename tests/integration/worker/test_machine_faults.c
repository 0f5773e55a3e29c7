/* Containers that don't start because of this machine: its image store, its scratch folder, its
 * descriptors, its runtime. That is never the user's failure, so that another machine runs the
 * shard; what the image or the job asks for in vain is. With real containers, by crun. */
#include "common/clock.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/spawn.h"
#include "common/strlist.h"
#include "tests/lib/file_tree.h"
#include "worker/container.h"
#include "worker/image_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum
{
  PATIENCE_MS = 30000,
};

/* ---- scenery ---------------------------------------------------------------------------- */

struct scene
{
  struct file_tree *tree;
  char *store;
  int scratch;
  struct container_runtime *runtime;
  struct job job;
  struct container container;
  struct error err;
  struct container_exit exit;
};

static char *layout;
static pid_t runner; /* cmocka's process: a child that fails a test goes on in its list */

static int
make_layout (void **state)
{
  (void) state;
  const char *folder = getenv ("SHOAL_TEST_CACHE");
  folder = folder != NULL ? folder : "/var/tmp/shoal-test-images";
  auto_strlist struct strlist argv = { 0 };
  auto_buffer struct buffer out = { 0 };
  const char *const words[] = { "bash", "lib/images.sh", folder, "busybox" };
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    strlist_add (&argv, words[i]);
  layout = xasprintf ("%s/busybox", folder);
  return spawn_run ((char *const *) strlist_argv (&argv), &out, NULL);
}

static int
forget_layout (void **state)
{
  (void) state;
  free (layout);
  return 0;
}

static void
set_command (struct scene *scene, const char *script)
{
  struct job *job = &scene->job;
  job_init (job);
  job->id = xstrdup ("job");
  job->image = xstrdup ("busybox");
  strlist_add (&job->command, "sh");
  strlist_add (&job->command, "-c");
  strlist_add (&job->command, script);
  scene->container = (struct container){ .id = "shoal-test-fault",
                                         .job = job,
                                         .image = job->image,
                                         .command = &job->command,
                                         .scratch_fd = scene->scratch,
                                         .stdout_fd = STDERR_FILENO,
                                         .stderr_fd = STDERR_FILENO };
}

/* In a child, which becomes a slot by opening a runtime. */
static void
begin (struct scene *scene, const char *script)
{
  *scene = (struct scene){ .tree = file_tree_new (), .err = ERROR_INIT };
  scene->store = file_tree_path (scene->tree, "store");
  file_tree_make_folder (scene->tree, "scratch");
  scene->scratch = fs_open_folder (scene->tree->fd, "scratch", NULL);
  assert_int_equal (image_store_import (scene->store, layout, "busybox",
                                        &(const struct image_access){ 0 }, &scene->err),
                    0);
  set_command (scene, script);
  auto_free char *slot = xasprintf ("%d-faults", (int) getpid ());
  const struct container_runtime_options options = { .images = scene->store,
                                                     .oci_program = "crun",
                                                     .slot_name = slot };
  scene->runtime = container_runtime_open ("oci", &options, &scene->err);
  if (scene->runtime == NULL)
    fail_msg ("%s", scene->err.message);
}

/* Runs it to its end: 0, or -1 and ERR. */
static int
run (struct scene *scene)
{
  int ended = container_prepare (scene->runtime, &scene->container, &scene->err) != 0
                  ? -1
                  : container_start (scene->runtime, &scene->container, &scene->err);
  if (ended < 0)
    return -1;
  struct pollfd fd = { .fd = ended, .events = POLLIN };
  assert_int_equal (poll (&fd, 1, PATIENCE_MS), 1);
  return container_wait (scene->runtime, &scene->exit, &scene->err);
}

static void
expect_failure (struct scene *scene, enum error_class class)
{
  if (run (scene) == 0)
    fail_msg ("it ran, exit code %d", (int) scene->exit.exit_code);
  if (scene->err.class != class)
    fail_msg ("%s: %s", error_class_name (scene->err.class), scene->err.message);
}

static void
end (struct scene *scene)
{
  container_runtime_close (scene->runtime);
  job_release (&scene->job);
  free (scene->store);
  (void) close (scene->scratch);
  file_tree_free (scene->tree);
}

/* The path of the image's folder, or of NAME in it. */
static char *
image_path (const struct scene *scene, const char *name)
{
  auto_image struct image image = { 0 };
  assert_int_equal (image_store_find (scene->store, "busybox", &image, NULL), 0);
  return xasprintf ("%.*s%s", (int) (strlen (image.rootfs) - strlen ("rootfs")), image.rootfs,
                    name);
}

/* ---- the machine's ---------------------------------------------------------------------- */

static void
with_an_image_that_vanished (void)
{
  struct scene scene;
  begin (&scene, "true");
  assert_int_equal (container_prepare (scene.runtime, &scene.container, &scene.err), 0);
  auto_free char *rootfs = image_path (&scene, "rootfs");
  auto_free char *aside = image_path (&scene, "aside");
  assert_int_equal (rename (rootfs, aside), 0);
  expect_failure (&scene, ERROR_TRANSIENT);
  assert_int_equal (rename (aside, rootfs), 0);
  if (run (&scene) != 0)
    fail_msg ("%s", scene.err.message);
  end (&scene);
}

static void
with_a_configuration_that_vanished (void)
{
  struct scene scene;
  begin (&scene, "true");
  auto_free char *config = image_path (&scene, "config.json");
  assert_int_equal (unlink (config), 0);
  expect_failure (&scene, ERROR_TRANSIENT);
  end (&scene);
}

static void
with_a_damaged_store (void)
{
  struct scene scene;
  begin (&scene, "true");
  assert_int_equal (fs_write_file (scene.tree->fd, "store/refs/busybox:latest",
                                   (struct bytes){ "noise\n", 6 }, NULL),
                    0);
  expect_failure (&scene, ERROR_TRANSIENT);
  end (&scene);
}

static void
with_a_scratch_folder_that_is_a_file (void)
{
  struct scene scene;
  begin (&scene, "true");
  file_tree_put (scene.tree, "scratch/upper", 1);
  expect_failure (&scene, ERROR_TRANSIENT);
  end (&scene);
}

static void
without_descriptors (void)
{
  struct scene scene;
  begin (&scene, "true");
  assert_int_equal (container_prepare (scene.runtime, &scene.container, &scene.err), 0);
  struct rlimit before;
  assert_int_equal (getrlimit (RLIMIT_NOFILE, &before), 0);
  int next = dup (0);
  assert_true (next >= 0 && close (next) == 0);
  for (int spare = 0; spare < 8; spare++)
    {
      const struct rlimit few = { .rlim_cur = (rlim_t) (next + spare),
                                  .rlim_max = before.rlim_max };
      assert_int_equal (setrlimit (RLIMIT_NOFILE, &few), 0);
      int result = run (&scene);
      assert_int_equal (setrlimit (RLIMIT_NOFILE, &before), 0);
      if (result != 0 && scene.err.class != ERROR_TRANSIENT)
        fail_msg ("%d more: %s: %s", spare, error_class_name (scene.err.class), scene.err.message);
      assert_int_equal (fs_remove_tree (scene.scratch, "upper", NULL), 0);
      assert_int_equal (fs_remove_tree (scene.scratch, "work", NULL), 0);
    }
  end (&scene);
}

/* The only child of this process. */
static pid_t
find_child (void)
{
  auto_dir DIR *dir = opendir ("/proc");
  for (const struct dirent *entry = readdir (dir); entry != NULL; entry = readdir (dir))
    {
      auto_free char *path = xasprintf ("/proc/%s/stat", entry->d_name);
      auto_buffer struct buffer text = { 0 };
      if (entry->d_name[0] < '0' || entry->d_name[0] > '9'
          || fs_read_file (AT_FDCWD, path, 1 << 12, &text, NULL) != 0 || text.size == 0)
        continue;
      const char *rest = strrchr (text.data, ')');
      if (rest != NULL && strtol (rest + 4, NULL, 10) == getpid ())
        return (pid_t) atoi (entry->d_name);
    }
  return -1;
}

static void
with_a_runtime_that_is_killed (void)
{
  struct scene scene;
  begin (&scene, "sleep 60");
  assert_int_equal (container_prepare (scene.runtime, &scene.container, &scene.err), 0);
  int ended = container_start (scene.runtime, &scene.container, &scene.err);
  assert_true (ended >= 0);
  assert_int_equal (kill (find_child (), SIGKILL), 0);
  struct pollfd fd = { .fd = ended, .events = POLLIN };
  assert_int_equal (poll (&fd, 1, PATIENCE_MS), 1);
  assert_int_equal (container_wait (scene.runtime, &scene.exit, &scene.err), -1);
  assert_int_equal (scene.err.class, ERROR_TRANSIENT);
  assert_non_null (strstr (scene.err.message, "killed by signal 9"));
  end (&scene);
}

/* ---- the user's ------------------------------------------------------------------------- */

static void
for_a_program_that_is_not_there (void)
{
  struct scene scene;
  begin (&scene, "true");
  free (scene.job.command.items[0]);
  scene.job.command.items[0] = xstrdup ("no-such-program");
  expect_failure (&scene, ERROR_USER);
  end (&scene);
}

static void
for_a_folder_that_is_a_file (void)
{
  struct scene scene;
  begin (&scene, "true");
  scene.job.workdir = xstrdup ("/bin/busybox");
  expect_failure (&scene, ERROR_USER);
  end (&scene);
}

static void
for_a_user_that_is_not_there (void)
{
  struct scene scene;
  begin (&scene, "true");
  scene.job.user = xstrdup ("nobody-by-this-name");
  expect_failure (&scene, ERROR_USER);
  end (&scene);
}

/* ---- running ---------------------------------------------------------------------------- */

typedef void (*scenario) (void);

static void
in_a_child (scenario play)
{
  if (getpid () != runner)
    _exit (1);
  (void) fflush (NULL);
  pid_t pid = fork ();
  if (pid == 0)
    {
      play ();
      exit (0);
    }
  int status = 0;
  assert_int_equal (waitpid (pid, &status, 0), pid);
  assert_int_equal (status, 0);
}

#define SCENARIO(name)                                                                             \
  static void test_##name (void **state)                                                           \
  {                                                                                                \
    (void) state;                                                                                  \
    in_a_child (name);                                                                             \
  }

SCENARIO (with_an_image_that_vanished)
SCENARIO (with_a_configuration_that_vanished)
SCENARIO (with_a_damaged_store)
SCENARIO (with_a_scratch_folder_that_is_a_file)
SCENARIO (without_descriptors)
SCENARIO (with_a_runtime_that_is_killed)
SCENARIO (for_a_program_that_is_not_there)
SCENARIO (for_a_folder_that_is_a_file)
SCENARIO (for_a_user_that_is_not_there)

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_with_an_image_that_vanished),
    cmocka_unit_test (test_with_a_configuration_that_vanished),
    cmocka_unit_test (test_with_a_damaged_store),
    cmocka_unit_test (test_with_a_scratch_folder_that_is_a_file),
    cmocka_unit_test (test_without_descriptors),
    cmocka_unit_test (test_with_a_runtime_that_is_killed),
    cmocka_unit_test (test_for_a_program_that_is_not_there),
    cmocka_unit_test (test_for_a_folder_that_is_a_file),
    cmocka_unit_test (test_for_a_user_that_is_not_there),
  };
  runner = getpid ();
  return cmocka_run_group_tests (tests, make_layout, forget_layout);
}
