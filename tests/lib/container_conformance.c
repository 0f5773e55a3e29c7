#include "tests/lib/container_conformance.h"

#include "common/buffer.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/memory.h"
#include "tests/lib/container_init.h"
#include "tests/lib/container_isolation.h"
#include "tests/lib/container_limits.h"
#include "tests/lib/container_options.h"
#include "tests/lib/container_rig.h"
#include "tests/lib/container_swaps.h"
#include "tests/lib/seccomp_oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum
{
  PATIENCE_MS = 30000,
};

/* ---- tests ------------------------------------------------------------------------------ */

static void
exit_codes_and_output_come_back (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  rig_shell (&job, "echo out; echo err >&2; cat; exit 7");
  auto_result struct result result;
  rig_run (rig, &job, &result);
  rig_assert_ran (&result, 7);
  assert_string_equal (result.out.data, "out\n");
  assert_string_equal (result.log.data, "err\n");
  assert_int_equal (result.exit.signal, 0);
  assert_false (result.exit.oom);
}

static void
a_command_killed_by_a_signal_says_so (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  rig_shell (&job, "sh -c 'kill -9 $$'; exit $?");
  auto_result struct result result;
  rig_run (rig, &job, &result);
  rig_assert_ran (&result, 137);
}

static void
variables_come_from_job_and_caller (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  rig_shell (&job, "echo \"$FROM_SHOAL $FROM_JOB\"");
  strlist_add (&job.env, "FROM_JOB=a b");
  auto_result struct result result;
  rig_run (rig, &job, &result);
  rig_assert_ran (&result, 0);
  assert_string_equal (result.out.data, "yes a b\n");
}

static void
mounts_are_where_and_as_they_should_be (void **state)
{
  struct rig *rig = *state;
  auto_free char *in = rig_folder (rig, "in");
  auto_free char *out = rig_folder (rig, "out");
  auto_free char *file = xasprintf ("%s/a", in);
  assert_int_equal (fs_write_file (AT_FDCWD, file, (struct bytes){ "text", 4 }, NULL), 0);
  const struct rig_mount mounts[] = { { in, "/shoal-in", false },
                                      { out, "/shoal-out/deep", true } };
  auto_job struct job job;
  rig_shell (&job, "cat /shoal-in/a > /shoal-out/deep/b; echo x > /shoal-in/a; "
                   "touch /shoal-in/c; ls /shoal-in; exit 0");
  auto_result struct result result;
  rig_run_signalled (rig, &job, mounts, 2, NULL, 0, &result);
  rig_assert_ran (&result, 0);
  assert_string_equal (result.out.data, "a\n");
  auto_buffer struct buffer text = { 0 };
  auto_free char *copy = xasprintf ("%s/b", out);
  assert_int_equal (fs_read_file (AT_FDCWD, copy, 100, &text, NULL), 0);
  assert_string_equal (text.data, "text");
  buffer_clear (&text);
  assert_int_equal (fs_read_file (AT_FDCWD, file, 100, &text, NULL), 0);
  assert_string_equal (text.data, "text");
}

static void
hundreds_of_mounts_work (void **state)
{
  enum
  {
    MANY = 300
  };
  struct rig *rig = *state;
  auto_free char *base = rig_folder (rig, "many");
  struct rig_mount mounts[1 + MANY] = { { base, "/shoal-many", false } };
  for (int i = 0; i < MANY; i++)
    {
      auto_free char *point = xasprintf ("many/%d", i);
      free (rig_folder (rig, point));
      auto_free char *name = xasprintf ("sources/%d", i);
      mounts[1 + i] =
          (struct rig_mount){ rig_folder (rig, name), xasprintf ("/shoal-many/%d", i), false };
    }
  auto_job struct job job;
  rig_shell (&job, "ls /shoal-many | wc -l");
  auto_result struct result result;
  rig_run_signalled (rig, &job, mounts, 1 + MANY, NULL, 0, &result);
  for (int i = 1; i <= MANY; i++)
    {
      free ((char *) (uintptr_t) mounts[i].source);
      free ((char *) (uintptr_t) mounts[i].target);
    }
  rig_assert_ran (&result, 0);
  assert_int_equal (strtol (result.out.data, NULL, 10), MANY);
}

