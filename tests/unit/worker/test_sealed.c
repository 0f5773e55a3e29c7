/* A program in memory: it runs, nothing can write to it, and only what may be run is taken. */
#include "worker/sealed.h"

#include "common/auto.h"
#include "common/memory.h"
#include "tests/lib/file_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* The exit code of what runs in FD with ARGUMENT. */
static int
run_program (int fd, const char *argument)
{
  char *const argv[] = { (char *) (uintptr_t) "sh", (char *) (uintptr_t) "-c",
                         (char *) (uintptr_t) argument, NULL };
  pid_t pid = fork ();
  if (pid == 0)
    {
      (void) fexecve (fd, argv, environ);
      _exit (127);
    }
  int status = 0;
  assert_int_equal (waitpid (pid, &status, 0), pid);
  assert_true (WIFEXITED (status));
  return WEXITSTATUS (status);
}

static void
a_sealed_program_runs (void **state)
{
  (void) state;
  auto_fd int fd = sealed_program ("sh", NULL);
  assert_true (fd >= 0);
  assert_int_equal (run_program (fd, "exit 42"), 42);
  assert_int_equal (fcntl (fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

/* Not by its descriptor, not by opening it again, not by a mapping, and the seals stay. */
static void
nothing_writes_to_a_sealed_program (void **state)
{
  (void) state;
  auto_fd int fd = sealed_program ("sh", NULL);
  auto_free char *path = xasprintf ("/proc/self/fd/%d", fd);
  auto_fd int again = open (path, O_RDWR | O_CLOEXEC);
  assert_true (again >= 0);
  assert_int_equal (pwrite (again, "x", 1, 0), -1);
  assert_int_equal (errno, EPERM);
  assert_int_equal (pwrite (fd, "x", 1, 0), -1);
  assert_int_equal (ftruncate (again, 0), -1);
  assert_int_equal (ftruncate (again, 1 << 30), -1);
  assert_ptr_equal (mmap (NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0), MAP_FAILED);
  assert_int_equal (fcntl (again, F_ADD_SEALS, 0), -1);
}

static void
what_cannot_be_run_is_passed_over (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  file_tree_make_folder (tree, "folder/sh");
  file_tree_put (tree, "plain/sh", 10);
  file_tree_make_folder (tree, "right");
  auto_free char *link = file_tree_path (tree, "right/sh");
  assert_int_equal (symlink ("/bin/sh", link), 0);
  auto_free char *old = xstrdup (getenv ("PATH"));
  auto_free char *path = xasprintf ("%s/nowhere:%s/folder:%s/plain:%s/right", tree->folder,
                                    tree->folder, tree->folder, tree->folder);
  (void) setenv ("PATH", path, 1);
  auto_fd int fd = sealed_program ("sh", NULL);
  struct error err = ERROR_INIT;
  auto_fd int missing = sealed_program ("no-such-program", &err);
  (void) setenv ("PATH", old, 1);
  assert_int_equal (run_program (fd, "exit 7"), 7);
  assert_int_equal (missing, -1);
  assert_int_equal (err.class, ERROR_USER);
  assert_string_equal (err.message, "no-such-program: not found in PATH");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (a_sealed_program_runs),
    cmocka_unit_test (nothing_writes_to_a_sealed_program),
    cmocka_unit_test (what_cannot_be_run_is_passed_over),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
