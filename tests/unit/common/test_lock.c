/* A lock's holder is found while other processes take and leave locks by the hundred. */
#include "common/auto.h"
#include "common/lock.h"
#include "tests/lib/file_tree.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum
{
  OTHERS = 300,
  LOOKS = 2000,
};

/* Takes and leaves locks on files of its own until it is killed. */
static _Noreturn void
others_lock (int folder_fd)
{
  int fds[OTHERS];
  (void) prctl (PR_SET_PDEATHSIG, SIGKILL);
  for (int i = 0; i < OTHERS; i++)
    {
      char name[16];
      (void) snprintf (name, sizeof name, "other%d", i);
      fds[i] = lock_open (folder_fd, name, NULL);
      (void) flock (fds[i], LOCK_EX);
    }
  for (unsigned int i = 0;; i = (i + 7) % OTHERS)
    {
      (void) flock (fds[i], LOCK_UN);
      (void) flock (fds[i], LOCK_EX);
    }
}

static void
a_holder_is_found_among_many_locks (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_fd int folder = open (tree->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  pid_t others = fork ();
  if (others == 0)
    others_lock (folder);
  auto_fd int fd = lock_open (folder, "ours", NULL);
  assert_int_equal (lock_holder (folder, "ours"), 0);
  assert_int_equal (flock (fd, LOCK_EX), 0);
  while (lock_holder (folder, "other299") == 0)
    usleep (1000);
  int missed = 0;
  for (int i = 0; i < LOOKS; i++)
    missed += lock_holder (folder, "ours") != getpid ();
  (void) kill (others, SIGKILL);
  assert_int_equal (waitpid (others, NULL, 0), others);
  assert_int_equal (missed, 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (a_holder_is_found_among_many_locks),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
