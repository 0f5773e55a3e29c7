/* Folders and files of a result that become links while it is published: what the links lead to is
 * neither read nor changed. */
#include "common/fs.h"
#include "common/memory.h"
#include "result/result.h"
#include "tests/lib/race.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum
{
  ROUNDS = 200,
};

#define BUILD ".shoal/build.1"

/* What is exchanged for a link: in the result itself, and in what is published into it. */
static const char *const swapped[] = { "outputs", "stdout", "shards", NULL };

struct scene
{
  char *folder;
  char *place;
  struct outside outside;
};

static void
put (int fd, const char *path)
{
  assert_int_equal (fs_write_file (fd, path, (struct bytes){ "harmless", 8 }, NULL), 0);
}

/* Links beside what will be swapped for them in the folder FD. */
static void
add_links (const struct scene *scene, int fd)
{
  auto_free char *secret = xasprintf ("%s/secret", scene->outside.path);
  assert_int_equal (symlinkat (scene->outside.path, fd, "outputs.other"), 0);
  assert_int_equal (symlinkat (scene->outside.path, fd, "shards.other"), 0);
  assert_int_equal (symlinkat (secret, fd, "stdout.other"), 0);
}

static void
make_build (const struct scene *scene, int fd)
{
  assert_int_equal (fs_make_folders (fd, BUILD "/outputs/folder", 0755, NULL), 0);
  assert_int_equal (fs_make_folders (fd, BUILD "/shards/0", 0755, NULL), 0);
  put (fd, BUILD "/outputs/folder/secret");
  put (fd, BUILD "/shards/0/secret");
  put (fd, BUILD "/stdout");
  put (fd, BUILD "/manifest.json");
  auto_fd int build = openat (fd, BUILD, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  add_links (scene, build);
}

/* What stood there before, to be replaced. */
static void
make_old (const struct scene *scene, int fd)
{
  assert_int_equal (fs_make_folders (fd, "outputs/secret", 0755, NULL), 0);
  assert_int_equal (fs_make_folders (fd, "shards/secret", 0755, NULL), 0);
  put (fd, "stdout");
  add_links (scene, fd);
}

/* Publishes once, with somebody who swaps in the folder IN of the result beside it. */
static long
publish (const struct scene *scene, const char *in, bool complete, unsigned int seed)
{
  assert_int_equal (result_create (scene->place, NULL, NULL), 0);
  auto_fd int fd = result_open (scene->place, NULL);
  assert_true (fd >= 0);
  make_old (scene, fd);
  make_build (scene, fd);
  auto_fd int there = openat (fd, in, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct race *race = race_start (there, swapped, seed);
  struct error err = ERROR_INIT;
  (void) result_publish (scene->place, BUILD, complete, NULL, &err);
  long swaps = race_stop (race);
  outside_expect_untouched (&scene->outside);
  outside_expect_not_in (&scene->outside, fd);
  auto_free char *partial = xasprintf ("%s.partial", scene->place);
  assert_int_equal (fs_remove_tree (AT_FDCWD, partial, NULL), 0);
  assert_int_equal (fs_remove_tree (AT_FDCWD, scene->place, NULL), 0);
  outside_expect_untouched (&scene->outside);
  return swaps;
}

static void
test_publishing (void **state)
{
  (void) state;
  unsigned int seed = seed_of_test ();
  int rounds = race_rounds (ROUNDS);
  long swaps = 0;
  struct scene scene = { .folder = xstrdup ("/tmp/shoal-publishing-XXXXXX") };
  assert_non_null (mkdtemp (scene.folder));
  scene.place = xasprintf ("%s/run", scene.folder);
  outside_make (&scene.outside);
  for (int i = 0; i < rounds; i++)
    swaps += publish (&scene, i % 2 == 0 ? "." : BUILD, i % 4 < 2, seed + (unsigned int) i);
  printf ("%d rounds, %ld swaps\n", rounds, swaps);
  assert_true (swaps > 0);
  outside_release (&scene.outside);
  assert_int_equal (fs_remove_tree (AT_FDCWD, scene.folder, NULL), 0);
  free (scene.folder);
  free (scene.place);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_publishing),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
