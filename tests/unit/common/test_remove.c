/* Removing trees that somebody made to be hard to remove. */
#include "common/auto.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* LEVELS folders in one another below AT, a file and a second folder in each. */
static void
dig (int top, int levels)
{
  int at = dup (top);
  for (int i = 0; i < levels; i++)
    {
      assert_int_equal (mkdirat (at, "d", 0755), 0);
      assert_int_equal (mkdirat (at, ".shoal-removed-0", 0755), 0);
      int below = openat (at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      int file = openat (below, "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
      assert_true (file >= 0);
      (void) close (file);
      (void) close (at);
      at = below;
    }
  (void) close (at);
}

static void
test_deeper_than_there_are_descriptors (void **state)
{
  (void) state;
  char root[] = "/tmp/shoal-remove-XXXXXX";
  assert_non_null (mkdtemp (root));
  struct rlimit limit;
  assert_int_equal (getrlimit (RLIMIT_NOFILE, &limit), 0);
  struct rlimit few = { .rlim_cur = 256, .rlim_max = limit.rlim_max };
  auto_fd int top = open (root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  dig (top, 5000);
  assert_int_equal (setrlimit (RLIMIT_NOFILE, &few), 0);
  struct error err = ERROR_INIT;
  if (fs_remove_tree (AT_FDCWD, root, &err) != 0)
    fail_msg ("%s", err.message);
  assert_int_equal (setrlimit (RLIMIT_NOFILE, &limit), 0);
  assert_false (fs_exists (AT_FDCWD, root));
}

/* What is mounted in the tree belongs to somebody else: it stays, and the removal says that it
 * couldn't. */
static int
keeps_what_is_mounted (const char *root, const char *users)
{
  auto_free char *point = xasprintf ("%s/in/users", root);
  if (unshare (CLONE_NEWNS) != 0 || mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0
      || fs_make_path (point, 0755, NULL) != 0 || mount (users, point, NULL, MS_BIND, NULL) != 0)
    return 77;
  bool removed = fs_remove_tree (AT_FDCWD, root, NULL) == 0;
  auto_free char *file = xasprintf ("%s/precious", users);
  return !removed && fs_exists (AT_FDCWD, file) ? 0 : 1;
}

static void
test_mounted_folders_are_not_entered (void **state)
{
  (void) state;
  char root[] = "/tmp/shoal-remove-XXXXXX";
  char users[] = "/tmp/shoal-users-XXXXXX";
  assert_non_null (mkdtemp (root));
  assert_non_null (mkdtemp (users));
  auto_free char *file = xasprintf ("%s/precious", users);
  assert_int_equal (fs_write_file (AT_FDCWD, file, (struct bytes){ "x", 1 }, NULL), 0);
  pid_t pid = fork ();
  if (pid == 0)
    _exit (keeps_what_is_mounted (root, users));
  int status = 0;
  assert_int_equal (waitpid (pid, &status, 0), pid);
  bool kept = fs_exists (AT_FDCWD, file);
  assert_int_equal (fs_remove_tree (AT_FDCWD, users, NULL), 0);
  assert_int_equal (fs_remove_tree (AT_FDCWD, root, NULL), 0);
  if (WIFEXITED (status) && WEXITSTATUS (status) == 77)
    {
      fprintf (stderr, "SKIPPED: nothing can be mounted here\n");
      skip ();
    }
  assert_int_equal (status, 0);
  assert_true (kept);
}

enum
{
  DYING_MS = 30,
};

/* Puts files into FOLDER for DYING_MS, as the processes of a container do that is being killed. */
static void
write_for_a_while (int folder)
{
  int64_t end = clock_boot_ms () + DYING_MS;
  for (int i = 0; i == 0 || clock_boot_ms () < end; i++)
    {
      char name[16];
      (void) snprintf (name, sizeof name, "%d", i);
      auto_fd int file = openat (folder, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    }
  _exit (0);
}

static void
test_a_folder_that_is_still_written_to (void **state)
{
  (void) state;
  char root[] = "/tmp/shoal-remove-XXXXXX";
  assert_non_null (mkdtemp (root));
  auto_fd int top = open (root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (int round = 0; round < 300; round++)
    {
      assert_int_equal (mkdirat (top, "attempt", 0755), 0);
      assert_int_equal (mkdirat (top, "attempt/out", 0755), 0);
      auto_fd int folder = openat (top, "attempt/out", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      pid_t pid = fork ();
      if (pid == 0)
        write_for_a_while (folder);
      while (!fs_exists (folder, "0"))
        (void) poll (NULL, 0, 1);
      scratch_remove (top, "attempt");
      assert_int_equal (waitpid (pid, NULL, 0), pid);
      assert_false (fs_exists (top, "attempt"));
    }
  assert_int_equal (rmdir (root), 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_deeper_than_there_are_descriptors),
    cmocka_unit_test (test_mounted_folders_are_not_entered),
    cmocka_unit_test (test_a_folder_that_is_still_written_to),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
