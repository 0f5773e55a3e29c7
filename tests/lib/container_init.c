#include "tests/lib/container_init.h"

#include "common/memory.h"
#include "tests/lib/container_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static void
run_script (struct rig *rig, const char *script, bool init, struct result *result)
{
  auto_job struct job job;
  rig_shell (&job, script);
  job.init = init;
  rig_run (rig, &job, result);
}

static void
a_command_can_end_itself_by_a_signal (void **state)
{
  struct rig *rig = *state;
  static const int signals[] = { SIGTERM, SIGABRT, SIGSEGV, SIGHUP, SIGINT, SIGKILL, SIGUSR1 };
  for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
    {
      auto_free char *script = xasprintf ("kill -%d $$; echo survived", signals[i]);
      auto_result struct result result;
      run_script (rig, script, true, &result);
      rig_assert_ran (&result, 128 + signals[i]);
      assert_int_equal (result.exit.signal, signals[i]);
      assert_string_equal (result.out.data, "");
    }
}

static void
without_an_init_the_command_is_process_1 (void **state)
{
  struct rig *rig = *state;
  auto_result struct result result;
  run_script (rig, "kill $$; echo $$; exit 5", false, &result);
  rig_assert_ran (&result, 5);
  assert_string_equal (result.out.data, "1\n");
}

static void
each_exit_code_is_the_commands (void **state)
{
  struct rig *rig = *state;
  static const int codes[] = { 0, 1, 125, 126, 127, 128, 255 };
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
    {
      auto_free char *script = xasprintf ("exit %d", codes[i]);
      auto_result struct result result;
      run_script (rig, script, true, &result);
      rig_assert_ran (&result, codes[i]);
      assert_int_equal (result.exit.signal, 0);
    }
}

static void
signals_reach_the_command_and_no_other (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  rig_shell (&job, "(trap 'echo child' USR1 USR2; while :; do sleep 0.05; done) & "
                   "trap 'echo one' USR1; trap 'echo two; exit 4' USR2; echo ready; "
                   "while :; do sleep 0.05; done");
  static const int signals[] = { SIGUSR1, SIGUSR2 };
  auto_result struct result result;
  rig_run_signalled (rig, &job, NULL, 0, signals, 2, &result);
  rig_assert_ran (&result, 4);
  /* Both may wait for the shell at once. */
  assert_true (strcmp (result.out.data, "ready\none\ntwo\n") == 0
               || strcmp (result.out.data, "ready\ntwo\n") == 0
               || strcmp (result.out.data, "ready\ntwo\none\n") == 0);
}

/* What sends a signal to all it may send one to, or to its group, ends the command alone. */
static void
a_signal_to_all_leaves_the_init (void **state)
{
  struct rig *rig = *state;
  auto_result struct result result;
  run_script (rig, "trap 'exit 6' TERM; kill -9 1; kill -STOP 1; kill 0; sleep 30", true, &result);
  rig_assert_ran (&result, 6);
}

static void
orphans_are_reaped (void **state)
{
  struct rig *rig = *state;
  const struct rig_mount mount = { .source = rig->subject->probes, .target = "/probe" };
  auto_job struct job job;
  rig_shell (&job, "exec /probe/probe_isolation orphan");
  auto_result struct result result;
  rig_run_signalled (rig, &job, &mount, 1, NULL, 0, &result);
  rig_assert_ran (&result, 0);
  assert_string_equal (result.out.data, "reaped\n");
}

static void
the_command_leads_a_session_and_reads_nothing (void **state)
{
  struct rig *rig = *state;
  auto_result struct result result;
  run_script (rig,
              "read -r pid name state parent group session rest < /proc/$$/stat; "
              "echo $((pid == group && pid == session)); cat; "
              "set -- /proc/$$/fd/*; [ $# -lt 5 ] && echo $(cat /proc/$$/status | grep SigBlk)",
              true, &result);
  rig_assert_ran (&result, 0);
  assert_string_equal (result.out.data, "1\nSigBlk: 0000000000000000\n");
}

static void
what_cant_be_started_is_named (void **state)
{
  struct rig *rig = *state;
  auto_free char *tools = rig_folder (rig, "tools");
  const struct rig_mount mount = { .source = tools, .target = "/tools", .writable = true };
  auto_result struct result made;
  auto_job struct job job;
  rig_shell (&job, "cd /tools; mkdir -p folder; echo text > data; chmod 600 data; "
                   "printf '#!/no/such/shell\\n' > lost; chmod 755 lost");
  rig_run_signalled (rig, &job, &mount, 1, NULL, 0, &made);
  rig_assert_ran (&made, 0);
  static const char *const cases[][2] = {
    { "no-such-program", "no-such-program: there is no such program in PATH" },
    { "/tools/none", "/tools/none: No such file or directory" },
    { "/tools/data", "/tools/data: Permission denied" },
    { "/tools/folder", "/tools/folder: Permission denied" },
    { "/tools/lost", "/tools/lost: No such file or directory" },
    { "/tools/data/x", "/tools/data/x: Not a directory" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    {
      auto_job struct job wrong;
      job_init (&wrong);
      wrong.id = xstrdup ("job");
      wrong.image = xstrdup ("busybox");
      strlist_add (&wrong.command, cases[i][0]);
      auto_result struct result result;
      rig_run_signalled (rig, &wrong, &mount, 1, NULL, 0, &result);
      assert_int_equal (result.outcome, -1);
      assert_int_equal (result.err.class, ERROR_USER);
      if (strstr (result.err.message, cases[i][1]) == NULL)
        fail_msg ("\"%s\", expected \"%s\"", result.err.message, cases[i][1]);
    }
}

static void
the_last_report_is_forgotten (void **state)
{
  struct rig *rig = *state;
  auto_job struct job wrong;
  job_init (&wrong);
  wrong.id = xstrdup ("job");
  wrong.image = xstrdup ("busybox");
  strlist_add (&wrong.command, "no-such-program");
  auto_result struct result first;
  rig_run (rig, &wrong, &first);
  assert_int_equal (first.outcome, -1);
  auto_result struct result result;
  run_script (rig, "exit 127", true, &result);
  rig_assert_ran (&result, 127);
}

/* One process is what the job may have; the init is ours. */
static void
the_init_isnt_counted (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  rig_shell (&job, "echo alone");
  job.pids = 1;
  auto_result struct result result;
  rig_run (rig, &job, &result);
  if (result.outcome != 0 && strstr (result.err.message, "can't be enforced") != NULL)
    {
      print_message ("SKIPPED: this host allows no cgroups: %s\n", result.err.message);
      return;
    }
  rig_assert_ran (&result, 0);
  assert_string_equal (result.out.data, "alone\n");
}

int
container_init_run (const struct container_conformance *subject)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (a_command_can_end_itself_by_a_signal),
    cmocka_unit_test (without_an_init_the_command_is_process_1),
    cmocka_unit_test (each_exit_code_is_the_commands),
    cmocka_unit_test (signals_reach_the_command_and_no_other),
    cmocka_unit_test (a_signal_to_all_leaves_the_init),
    cmocka_unit_test (orphans_are_reaped),
    cmocka_unit_test (the_command_leads_a_session_and_reads_nothing),
    cmocka_unit_test (what_cant_be_started_is_named),
    cmocka_unit_test (the_last_report_is_forgotten),
    cmocka_unit_test (the_init_isnt_counted),
  };
  rig_use (subject);
  auto_free char *name = xasprintf ("init: %s", subject->oci_program != NULL ? subject->oci_program
                                                                             : subject->runtime);
  return cmocka_run_group_tests_name (name, tests, rig_set_up, rig_tear_down);
}
