#include "tests/lib/container_options.h"

#include "common/fs.h"
#include "common/memory.h"
#include "tests/lib/container_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void
check_output (struct rig *rig, const struct job *job, const char *expected)
{
  auto_result struct result result;
  rig_run (rig, job, &result);
  rig_assert_ran (&result, 0);
  if (strcmp (result.out.data, expected) != 0)
    fail_msg ("it printed:\n%s\nexpected:\n%s\nits log: %s", result.out.data, expected,
              result.log.data);
}

static void
it_knows_localhost_and_itself (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  rig_shell (&job, "hostname; cat /etc/hosts; [ -n \"$READ_ONLY\" ] || "
                   "{ echo '10.0.0.1 other' >> /etc/hosts && tail -1 /etc/hosts; }");
  check_output (rig, &job,
                "shard\n127.0.0.1\tlocalhost shard\n::1\tlocalhost ip6-localhost ip6-loopback\n"
                "10.0.0.1 other\n");
  job.hostname = xstrdup ("node-7");
  job.read_only = true;
  strlist_add (&job.env, "READ_ONLY=1");
  check_output (rig, &job,
                "node-7\n127.0.0.1\tlocalhost node-7\n::1\tlocalhost ip6-localhost "
                "ip6-loopback\n");
}

/* What the job mounts there is what it sees. */
static void
its_own_hosts_file_comes_first (void **state)
{
  struct rig *rig = *state;
  auto_free char *folder = rig_folder (rig, "etc");
  auto_free char *file = xasprintf ("%s/hosts", folder);
  assert_int_equal (fs_write_file (AT_FDCWD, file, (struct bytes){ "mine\n", 5 }, NULL), 0);
  const struct rig_mount mount = { .source = folder, .target = "/etc" };
  auto_job struct job job;
  rig_shell (&job, "cat /etc/hosts");
  auto_result struct result result;
  rig_run_signalled (rig, &job, &mount, 1, NULL, 0, &result);
  rig_assert_ran (&result, 0);
  assert_string_equal (result.out.data, "mine\n");
}

static void
who_isnt_in_passwd_has_a_home (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  rig_shell (&job, "echo $HOME");
  check_output (rig, &job, "/\n");
  if (geteuid () == 0)
    job.user = xstrdup ("12345");
  check_output (rig, &job, "/\n");
  strlist_add (&job.env, "HOME=/mine");
  check_output (rig, &job, "/mine\n");
}

static void
groups_are_added (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  rig_shell (&job, "grep ^Groups: /proc/self/status");
  strlist_add (&job.groups, "44");
  strlist_add (&job.groups, "29");
  if (geteuid () != 0)
    {
      auto_result struct result result;
      rig_run (rig, &job, &result);
      assert_int_equal (result.outcome, -1);
      assert_int_equal (result.err.class, ERROR_USER);
      assert_non_null (strstr (result.err.message, "--group-add needs a worker that runs as root"));
      return;
    }
  job.user = xstrdup ("1000:100");
  auto_result struct result result;
  rig_run (rig, &job, &result);
  rig_assert_ran (&result, 0);
  assert_string_equal (result.out.data, "Groups:\t29 44 100 \n");
}

static void
capabilities_are_dropped (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  rig_shell (&job, "grep -E '^Cap(Eff|Bnd)' /proc/self/status");
  strlist_add (&job.cap_drop, "CHOWN");
  strlist_add (&job.cap_drop, "cap_sys_chroot");
  check_output (rig, &job, "CapEff:\t00000000000005fa\nCapBnd:\t00000000000005fa\n");
  strlist_add (&job.cap_drop, "ALL");
  check_output (rig, &job, "CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n");
}

static void
processes_have_the_limits_that_were_asked_for (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  rig_shell (&job, "grep -E 'open files|core file' /proc/self/limits | sed 's/  */ /g'");
  strlist_add (&job.ulimits, "nofile=100:200");
  strlist_add (&job.ulimits, "core=0");
  check_output (rig, &job, "Max core file size 0 0 bytes \nMax open files 100 200 files \n");
}

static void
no_limit_is_above_the_workers_own (void **state)
{
  struct rig *rig = *state;
  struct rlimit own;
  assert_int_equal (getrlimit (RLIMIT_NOFILE, &own), 0);
  assert_true (own.rlim_max < RLIM_INFINITY);
  auto_free char *more = xasprintf ("nofile=1:%llu", (unsigned long long) own.rlim_max + 1);
  auto_job struct job job;
  rig_shell (&job, "true");
  strlist_add (&job.ulimits, more);
  auto_result struct result result;
  rig_run (rig, &job, &result);
  assert_int_equal (result.outcome, -1);
  assert_int_equal (result.err.class, ERROR_TRANSIENT);
  assert_non_null (strstr (result.err.message, "is more than this worker's own hard limit"));
}

static void
shared_memory_has_the_size_that_was_asked_for (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  rig_shell (&job, "df -k /dev/shm | tail -1 | sed 's/  */ /g' | cut -d' ' -f2");
  check_output (rig, &job, "65536\n");
  job.shm_size = 1 << 20;
  check_output (rig, &job, "1024\n");
}

static void
sys_is_there_with_the_hosts_network (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  rig_shell (&job, "ls /sys/class/net | grep -x lo; touch /sys/x 2>/dev/null || echo closed; "
                   "ls -A /sys/firmware; ls -A /sys/fs/cgroup; "
                   "touch /sys/kernel/profiling 2>/dev/null && echo open; exit 0");
  job.network = NETWORK_HOST;
  if (rig_is_oci (rig))
    check_output (rig, &job, "lo\nclosed\n");
}

int
container_options_run (const struct container_conformance *subject)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (it_knows_localhost_and_itself),
    cmocka_unit_test (its_own_hosts_file_comes_first),
    cmocka_unit_test (who_isnt_in_passwd_has_a_home),
    cmocka_unit_test (groups_are_added),
    cmocka_unit_test (capabilities_are_dropped),
    cmocka_unit_test (processes_have_the_limits_that_were_asked_for),
    cmocka_unit_test (no_limit_is_above_the_workers_own),
    cmocka_unit_test (shared_memory_has_the_size_that_was_asked_for),
    cmocka_unit_test (sys_is_there_with_the_hosts_network),
  };
  if (strcmp (subject->runtime, "oci") != 0)
    return 0;
  rig_use (subject);
  auto_free char *name = xasprintf ("options: %s", subject->oci_program);
  return cmocka_run_group_tests_name (name, tests, rig_set_up, rig_tear_down);
}
