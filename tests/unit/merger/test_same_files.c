/* Which files of two folders are one: each answer against what stat says, and none that would hide
 * a file of somebody's. */
#include "merger/same_files.h"

#include "common/fs.h"
#include "common/memory.h"
#include "tests/lib/file_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* Whether NAME of OLD is told to be the same in NEW, both in ROOT. */
static bool
is_told (const struct file_tree *root, const char *name)
{
  auto_fd int fd = fs_open_beneath (root->fd, "old", O_RDONLY | O_DIRECTORY, 0, NULL);
  auto_same_files struct same_files same = { 0 };
  same_files_read (&same, fd, root->fd, "new");
  auto_dir DIR *dir = fdopendir (fcntl (fd, F_DUPFD_CLOEXEC, 0));
  for (const struct dirent *entry = readdir (dir); entry != NULL; entry = readdir (dir))
    if (strcmp (entry->d_name, name) == 0)
      return same_files_has (&same, entry);
  fail_msg ("%s isn't there", name);
  return false;
}

static void
only_what_is_one_file_under_one_name_is_told (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *root = file_tree_new ();
  file_tree_make_folder (root, "new");
  static const char *const names[] = { "same", "changed", "gone", "moved" };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    {
      auto_free char *old = xasprintf ("old/%s", names[i]);
      file_tree_put (root, old, 3);
    }
  file_tree_make_folder (root, "old/folder");
  file_tree_make_folder (root, "new/folder");
  file_tree_link (root, "same", "old/link");
  file_tree_link (root, "same", "old/link of its own");
  file_tree_link (root, "same", "new/link of its own");
  file_tree_put (root, "new/changed", 3);
  assert_int_equal (linkat (root->fd, "old/same", root->fd, "new/same", 0), 0);
  assert_int_equal (linkat (root->fd, "old/moved", root->fd, "new/moved elsewhere", 0), 0);
  assert_int_equal (linkat (root->fd, "old/link", root->fd, "new/link", 0), 0);
  assert_true (is_told (root, "same"));
  assert_true (is_told (root, "link"));
  assert_false (is_told (root, "changed"));
  assert_false (is_told (root, "gone"));
  assert_false (is_told (root, "moved"));
  assert_false (is_told (root, "folder"));
  assert_false (is_told (root, "link of its own"));
}

static void
all_of_many_are_told (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *root = file_tree_new ();
  file_tree_make_folder (root, "old");
  file_tree_make_folder (root, "new");
  for (int i = 0; i < 5000; i++)
    {
      auto_free char *old = xasprintf ("old/%d", i);
      auto_free char *new = xasprintf ("new/%d", i);
      file_tree_put (root, old, 0);
      if (i % 100 != 7)
        assert_int_equal (linkat (root->fd, old, root->fd, new, 0), 0);
      else
        file_tree_put (root, new, 0);
    }
  auto_fd int fd = fs_open_beneath (root->fd, "old", O_RDONLY | O_DIRECTORY, 0, NULL);
  auto_same_files struct same_files same = { 0 };
  same_files_read (&same, fd, root->fd, "new");
  auto_dir DIR *dir = fdopendir (fcntl (fd, F_DUPFD_CLOEXEC, 0));
  for (const struct dirent *entry = readdir (dir); entry != NULL; entry = readdir (dir))
    if (entry->d_name[0] != '.')
      assert_int_equal (same_files_has (&same, entry), atoi (entry->d_name) % 100 != 7);
}

/* Then each file is looked at. */
static void
nothing_is_told_without_a_new_folder (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *root = file_tree_new ();
  file_tree_put (root, "old/file", 1);
  assert_false (is_told (root, "file"));
  file_tree_link (root, "old", "new"); /* and none is followed to one */
  assert_false (is_told (root, "file"));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (only_what_is_one_file_under_one_name_is_told),
    cmocka_unit_test (all_of_many_are_told),
    cmocka_unit_test (nothing_is_told_without_a_new_folder),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
