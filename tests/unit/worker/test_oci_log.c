/* Whose fault it is that a container didn't start, by what its runtime says: crun 1.8 and runc 1.1
 * as they say it, and what the kernel adds. */
#include "worker/oci_log.h"

#include "common/auto.h"
#include "common/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void
expect_class (const char *message, enum error_class class)
{
  auto_fd int fd = memfd_create ("log", MFD_CLOEXEC);
  auto_free char *line =
      xasprintf ("{\"msg\":\"%s\",\"level\":\"error\",\"time\":\"now\"}\n", message);
  assert_int_equal (write (fd, line, strlen (line)), strlen (line));
  struct error err = ERROR_INIT;
  assert_int_equal (oci_log_check (fd, &err), -1);
  if (err.class != class)
    fail_msg ("%s: %s", message, error_class_name (err.class));
  assert_string_equal (err.message, message);
}

static void
what_the_image_or_the_command_is_to_blame_for (void **state)
{
  (void) state;
  static const char *const messages[] = {
    "executable file `no-such-program` not found in $PATH: No such file or directory",
    "exec: no-such-program: executable file not found in $PATH",
    "chdir to `/nowhere`: No such file or directory",
    "open executable: Permission denied",
    "exec container process `/bin/script`: Exec format error",
  };
  for (size_t i = 0; i < sizeof messages / sizeof *messages; i++)
    expect_class (messages[i], ERROR_USER);
}

static void
what_the_machine_is_to_blame_for (void **state)
{
  (void) state;
  static const char *const messages[] = {
    "mount `proc` to `/proc`: Operation not permitted",
    "mount `/data/in` to `/in`: No such file or directory",
    "open executable: Too many open files",
    "open executable: Too many open files in system",
    "exec container process `/bin/sh`: Cannot allocate memory",
    "exec container process `/bin/sh`: Input/output error",
    "chdir to `/in`: Stale file handle",
    "chdir to `/in`: Input/output error",
    "writing file `exec.fifo`: No space left on device",
    "fork: Resource temporarily unavailable",
    "sethostname: Function not implemented",
  };
  for (size_t i = 0; i < sizeof messages / sizeof *messages; i++)
    expect_class (messages[i], ERROR_TRANSIENT);
}

static void
a_warning_is_no_failure (void **state)
{
  (void) state;
  auto_fd int fd = memfd_create ("log", MFD_CLOEXEC);
  static const char text[] =
      "{\"msg\":\"executable\",\"level\":\"warning\"}\nnot JSON\n{\"level\":\"error\"}\n";
  assert_int_equal (write (fd, text, sizeof text - 1), sizeof text - 1);
  assert_int_equal (oci_log_check (fd, NULL), 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (what_the_image_or_the_command_is_to_blame_for),
    cmocka_unit_test (what_the_machine_is_to_blame_for),
    cmocka_unit_test (a_warning_is_no_failure),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
