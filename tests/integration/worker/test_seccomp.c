/* The filter of system calls as this machine's kernel takes it: all of them, and 32-bit
 * programs. */
#include "worker/seccomp.h"

#include "common/buffer.h"
#include "common/memory.h"
#include "tests/lib/seccomp_oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

/* In a child: PROGRAM under the filter. */
static void
run_filtered (const char *program, int out)
{
  struct utsname name;
  struct sock_filter steps[SECCOMP_PROGRAM_MAX];
  if (uname (&name) != 0 || seccomp_machine (name.machine) == NULL)
    _exit (120);
  struct sock_fprog filter = {
    (unsigned short) seccomp_assemble (seccomp_machine (name.machine), steps), steps
  };
  if (dup2 (out, STDOUT_FILENO) < 0 || prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
      || syscall (SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0)
    _exit (121);
  (void) execl (program, program, NULL);
  _exit (122);
}

static void
output_of (const char *program, struct buffer *out)
{
  int ends[2];
  assert_int_equal (pipe (ends), 0);
  pid_t pid = fork ();
  assert_true (pid >= 0);
  if (pid == 0)
    run_filtered (program, ends[1]);
  (void) close (ends[1]);
  char piece[4096];
  for (ssize_t got = read (ends[0], piece, sizeof piece); got > 0;
       got = read (ends[0], piece, sizeof piece))
    buffer_append (out, piece, (size_t) got);
  buffer_puts (out, "");
  (void) close (ends[0]);
  int status;
  assert_int_equal (waitpid (pid, &status, 0), pid);
  assert_int_equal (status, 0);
}

static void
this_kernel_judges_the_same (void **state)
{
  (void) state;
  auto_buffer struct buffer out = { 0 };
  struct seccomp_oracle *oracle = seccomp_oracle_new (".");
  output_of (PROBE_SYSTEM_CALLS, &out);
  seccomp_oracle_check (oracle, out.data, false);
  seccomp_oracle_free (oracle);
}

#ifdef PROBE_I386
static void
a_32_bit_program_runs (void **state)
{
  (void) state;
  auto_buffer struct buffer out = { 0 };
  output_of (PROBE_I386, &out);
  assert_string_equal (out.data, "runs\nsocket\nno socketcall\n");
}
#endif

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (this_kernel_judges_the_same),
#ifdef PROBE_I386
    cmocka_unit_test (a_32_bit_program_runs),
#endif
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
