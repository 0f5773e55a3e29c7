/* What is shared between runs isn't shared with other users: folders of ours, new ones and those of
 * older versions. */
#include "common/closed.h"

#include "common/auto.h"
#include "common/memory.h"
#include "result/result_store.h"
#include "storage/cache.h"
#include "tests/lib/file_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void
expect_mode (const char *path, mode_t expected)
{
  struct stat status;
  assert_int_equal (stat (path, &status), 0);
  if ((status.st_mode & 07777) != expected)
    fail_msg ("%s has mode %04o, not %04o", path, status.st_mode & 07777, expected);
}

static bool
is_known (const char *name)
{
  return strcmp (name, "known") == 0;
}

static void
a_folder_is_made_closed_whatever_the_umask (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_free char *path = file_tree_path (tree, "a/b");
  auto_free char *above = file_tree_path (tree, "a");
  mode_t before = umask (0);
  assert_int_equal (closed_make (path, NULL), 0);
  (void) umask (before);
  expect_mode (path, 0700);
  expect_mode (above, 0755);
  assert_int_equal (closed_make (path, NULL), 0);
}

static void
an_open_folder_is_closed_when_all_in_it_is_ours (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_free char *path = file_tree_path (tree, "a");
  file_tree_put (tree, "a/known", 1);
  assert_int_equal (chmod (path, 0755), 0);
  file_tree_put (tree, "a/stranger", 1);
  closed_tighten (path, is_known);
  expect_mode (path, 0755);
  assert_int_equal (unlinkat (tree->fd, "a/stranger", 0), 0);
  closed_tighten (path, is_known);
  expect_mode (path, 0700);
}

static void
the_cache_is_closed (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_free char *folder = file_tree_path (tree, "cache");
  assert_int_equal (setenv ("SHOAL_CACHE_DIR", folder, 1), 0);
  for (int i = 0; i < 2; i++)
    {
      struct cache *cache = cache_open ();
      assert_non_null (cache);
      cache_close (cache);
      expect_mode (folder, 0700);
      assert_int_equal (chmod (folder, 0755), 0); /* as an older version made it */
    }
  assert_int_equal (unsetenv ("SHOAL_CACHE_DIR"), 0);
}

static void
the_state_of_results_elsewhere_is_closed (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_free char *folder = file_tree_path (tree, "results");
  assert_int_equal (setenv ("SHOAL_STATE_DIR", tree->folder, 1), 0);
  auto_free char *mirror = result_store_mirror ("s3://bucket/result", NULL);
  assert_non_null (mirror);
  expect_mode (folder, 0700);
  assert_int_equal (mkdir (mirror, 0755), 0);
  auto_free char *again = result_store_mirror ("s3://bucket/result", NULL);
  expect_mode (mirror, 0700);
  assert_int_equal (unsetenv ("SHOAL_STATE_DIR"), 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (a_folder_is_made_closed_whatever_the_umask),
    cmocka_unit_test (an_open_folder_is_closed_when_all_in_it_is_ours),
    cmocka_unit_test (the_cache_is_closed),
    cmocka_unit_test (the_state_of_results_elsewhere_is_closed),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
