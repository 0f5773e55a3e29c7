#include "tests/lib/file_tree.h"

#include "common/fs.h"
#include "common/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

struct file_tree *
file_tree_new (void)
{
  struct file_tree *tree = xcalloc (1, sizeof *tree);
  tree->folder = xstrdup ("/tmp/shoal-tree-XXXXXX");
  assert_non_null (mkdtemp (tree->folder));
  tree->fd = fs_open_folder (AT_FDCWD, tree->folder, NULL);
  assert_true (tree->fd >= 0);
  return tree;
}

void
file_tree_free (struct file_tree *tree)
{
  if (tree == NULL)
    return;
  (void) close (tree->fd);
  assert_int_equal (fs_remove_tree (AT_FDCWD, tree->folder, NULL), 0);
  free (tree->folder);
  free (tree);
}

/* Makes the folders above PATH. */
static void
make_parents (struct file_tree *tree, const char *path)
{
  const char *slash = strrchr (path, '/');
  if (slash == NULL)
    return;
  auto_free char *parent = xstrndup (path, (size_t) (slash - path));
  file_tree_make_folder (tree, parent);
}

void
file_tree_put (struct file_tree *tree, const char *path, size_t size)
{
  make_parents (tree, path);
  auto_fd int fd = openat (tree->fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  assert_true (fd >= 0);
  assert_int_equal (ftruncate (fd, (off_t) size), 0);
}

void
file_tree_make_folder (struct file_tree *tree, const char *path)
{
  assert_int_equal (fs_make_folders (tree->fd, path, 0755, NULL), 0);
}

void
file_tree_link (struct file_tree *tree, const char *target, const char *path)
{
  make_parents (tree, path);
  assert_int_equal (symlinkat (target, tree->fd, path), 0);
}

char *
file_tree_path (const struct file_tree *tree, const char *path)
{
  return xasprintf ("%s/%s", tree->folder, path);
}

void
file_tree_expect_empty (const struct file_tree *tree)
{
  int fd = openat (tree->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  auto_dir DIR *dir = fdopendir (fd);
  for (const struct dirent *entry = readdir (dir); entry != NULL; entry = readdir (dir))
    if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0)
      fail_msg ("'%s' is there", entry->d_name);
}
