/* Files and folders: nothing leaves its folder, nothing is left half written. */
#include "common/auto.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/sys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

struct scene
{
  char *folder;
  int fd;
};

static int
set_up (void **state)
{
  struct scene *scene = xcalloc (1, sizeof *scene);
  scene->folder = xstrdup ("/tmp/shoal-fs-XXXXXX");
  assert_non_null (mkdtemp (scene->folder));
  scene->fd = open (scene->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  *state = scene;
  return 0;
}

static int
tear_down (void **state)
{
  struct scene *scene = *state;
  for (int call = 0; call < SYS_CALLS; call++)
    sys_fail ((enum sys_call) call, 0, 0);
  (void) close (scene->fd);
  assert_int_equal (fs_remove_tree (AT_FDCWD, scene->folder, NULL), 0);
  free (scene->folder);
  free (scene);
  return 0;
}

static void
put (int fd, const char *path, const char *text)
{
  assert_int_equal (fs_write_file (fd, path, (struct bytes){ text, strlen (text) }, NULL), 0);
}

static void
nothing_is_opened_outside (void **state)
{
  const struct scene *scene = *state;
  assert_int_equal (fs_make_folders (scene->fd, "in/deep", 0755, NULL), 0);
  put (scene->fd, "secret", "s");
  auto_fd int in = fs_open_folder (scene->fd, "in", NULL);
  assert_int_equal (symlinkat ("../secret", in, "up"), 0);
  assert_int_equal (symlinkat ("/etc", in, "etc"), 0);
  assert_int_equal (symlinkat ("deep", in, "side"), 0);
  static const char *const bad[] = { "../secret",  "/etc/passwd",       "up",
                                     "etc/passwd", "deep/../../secret", "side/x" };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    {
      struct error err = ERROR_INIT;
      assert_int_equal (fs_open_beneath (in, bad[i], O_RDONLY, 0, &err), -1);
      assert_true (error_is_set (&err));
    }
  assert_int_equal (fs_make_folders (in, "../out", 0755, NULL), -1);
  assert_int_equal (fs_make_folders (in, "etc/shoal", 0755, NULL), -1);
  assert_false (fs_exists (scene->fd, "out"));
}

static void
trees_are_removed_without_following_links (void **state)
{
  const struct scene *scene = *state;
  assert_int_equal (fs_make_folders (scene->fd, "keep", 0755, NULL), 0);
  put (scene->fd, "keep/file", "k");
  assert_int_equal (fs_make_folders (scene->fd, "gone/a/b", 0755, NULL), 0);
  assert_int_equal (symlinkat ("../keep", scene->fd, "gone/link"), 0);
  put (scene->fd, "gone/a/b/new\nline", "x");
  assert_int_equal (fchmodat (scene->fd, "gone/a/b", 0, 0), 0);
  assert_int_equal (fs_remove_tree (scene->fd, "gone", NULL), 0);
  assert_false (fs_exists (scene->fd, "gone"));
  assert_true (fs_exists (scene->fd, "keep/file"));
  assert_int_equal (fs_remove_tree (scene->fd, "never-was", NULL), 0);
}

static void
a_failed_write_leaves_the_old_file (void **state)
{
  const struct scene *scene = *state;
  put (scene->fd, "file", "old");
  static const enum sys_call calls[] = { SYS_WRITE, SYS_FSYNC, SYS_RENAME };
  for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
    {
      sys_fail (calls[i], 1, ENOSPC);
      struct error err = ERROR_INIT;
      assert_int_equal (fs_write_file (scene->fd, "file", (struct bytes){ "new", 3 }, &err), -1);
      assert_int_equal (err.code, ENOSPC);
      assert_int_equal (err.class, ERROR_TRANSIENT);
      auto_buffer struct buffer content = { 0 };
      assert_int_equal (fs_read_file (scene->fd, "file", 100, &content, NULL), 0);
      assert_string_equal (content.data, "old");
    }
  auto_free char *temporary = xasprintf ("file.%d.tmp", (int) getpid ());
  assert_false (fs_exists (scene->fd, temporary));
}

static void
reading_is_bounded (void **state)
{
  const struct scene *scene = *state;
  put (scene->fd, "file", "0123456789");
  auto_buffer struct buffer content = { 0 };
  struct error err = ERROR_INIT;
  assert_int_equal (fs_read_file (scene->fd, "file", 9, &content, &err), -1);
  assert_int_equal (err.class, ERROR_USER);
  buffer_clear (&content);
  assert_int_equal (fs_read_file (scene->fd, "file", 10, &content, NULL), 0);
  assert_int_equal (content.size, 10);
}

static void
an_empty_file_reads_as_an_empty_string (void **state)
{
  const struct scene *scene = *state;
  put (scene->fd, "file", "");
  auto_buffer struct buffer content = { 0 };
  assert_int_equal (fs_read_file (scene->fd, "file", 9, &content, NULL), 0);
  assert_int_equal (content.size, 0);
  assert_string_equal (content.data, "");
}

/* A link that is refused (another file system, too many links …) becomes a copy with the same
 * bytes, mode and time. */
static void
where_links_do_not_go_files_are_copied (void **state)
{
  const struct scene *scene = *state;
  put (scene->fd, "old", "content");
  assert_int_equal (fchmodat (scene->fd, "old", 0640, 0), 0);
  const struct timespec times[2] = { { .tv_sec = 1000 }, { .tv_sec = 2000 } };
  assert_int_equal (utimensat (scene->fd, "old", times, 0), 0);
  sys_fail (SYS_LINK, 1, EXDEV);
  assert_int_equal (fs_link_or_copy (scene->fd, "old", scene->fd, "new", NULL), 0);
  struct stat status;
  assert_int_equal (fstatat (scene->fd, "new", &status, 0), 0);
  assert_int_equal (status.st_nlink, 1);
  assert_int_equal (status.st_mode & 07777, 0640);
  assert_int_equal (status.st_mtim.tv_sec, 2000);
  auto_buffer struct buffer content = { 0 };
  assert_int_equal (fs_read_file (scene->fd, "new", 100, &content, NULL), 0);
  assert_string_equal (content.data, "content");

  struct error err = ERROR_INIT;
  assert_int_equal (fs_link_or_copy (scene->fd, "old", scene->fd, "new", &err), -1);
  assert_int_equal (err.code, EEXIST);

  assert_int_equal (symlinkat ("/nowhere", scene->fd, "link"), 0);
  sys_fail (SYS_LINK, 1, EXDEV);
  assert_int_equal (fs_link_or_copy (scene->fd, "link", scene->fd, "link2", NULL), 0);
  char target[32] = "";
  assert_int_equal (readlinkat (scene->fd, "link2", target, sizeof target), 8);
  assert_string_equal (target, "/nowhere");
}

/* Nobody writes to it: whoever opened it as a file would wait for ever. */
static void
a_fifo_is_not_copied (void **state)
{
  const struct scene *scene = *state;
  struct error err = ERROR_INIT;
  assert_int_equal (mkfifoat (scene->fd, "old", 0600), 0);
  sys_fail (SYS_LINK, 1, EXDEV);
  assert_int_equal (fs_link_or_copy (scene->fd, "old", scene->fd, "new", &err), -1);
  assert_int_equal (err.class, ERROR_USER);
  assert_string_equal (err.message, "old: neither a file nor a folder");
  assert_false (fs_exists (scene->fd, "new"));
}

static void
a_copy_has_no_set_id_bits (void **state)
{
  const struct scene *scene = *state;
  struct stat status;
  put (scene->fd, "old", "content");
  assert_int_equal (fchmodat (scene->fd, "old", 06755, 0), 0);
  sys_fail (SYS_LINK, 1, EXDEV);
  assert_int_equal (fs_link_or_copy (scene->fd, "old", scene->fd, "new", NULL), 0);
  assert_int_equal (fstatat (scene->fd, "new", &status, 0), 0);
  assert_int_equal (status.st_mode & 07777, 0755);
}

static void
a_copy_has_the_same_holes (void **state)
{
  const struct scene *scene = *state;
  struct stat status;
  auto_fd int old = openat (scene->fd, "old", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  auto_fd int new = openat (scene->fd, "new", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  const off_t far = (off_t) 1 << 40;
  assert_int_equal (pwrite (old, "begin", 5, 0), 5);
  assert_int_equal (pwrite (old, "end", 3, far), 3);
  assert_int_equal (ftruncate (old, 2 * far), 0);
  assert_true (fs_copy (old, new, NULL, NULL) == 2 * far);
  assert_int_equal (fstat (new, &status), 0);
  assert_true (status.st_size == 2 * far);
  assert_true (status.st_blocks * 512 < 1 << 20);
  char text[8] = "";
  assert_int_equal (pread (new, text, 5, 0), 5);
  assert_string_equal (text, "begin");
  memset (text, 0, sizeof text);
  assert_int_equal (pread (new, text, 4, far), 4);
  assert_string_equal (text, "end");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (nothing_is_opened_outside, set_up, tear_down),
    cmocka_unit_test_setup_teardown (trees_are_removed_without_following_links, set_up, tear_down),
    cmocka_unit_test_setup_teardown (a_failed_write_leaves_the_old_file, set_up, tear_down),
    cmocka_unit_test_setup_teardown (reading_is_bounded, set_up, tear_down),
    cmocka_unit_test_setup_teardown (an_empty_file_reads_as_an_empty_string, set_up, tear_down),
    cmocka_unit_test_setup_teardown (where_links_do_not_go_files_are_copied, set_up, tear_down),
    cmocka_unit_test_setup_teardown (a_fifo_is_not_copied, set_up, tear_down),
    cmocka_unit_test_setup_teardown (a_copy_has_no_set_id_bits, set_up, tear_down),
    cmocka_unit_test_setup_teardown (a_copy_has_the_same_holes, set_up, tear_down),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