static void
a_missing_program_is_the_users_error (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  job_init (&job);
  job.id = xstrdup ("job");
  job.image = xstrdup ("busybox");
  strlist_add (&job.command, "no-such-program");
  auto_result struct result result;
  rig_run (rig, &job, &result);
  assert_int_equal (result.outcome, -1);
  assert_int_equal (result.err.class, ERROR_USER);
  assert_non_null (strstr (result.err.message, "no-such-program"));
}

static void
sigterm_reaches_the_command (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  rig_shell (&job, "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done");
  static const int signals[] = { SIGTERM };
  auto_result struct result result;
  rig_run_signalled (rig, &job, NULL, 0, signals, 1, &result);
  rig_assert_ran (&result, 3);
}

static void
sigkill_ends_what_ignores_sigterm (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  rig_shell (&job, "trap '' TERM; echo ready; while :; do sleep 0.05; done");
  static const int signals[] = { SIGTERM, SIGKILL };
  auto_result struct result result;
  rig_run_signalled (rig, &job, NULL, 0, signals, 2, &result);
  rig_assert_ran (&result, 137);
  assert_int_equal (result.exit.signal, SIGKILL);
}

/* Whether any process has TEXT in its command line. */
static bool
somebody_runs (const char *text)
{
  auto_dir DIR *dir = opendir ("/proc");
  bool found = false;
  for (const struct dirent *entry = readdir (dir); entry != NULL && !found; entry = readdir (dir))
    {
      auto_free char *path = xasprintf ("/proc/%s/cmdline", entry->d_name);
      auto_buffer struct buffer line = { 0 };
      if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9'
          && fs_read_file (AT_FDCWD, path, 1 << 20, &line, NULL) == 0 && line.size > 0)
        found = memmem (line.data, line.size, text, strlen (text)) != NULL;
    }
  return found;
}

static void
children_that_outlive_the_command_are_ended (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  /* Other suites may run at the same time. */
  auto_free char *mark = xasprintf ("9876%d.25", (int) getpid ());
  auto_free char *script = xasprintf ("sleep %s & echo ready; exit 0", mark);
  rig_shell (&job, script);
  auto_result struct result result;
  rig_run (rig, &job, &result);
  rig_assert_ran (&result, 0);
  int64_t end = clock_boot_ms () + PATIENCE_MS;
  while (somebody_runs (mark) && clock_boot_ms () < end)
    (void) poll (NULL, 0, 5);
  assert_false (somebody_runs (mark));
}

/* ---- only with images ------------------------------------------------------------------- */

static void
the_container_sees_its_image_alone (void **state)
{
  struct rig *rig = *state;
  if (!rig_is_oci (rig))
    return;
  auto_job struct job job;
  rig_shell (
      &job,
      "ls /; [ $$ != 1 ] && hostname; grep -c : /proc/net/dev; echo x > /etc/mine; cat /etc/mine");
  auto_result struct result result;
  rig_run (rig, &job, &result);
  rig_assert_ran (&result, 0);
  assert_string_equal (result.out.data, "bin\ndev\netc\nproc\nsys\ntmp\nshard\n1\nx\n");

  auto_job struct job again;
  rig_shell (&again, "cat /etc/mine");
  auto_result struct result second;
  rig_run (rig, &again, &second);
  rig_assert_ran (&second, 1);
}

static void
a_read_only_root_is (void **state)
{
  struct rig *rig = *state;
  if (!rig_is_oci (rig))
    return;
  auto_job struct job job;
  rig_shell (&job, "echo x > /mine || echo refused; echo y > /scratch/y && cat /scratch/y");
  job.read_only = true;
  strlist_add (&job.tmpfs, "/scratch:size=1m");
  auto_result struct result result;
  rig_run (rig, &job, &result);
  rig_assert_ran (&result, 0);
  assert_string_equal (result.out.data, "refused\ny\n");
}

