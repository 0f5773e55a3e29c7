#include "tests/lib/container_conformance.h"

#include "common/buffer.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/memory.h"
#include "tests/lib/seccomp_oracle.h"
#include "worker/container.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum
{
  PATIENCE_MS = 30000,
};

struct rig
{
  const struct container_conformance *subject;
  struct container_runtime *runtime;
  char *folder;
  int runs;
};

/* What came of one run. */
struct result
{
  int outcome; /* of container_start or container_wait */
  struct container_exit exit;
  struct error err;
  struct buffer out;
  struct buffer log;
};

static void
result_release (struct result *result)
{
  buffer_release (&result->out);
  buffer_release (&result->log);
}
#define auto_result AUTO (result_release)

/* ---- running ---------------------------------------------------------------------------- */

static void
shell (struct job *job, const char *script)
{
  job_init (job);
  job->id = xstrdup ("job");
  job->image = xstrdup ("busybox");
  strlist_add (&job->command, "sh");
  strlist_add (&job->command, "-c");
  strlist_add (&job->command, script);
}

static char *
make_folder (const struct rig *rig, const char *name)
{
  char *path = xasprintf ("%s/%s", rig->folder, name);
  assert_int_equal (fs_make_path (path, 0755, NULL), 0);
  return path;
}

static int
open_log (const char *scratch, const char *name)
{
  auto_free char *path = xasprintf ("%s.%s", scratch, name);
  int fd = open (path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  assert_true (fd >= 0);
  return fd;
}

static void
read_log (const char *scratch, const char *name, struct buffer *text)
{
  auto_free char *path = xasprintf ("%s.%s", scratch, name);
  buffer_puts (text, "");
  assert_int_equal (fs_read_file (AT_FDCWD, path, 1 << 24, text, NULL), 0);
}

/* Starts JOB with MOUNTS; `stop` SIGNALs it once it has printed "ready". */
static void
run_signalled (struct rig *rig, const struct job *job, const struct container_mount *mounts,
               size_t mount_count, const int *signals, size_t signal_count, struct result *result)
{
  auto_free char *name = xasprintf ("run%d", rig->runs);
  auto_free char *scratch = make_folder (rig, name);
  auto_free char *id = xasprintf ("shoal-test-%d-%d", (int) getpid (), rig->runs++);
  auto_fd int out = open_log (scratch, "out");
  auto_fd int log = open_log (scratch, "log");
  struct container container = { .id = id,
                                 .job = job,
                                 .image = job->image,
                                 .command = &job->command,
                                 .mounts = mounts,
                                 .mount_count = mount_count,
                                 .scratch = scratch,
                                 .stdout_fd = out,
                                 .stderr_fd = log };
  strlist_add (&container.env, "FROM_SHOAL=yes");
  *result = (struct result){ .err = ERROR_INIT };
  result->outcome = container_prepare (rig->runtime, &container, &result->err);
  int ended = result->outcome == 0 ? container_start (rig->runtime, &container, &result->err) : -1;
  int64_t end = clock_boot_ms () + PATIENCE_MS;
  for (size_t i = 0; ended >= 0 && i < signal_count; i++)
    {
      struct stat status = { 0 };
      while (clock_boot_ms () < end && fstat (out, &status) == 0 && status.st_size == 0)
        (void) poll (NULL, 0, 2);
      container_signal (rig->runtime, signals[i]);
    }
  if (ended >= 0)
    {
      struct pollfd fd = { .fd = ended, .events = POLLIN };
      assert_int_equal (poll (&fd, 1, PATIENCE_MS), 1);
      result->outcome = container_wait (rig->runtime, &result->exit, &result->err);
    }
  else
    result->outcome = -1;
  strlist_release (&container.env);
  read_log (scratch, "out", &result->out);
  read_log (scratch, "log", &result->log);
  struct error err = ERROR_INIT;
  if (fs_remove_tree (AT_FDCWD, scratch, &err) != 0)
    fail_msg ("something is left behind: %s", err.message);
}

static void
run (struct rig *rig, const struct job *job, struct result *result)
{
  run_signalled (rig, job, NULL, 0, NULL, 0, result);
}

static void
assert_ran (const struct result *result, int exit_code)
{
  if (result->outcome != 0)
    fail_msg ("%s; its log: %s", result->err.message, result->log.data);
  if (result->exit.exit_code != exit_code)
    fail_msg ("exit code %d, expected %d; its log: %s", result->exit.exit_code, exit_code,
              result->log.data);
}

static bool
is_oci (const struct rig *rig)
{
  return strcmp (rig->subject->runtime, "oci") == 0;
}

/* ---- tests ------------------------------------------------------------------------------ */

static void
exit_codes_and_output_come_back (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  shell (&job, "echo out; echo err >&2; cat; exit 7");
  auto_result struct result result;
  run (rig, &job, &result);
  assert_ran (&result, 7);
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
  shell (&job, "sh -c 'kill -9 $$'; exit $?");
  auto_result struct result result;
  run (rig, &job, &result);
  assert_ran (&result, 137);
}

static void
variables_come_from_job_and_caller (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  shell (&job, "echo \"$FROM_SHOAL $FROM_JOB\"");
  strlist_add (&job.env, "FROM_JOB=a b");
  auto_result struct result result;
  run (rig, &job, &result);
  assert_ran (&result, 0);
  assert_string_equal (result.out.data, "yes a b\n");
}

static void
mounts_are_where_and_as_they_should_be (void **state)
{
  struct rig *rig = *state;
  auto_free char *in = make_folder (rig, "in");
  auto_free char *out = make_folder (rig, "out");
  auto_free char *file = xasprintf ("%s/a", in);
  assert_int_equal (fs_write_file (AT_FDCWD, file, (struct bytes){ "text", 4 }, NULL), 0);
  const struct container_mount mounts[] = { { in, "/shoal-in", false },
                                            { out, "/shoal-out/deep", true } };
  auto_job struct job job;
  shell (&job, "cat /shoal-in/a > /shoal-out/deep/b; echo x > /shoal-in/a; "
               "touch /shoal-in/c; ls /shoal-in; exit 0");
  auto_result struct result result;
  run_signalled (rig, &job, mounts, 2, NULL, 0, &result);
  assert_ran (&result, 0);
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
  auto_free char *base = make_folder (rig, "many");
  struct container_mount mounts[1 + MANY] = { { base, "/shoal-many", false } };
  for (int i = 0; i < MANY; i++)
    {
      auto_free char *point = xasprintf ("many/%d", i);
      free (make_folder (rig, point));
      auto_free char *name = xasprintf ("sources/%d", i);
      mounts[1 + i] = (struct container_mount){ make_folder (rig, name),
                                                xasprintf ("/shoal-many/%d", i), false };
    }
  auto_job struct job job;
  shell (&job, "ls /shoal-many | wc -l");
  auto_result struct result result;
  run_signalled (rig, &job, mounts, 1 + MANY, NULL, 0, &result);
  for (int i = 1; i <= MANY; i++)
    {
      free ((char *) (uintptr_t) mounts[i].source);
      free ((char *) (uintptr_t) mounts[i].target);
    }
  assert_ran (&result, 0);
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
  run (rig, &job, &result);
  assert_int_equal (result.outcome, -1);
  assert_int_equal (result.err.class, ERROR_USER);
  assert_non_null (strstr (result.err.message, "no-such-program"));
}

static void
sigterm_reaches_the_command (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  shell (&job, "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done");
  static const int signals[] = { SIGTERM };
  auto_result struct result result;
  run_signalled (rig, &job, NULL, 0, signals, 1, &result);
  assert_ran (&result, 3);
}

static void
sigkill_ends_what_ignores_sigterm (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  shell (&job, "trap '' TERM; echo ready; while :; do sleep 0.05; done");
  static const int signals[] = { SIGTERM, SIGKILL };
  auto_result struct result result;
  run_signalled (rig, &job, NULL, 0, signals, 2, &result);
  assert_ran (&result, 137);
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
  shell (&job, "sleep 98765.25 & echo ready; exit 0");
  auto_result struct result result;
  run (rig, &job, &result);
  assert_ran (&result, 0);
  int64_t end = clock_boot_ms () + PATIENCE_MS;
  while (somebody_runs ("98765.25") && clock_boot_ms () < end)
    (void) poll (NULL, 0, 5);
  assert_false (somebody_runs ("98765.25"));
}

static void
limits_hold_and_oom_is_told (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  shell (&job, "tail /dev/zero; exit 0");
  job.memory = (int64_t) 96 << 20;
  auto_result struct result result;
  run (rig, &job, &result);
  if (result.outcome != 0 && strstr (result.err.message, "can't be enforced") != NULL)
    {
      /* cmocka's skip would leave by longjmp and leak what this test holds. */
      print_message ("SKIPPED: this host allows no cgroups: %s\n", result.err.message);
      return;
    }
  assert_true (result.outcome == 0 || result.exit.oom);
  assert_true (result.exit.oom);

  auto_job struct job fine;
  shell (&fine, "exit 0");
  auto_result struct result after;
  run (rig, &fine, &after);
  assert_ran (&after, 0);
  assert_false (after.exit.oom);
}

static void
a_fork_bomb_is_contained (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  shell (&job, "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 60 & done; "
               "echo not reached");
  job.pids = 8;
  auto_result struct result result;
  run (rig, &job, &result);
  if (result.outcome != 0 && strstr (result.err.message, "can't be enforced") != NULL)
    {
      /* cmocka's skip would leave by longjmp and leak what this test holds. */
      print_message ("SKIPPED: this host allows no cgroups: %s\n", result.err.message);
      return;
    }
  assert_int_equal (result.outcome, 0);
  assert_int_not_equal (result.exit.exit_code, 0);
  assert_string_equal (result.out.data, "");
}

/* ---- only with images ------------------------------------------------------------------- */

static void
the_container_sees_its_image_alone (void **state)
{
  struct rig *rig = *state;
  if (!is_oci (rig))
    return;
  auto_job struct job job;
  shell (&job,
         "ls /; echo $$; hostname; grep -c : /proc/net/dev; echo x > /etc/mine; cat /etc/mine");
  auto_result struct result result;
  run (rig, &job, &result);
  assert_ran (&result, 0);
  assert_string_equal (result.out.data, "bin\ndev\netc\nproc\nsys\ntmp\n1\nshard\n1\nx\n");

  auto_job struct job again;
  shell (&again, "cat /etc/mine");
  auto_result struct result second;
  run (rig, &again, &second);
  assert_ran (&second, 1);
}

static void
a_read_only_root_is (void **state)
{
  struct rig *rig = *state;
  if (!is_oci (rig))
    return;
  auto_job struct job job;
  shell (&job, "echo x > /mine || echo refused; echo y > /scratch/y && cat /scratch/y");
  job.read_only = true;
  strlist_add (&job.tmpfs, "/scratch:size=1m");
  auto_result struct result result;
  run (rig, &job, &result);
  assert_ran (&result, 0);
  assert_string_equal (result.out.data, "refused\ny\n");
}

static void
user_folder_and_entrypoint_follow_docker (void **state)
{
  struct rig *rig = *state;
  if (!is_oci (rig))
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
  run (rig, &job, &result);
  assert_ran (&result, 0);
  const char *expected = geteuid () == 0 ? "1234\n4321\n/made/for/this\nCapEff:\t0000000000000000\n"
                                           "NoNewPrivs:\t1\n"
                                         : "0\n0\n/made/for/this\n";
  assert_memory_equal (result.out.data, expected, strlen (expected));
}

static void
the_network_is_none_or_the_hosts (void **state)
{
  struct rig *rig = *state;
  if (!is_oci (rig) || geteuid () != 0)
    return;
  struct stat status;
  assert_int_equal (stat ("/proc/self/ns/net", &status), 0);
  auto_job struct job job;
  shell (&job, "readlink /proc/self/ns/net");
  auto_result struct result none;
  run (rig, &job, &none);
  assert_ran (&none, 0);
  job.network = NETWORK_HOST;
  auto_result struct result host;
  run (rig, &job, &host);
  assert_ran (&host, 0);
  auto_free char *ours = xasprintf ("net:[%llu]\n", (unsigned long long) status.st_ino);
  assert_string_equal (host.out.data, ours);
  assert_string_not_equal (none.out.data, ours);
}

static void
dangerous_calls_are_refused (void **state)
{
  struct rig *rig = *state;
  if (!is_oci (rig))
    return;
  auto_job struct job job;
  shell (&job, "mount -t tmpfs none /tmp && echo mounted; unshare -U true && echo unshared; "
               "echo 1 > /proc/sys/kernel/domainname && echo written; exit 0");
  auto_result struct result result;
  run (rig, &job, &result);
  assert_ran (&result, 0);
  assert_string_equal (result.out.data, "");
}

/* Runs PROGRAM, one of tests/probe/, in a container. */
static void
probe (struct rig *rig, const char *program, struct result *result)
{
  const struct container_mount mount = { .source = rig->subject->probes, .target = "/probe" };
  auto_free char *command = xasprintf ("exec /probe/%s", program);
  auto_job struct job job;
  shell (&job, command);
  run_signalled (rig, &job, &mount, 1, NULL, 0, result);
  assert_ran (result, 0);
}

static void
system_calls_are_judged_as_docker_does (void **state)
{
  struct rig *rig = *state;
  if (!is_oci (rig))
    return;
  struct seccomp_oracle *oracle = seccomp_oracle_new (".");
  auto_result struct result result;
  probe (rig, "probe_system_calls", &result);
  seccomp_oracle_check (oracle, result.out.data, strcmp (rig->subject->oci_program, "runc") == 0);
  seccomp_oracle_free (oracle);
}

static void
programs_of_32_bits_run (void **state)
{
#ifdef PROBE_I386
  struct rig *rig = *state;
  if (!is_oci (rig))
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
  if (!is_oci (rig))
    return;
  auto_job struct job job;
  shell (&job, "true");
  free (job.image);
  job.image = xstrdup ("no-such-image");
  auto_result struct result result;
  run (rig, &job, &result);
  assert_int_equal (result.outcome, -1);
  assert_int_equal (result.err.class, ERROR_TRANSIENT); /* another machine may have it */
  assert_non_null (strstr (result.err.message, "shoal image import"));
}

/* ---- the suite -------------------------------------------------------------------------- */

static const struct container_conformance *current; /* cmocka's group set-up takes no argument */

static int
set_up (void **state)
{
  struct rig *rig = xcalloc (1, sizeof *rig);
  auto_free char *slot = xasprintf ("test-%d", (int) getpid ());
  const struct container_runtime_options options = { .images = current->images,
                                                     .oci_program = current->oci_program,
                                                     .slot_name = slot };
  struct error err = ERROR_INIT;
  rig->subject = current;
  rig->runtime = container_runtime_open (current->runtime, &options, &err);
  if (rig->runtime == NULL)
    {
      print_error ("%s\n", err.message);
      free (rig);
      return -1;
    }
  print_message ("%s\n", container_runtime_describe (rig->runtime));
  /* All that begins something new in a language into which a path might be pasted. */
  rig->folder = xstrdup ("/tmp/shoal-container,upperdir=a:b\\c d%n'\"\n$(x)-XXXXXX");
  assert_non_null (mkdtemp (rig->folder));
  *state = rig;
  return 0;
}

static int
tear_down (void **state)
{
  struct rig *rig = *state;
  container_runtime_close (rig->runtime);
  int outcome = fs_remove_tree (AT_FDCWD, rig->folder, NULL);
  free (rig->folder);
  free (rig);
  return outcome;
}

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
    cmocka_unit_test (limits_hold_and_oom_is_told),
    cmocka_unit_test (a_fork_bomb_is_contained),
    cmocka_unit_test (the_container_sees_its_image_alone),
    cmocka_unit_test (a_read_only_root_is),
    cmocka_unit_test (user_folder_and_entrypoint_follow_docker),
    cmocka_unit_test (the_network_is_none_or_the_hosts),
    cmocka_unit_test (dangerous_calls_are_refused),
    cmocka_unit_test (system_calls_are_judged_as_docker_does),
    cmocka_unit_test (programs_of_32_bits_run),
    cmocka_unit_test (an_unknown_image_says_how_to_import_it),
  };
  current = subject;
  return cmocka_run_group_tests_name (subject->oci_program != NULL ? subject->oci_program
                                                                   : subject->runtime,
                                      tests, set_up, tear_down);
}
