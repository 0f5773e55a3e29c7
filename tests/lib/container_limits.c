#include "tests/lib/container_limits.h"

#include "common/fs.h"
#include "common/memory.h"
#include "tests/lib/container_rig.h"
#include "worker/cgroup_v2.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const int64_t MEMORY = (int64_t) 96 << 20;

enum
{
  FILES = 10000,
  WORK_MS = 300,
};

/* cmocka's skip would leave by longjmp and leak what a test holds. */
static bool
limits_are_skipped (const struct result *result)
{
  if (result->outcome == 0 || strstr (result->err.message, "can't be enforced") == NULL)
    return false;
  print_message ("SKIPPED: this host allows no cgroups: %s\n", result->err.message);
  return true;
}

/* ---- they hold -------------------------------------------------------------------------- */

static void
limits_hold_and_oom_is_told (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  rig_shell (&job, "tail /dev/zero; exit 0");
  job.memory = (int64_t) 96 << 20;
  auto_result struct result result;
  rig_run (rig, &job, &result);
  if (limits_are_skipped (&result))
    return;
  assert_true (result.outcome == 0 || result.exit.oom);
  assert_true (result.exit.oom);

  auto_job struct job fine;
  rig_shell (&fine, "exit 0");
  auto_result struct result after;
  rig_run (rig, &fine, &after);
  rig_assert_ran (&after, 0);
  assert_false (after.exit.oom);
}

static void
a_fork_bomb_is_contained (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  rig_shell (&job,
             "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 60 & done; "
             "echo not reached");
  job.pids = 8;
  auto_result struct result result;
  rig_run (rig, &job, &result);
  if (limits_are_skipped (&result))
    return;
  assert_int_equal (result.outcome, 0);
  assert_int_not_equal (result.exit.exit_code, 0);
  assert_string_equal (result.out.data, "");
}

/* ---- the slot isn't under them ----------------------------------------------------------- */

/* Microseconds of CPU that this slot's group has used; -1: there is no such group. */
static int64_t
group_cpu (void)
{
  auto_free char *pattern =
      xasprintf ("/sys/fs/cgroup/{cpuacct/shoal,.,*}/slot-test-%d-*/{cpuacct.usage,cpu.stat}",
                 (int) getpid ());
  glob_t found = { 0 };
  int64_t used = -1;
  if (glob (pattern, GLOB_BRACE, NULL, &found) == 0)
    {
      auto_buffer struct buffer text = { 0 };
      assert_int_equal (fs_read_file (AT_FDCWD, found.gl_pathv[0], 1 << 16, &text, NULL), 0);
      const char *key = strstr (text.data, "usage_usec ");
      used = key != NULL ? strtoll (key + strlen ("usage_usec "), NULL, 10)
                         : strtoll (text.data, NULL, 10) / 1000;
    }
  globfree (&found);
  return used;
}

/* Memory that nobody's process has mapped: the kernel kills what is in the group, and that mustn't
 * be this process. */
static void
memory_in_files_is_the_jobs_alone (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  rig_shell (&job, "head -c 300000000 /dev/zero > /memory/file; echo not reached; exit 0");
  job.memory = MEMORY;
  strlist_add (&job.tmpfs, rig_is_oci (rig) ? "/memory:size=400m" : "/mnt:size=400m");
  if (!rig_is_oci (rig))
    {
      free (job.command.items[2]);
      job.command.items[2] = xstrdup ("head -c 300000000 /dev/zero > /mnt/file; exit 0");
    }
  auto_result struct result result;
  rig_run (rig, &job, &result);
  if (limits_are_skipped (&result))
    return;
  assert_true (result.exit.oom);

  if (!rig_is_oci (rig))
    return;
  auto_job struct job shared;
  rig_shell (&shared, "head -c 300000000 /dev/zero > /dev/shm/file; exit 0");
  shared.memory = MEMORY;
  shared.shm_size = (int64_t) 400 << 20;
  auto_result struct result filled;
  rig_run (rig, &shared, &filled);
  assert_true (filled.exit.oom);
}

static void
work (void)
{
  struct timespec start;
  struct timespec now;
  (void) clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &start);
  do
    (void) clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &now);
  while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < WORK_MS);
}

/* CPU is counted, not time: a machine may be slow. */
static void
what_the_slot_does_is_not_the_jobs (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  rig_shell (&job, "exit 0");
  job.cpus = 100;
  job.memory = MEMORY;
  auto_result struct result result;
  rig_run (rig, &job, &result);
  if (limits_are_skipped (&result))
    return;
  rig_assert_ran (&result, 0);
  int64_t before = group_cpu ();
  assert_true (before >= 0);
  work ();
  auto_free char *folder = rig_folder (rig, "outputs");
  auto_fd int fd = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (int i = 0; i < FILES; i++)
    {
      char name[32];
      (void) snprintf (name, sizeof name, "%d", i);
      auto_fd int file = openat (fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
      assert_true (file >= 0);
    }
  /* What ended before is counted late, by microseconds. */
  assert_in_range (group_cpu () - before, 0, WORK_MS * 1000 / 100);
}

/* ---- its command sees them -------------------------------------------------------------- */

static void
a_command_reads_its_limits (void **state)
{
  struct rig *rig = *state;
  bool v2 = cgroup_is_v2 ();
  static const char *const users[] = { NULL, "1234" };
  for (size_t i = 0; i < 2 && rig_is_oci (rig); i++)
    {
      auto_job struct job job;
      rig_shell (&job, v2 ? "cd /sys/fs/cgroup && cat memory.max cpu.max pids.max; "
                            "echo 1 2>/dev/null > memory.max || echo closed"
                          : "cd /sys/fs/cgroup && cat memory/memory.limit_in_bytes "
                            "cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us; "
                            "echo 1 2>/dev/null > memory/memory.limit_in_bytes || echo closed; "
                            "grep -vc ':/$' /proc/self/cgroup; ls -d memory/shoal 2>/dev/null");
      job.memory = MEMORY;
      job.cpus = 500;
      job.pids = 50;
      job.user = users[i] != NULL ? xstrdup (users[i]) : NULL;
      auto_result struct result result;
      rig_run (rig, &job, &result);
      if (limits_are_skipped (&result))
        return;
      assert_int_equal (result.outcome, 0);
      assert_string_equal (result.out.data, v2 ? "100663296\n50000 100000\n55\nclosed\n"
                                               : "100663296\n50000\n100000\nclosed\n0\n");
    }
}

static void
an_unlimited_command_sees_no_groups (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  rig_shell (&job, "ls -A /sys/fs/cgroup; grep -c cgroup /proc/self/mountinfo; exit 0");
  auto_result struct result result;
  rig_run (rig, &job, &result);
  rig_assert_ran (&result, 0);
  if (rig_is_oci (rig))
    assert_string_equal (result.out.data, "0\n");
}

int
container_limits_run (const struct container_conformance *subject)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (limits_hold_and_oom_is_told),
    cmocka_unit_test (a_fork_bomb_is_contained),
    cmocka_unit_test (memory_in_files_is_the_jobs_alone),
    cmocka_unit_test (what_the_slot_does_is_not_the_jobs),
    cmocka_unit_test (a_command_reads_its_limits),
    cmocka_unit_test (an_unlimited_command_sees_no_groups),
  };
  rig_use (subject);
  auto_free char *name = xasprintf ("limits: %s", subject->runtime);
  return cmocka_run_group_tests_name (name, tests, rig_set_up, rig_tear_down);
}