static void
user_folder_and_entrypoint_follow_docker (void **state)
{
  struct rig *rig = *state;
  if (!rig_is_oci (rig))
    return;
  auto_job struct job job;
  job_init (&job);
  job.id = xstrdup ("job");
  job.image = xstrdup ("busybox");
  job.has_entrypoint = true;
  strlist_add (&job.entrypoint, "sh");
  strlist_add (&job.command, "-c");
  strlist_add (&job.command, "id -u; id -g; pwd; grep -E 'NoNewPrivs|CapEff' /proc/self/status");
  job.user = xstrdup (geteuid () == 0 ? "1234:4321" : "0:0");
  job.workdir = xstrdup ("/made/for/this");
  auto_result struct result result;
  rig_run (rig, &job, &result);
  rig_assert_ran (&result, 0);
  const char *expected = geteuid () == 0 ? "1234\n4321\n/made/for/this\nCapEff:\t0000000000000000\n"
                                           "NoNewPrivs:\t1\n"
                                         : "0\n0\n/made/for/this\n";
  assert_memory_equal (result.out.data, expected, strlen (expected));
}

static void
the_network_is_none_or_the_hosts (void **state)
{
  struct rig *rig = *state;
  if (!rig_is_oci (rig) || geteuid () != 0)
    return;
  struct stat status;
  assert_int_equal (stat ("/proc/self/ns/net", &status), 0);
  auto_job struct job job;
  rig_shell (&job, "readlink /proc/self/ns/net");
  auto_result struct result none;
  rig_run (rig, &job, &none);
  rig_assert_ran (&none, 0);
  job.network = NETWORK_HOST;
  auto_result struct result host;
  rig_run (rig, &job, &host);
  rig_assert_ran (&host, 0);
  auto_free char *ours = xasprintf ("net:[%llu]\n", (unsigned long long) status.st_ino);
  assert_string_equal (host.out.data, ours);
  assert_string_not_equal (none.out.data, ours);
}

static void
dangerous_calls_are_refused (void **state)
{
  struct rig *rig = *state;
  if (!rig_is_oci (rig))
    return;
  auto_job struct job job;
  rig_shell (&job, "mount -t tmpfs none /tmp && echo mounted; unshare -U true && echo unshared; "
                   "echo 1 > /proc/sys/kernel/domainname && echo written; exit 0");
  auto_result struct result result;
  rig_run (rig, &job, &result);
  rig_assert_ran (&result, 0);
  assert_string_equal (result.out.data, "");
}

/* Runs PROGRAM, one of tests/probe/, in a container. */
static void
probe (struct rig *rig, const char *program, struct result *result)
{
  const struct rig_mount mount = { .source = rig->subject->probes, .target = "/probe" };
  auto_free char *command = xasprintf ("exec /probe/%s", program);
  auto_job struct job job;
  rig_shell (&job, command);
  rig_run_signalled (rig, &job, &mount, 1, NULL, 0, result);
  rig_assert_ran (result, 0);
}

static void
processes_have_a_limit_though_none_was_asked_for (void **state)
{
  struct rig *rig = *state;
  if (!rig_is_oci (rig))
    return;
  bool is_runc_as_root = strcmp (rig->subject->oci_program, "runc") == 0 && geteuid () == 0;
  if (strstr (container_runtime_describe (rig->runtime), "no limits") != NULL && !is_runc_as_root)
    {
      print_message ("SKIPPED: this runtime has no cgroup here\n");
      return;
    }
  auto_result struct result result;
  probe (rig, "probe_isolation processes 3000", &result);
  /* A few are reckoned for the slot and the runtime, which may be fewer. */
  assert_in_range (strtol (result.out.data, NULL, 10), 2000, 2048 + 4);
}

static void
system_calls_are_judged_as_docker_does (void **state)
{
  struct rig *rig = *state;
  if (!rig_is_oci (rig))
    return;
  struct seccomp_oracle *oracle = seccomp_oracle_new (".");
  auto_result struct result result;
  probe (rig, "probe_system_calls", &result);
  seccomp_oracle_check (oracle, result.out.data, strcmp (rig->subject->oci_program, "runc") == 0);
  seccomp_oracle_free (oracle);
}

static void
a_debugger_reads_its_own_processes (void **state)
{
  struct rig *rig = *state;
  auto_result struct result result;
  probe (rig, "probe_isolation trace", &result);
  assert_string_equal (result.out.data, "ptrace 2\nprocess_vm_readv 2\nprocess_vm_writev 3\n");
}

