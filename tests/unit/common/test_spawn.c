/* What a child process gets of its parent. */
#include "common/spawn.h"

#include "common/auto.h"
#include "common/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum
{
  LOW = 9,
  HIGH = 200,
};

/* Leaves descriptors open as a shell would: for all that is started. */
static void
leave_open (void)
{
  auto_fd int fd = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  assert_int_equal (dup2 (fd, LOW), LOW);
  assert_int_equal (dup2 (fd, HIGH), HIGH);
}

static void
a_child_has_the_standard_descriptors_alone (void **state)
{
  (void) state;
  leave_open ();
  auto_buffer struct buffer out = { 0 };
  char *const argv[] = { "sh", "-c", "ls /proc/$$/fd; exit 0", NULL };
  struct error err = ERROR_INIT;
  if (spawn_run (argv, &out, &err) != 0)
    fail_msg ("%s", err.message);
  assert_string_equal (out.data, "0\n1\n2\n");
  (void) close (LOW);
  (void) close (HIGH);
}

static void
an_extra_descriptor_is_the_fourth_and_last (void **state)
{
  (void) state;
  leave_open ();
  int ends[2];
  assert_int_equal (pipe2 (ends, O_CLOEXEC), 0);
  struct spawn_options options = SPAWN_DEFAULT;
  options.stdout_fd = ends[1];
  options.extra_fd = LOW;
  char *const argv[] = { "sh", "-c", "ls /proc/$$/fd; exit 0", NULL };
  pid_t pid = spawn (argv, &options, NULL);
  assert_true (pid > 0);
  (void) close (ends[1]);
  int status = 0;
  assert_int_equal (waitpid (pid, &status, 0), pid);
  char said[64] = "";
  assert_true (read (ends[0], said, sizeof said - 1) > 0);
  (void) close (ends[0]);
  assert_string_equal (said, "0\n1\n2\n3\n");
  (void) close (LOW);
  (void) close (HIGH);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (a_child_has_the_standard_descriptors_alone),
    cmocka_unit_test (an_extra_descriptor_is_the_fourth_and_last),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