static void
programs_of_32_bits_run (void **state)
{
#ifdef PROBE_I386
  struct rig *rig = *state;
  if (!rig_is_oci (rig))
    return;
  auto_result struct result result;
  probe (rig, "probe_i386", &result);
  assert_string_equal (result.out.data, "runs\nsocket\nno socketcall\n");
#else
  (void) state; /* only x86_64 has such programs' compiler at hand */
#endif
}

static void
an_unknown_image_says_how_to_import_it (void **state)
{
  struct rig *rig = *state;
  if (!rig_is_oci (rig))
    return;
  auto_job struct job job;
  rig_shell (&job, "true");
  free (job.image);
  job.image = xstrdup ("no-such-image");
  auto_result struct result result;
  rig_run (rig, &job, &result);
  assert_int_equal (result.outcome, -1);
  assert_int_equal (result.err.class, ERROR_TRANSIENT); /* another machine may have it */
  assert_non_null (strstr (result.err.message, "shoal image import"));
}

static void
an_image_for_another_machine_is_left_to_others (void **state)
{
  struct rig *rig = *state;
  if (!rig_is_oci (rig))
    return;
  auto_job struct job job;
  rig_shell (&job, "true");
  job.platform = xstrdup ("linux/riscv64");
  auto_result struct result result;
  rig_run (rig, &job, &result);
  assert_int_equal (result.outcome, -1);
  assert_int_equal (result.err.class, ERROR_TRANSIENT);
  assert_non_null (strstr (result.err.message, "not for --platform linux/riscv64"));
}

/* ---- the suite -------------------------------------------------------------------------- */

int
container_conformance_run (const struct container_conformance *subject)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (exit_codes_and_output_come_back),
    cmocka_unit_test (a_command_killed_by_a_signal_says_so),
    cmocka_unit_test (variables_come_from_job_and_caller),
    cmocka_unit_test (mounts_are_where_and_as_they_should_be),
    cmocka_unit_test (hundreds_of_mounts_work),
    cmocka_unit_test (a_missing_program_is_the_users_error),
    cmocka_unit_test (sigterm_reaches_the_command),
    cmocka_unit_test (sigkill_ends_what_ignores_sigterm),
    cmocka_unit_test (children_that_outlive_the_command_are_ended),
    cmocka_unit_test (the_container_sees_its_image_alone),
    cmocka_unit_test (a_read_only_root_is),
    cmocka_unit_test (user_folder_and_entrypoint_follow_docker),
    cmocka_unit_test (the_network_is_none_or_the_hosts),
    cmocka_unit_test (dangerous_calls_are_refused),
    cmocka_unit_test (processes_have_a_limit_though_none_was_asked_for),
    cmocka_unit_test (system_calls_are_judged_as_docker_does),
    cmocka_unit_test (a_debugger_reads_its_own_processes),
    cmocka_unit_test (programs_of_32_bits_run),
    cmocka_unit_test (an_unknown_image_says_how_to_import_it),
    cmocka_unit_test (an_image_for_another_machine_is_left_to_others),
  };
  const char *only = getenv ("SHOAL_SUITE");
  if (only != NULL && strcmp (only, "limits") == 0)
    return container_limits_run (subject);
  rig_use (subject);
  const char *name = subject->oci_program != NULL ? subject->oci_program : subject->runtime;
  int failed = cmocka_run_group_tests_name (name, tests, rig_set_up, rig_tear_down);
  return failed + container_init_run (subject) + container_limits_run (subject)
         + container_options_run (subject) + container_isolation_run (subject)
         + container_swaps_run (subject);
}

int
container_conformance_run_pod (const struct container_conformance *subject)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (exit_codes_and_output_come_back),
    cmocka_unit_test (a_command_killed_by_a_signal_says_so),
    cmocka_unit_test (variables_come_from_job_and_caller),
    cmocka_unit_test (mounts_are_where_and_as_they_should_be),
    cmocka_unit_test (a_missing_program_is_the_users_error),
    cmocka_unit_test (sigterm_reaches_the_command),
    cmocka_unit_test (sigkill_ends_what_ignores_sigterm),
    cmocka_unit_test (children_that_outlive_the_command_are_ended),
  };
  rig_use (subject);
  return cmocka_run_group_tests_name ("pod", tests, rig_set_up, rig_tear_down);
}
