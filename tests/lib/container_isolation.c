#include "tests/lib/container_isolation.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/path.h"
#include "tests/lib/container_rig.h"
#include "worker/image_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static bool
is_root (void)
{
  return geteuid () == 0;
}

static void
assert_printed (const struct result *result, const char *expected)
{
  rig_assert_ran (result, 0);
  if (strcmp (result->out.data, expected) != 0)
    fail_msg ("it printed:\n%s\nexpected:\n%s\nits log: %s", result->out.data, expected,
              result->log.data);
}

static void
assert_refused (const struct result *result, const char *reason)
{
  assert_int_equal (result->outcome, -1);
  if (result->err.class != ERROR_USER || strstr (result->err.message, reason) == NULL)
    fail_msg ("class %d: \"%s\", expected the user's error with \"%s\"", (int) result->err.class,
              result->err.message, reason);
}

/* Runs JOB, which sees SOURCE at /shoal-in and may write to the folder `out`, at /shoal-out. */
static void
run_with_folders (struct rig *rig, const struct job *job, const char *source, struct result *result)
{
  auto_free char *out = rig_folder (rig, "out");
  const struct rig_mount mounts[] = { { source, "/shoal-in", false }, { out, "/shoal-out", true } };
  rig_run_mounted (rig, job, mounts, 2, result);
}

/* /dev as an input: it has mounts below it everywhere. A user namespace can't be shown its file
 * system: that is an error which says so, and false. */
static bool
run_on_devices (struct rig *rig, const struct job *job, struct result *result)
{
  run_with_folders (rig, job, "/dev", result);
  if (!rig_is_mapped (rig))
    return true;
  assert_int_equal (result->outcome, -1);
  assert_int_equal (result->err.class, ERROR_TRANSIENT);
  assert_non_null (strstr (result->err.message, "--userns none"));
  return false;
}

/* ---- mounts ----------------------------------------------------------------------------- */

struct mounted
{
  const char *root; /* of its file system: what is mounted */
  const char *point;
  const char *options;
  const char *type;
};

/* Splits a line of mountinfo(5). */
static bool
split_mount (char *line, struct mounted *mounted)
{
  char *fields[6] = { NULL };
  for (size_t i = 0; i < 6 && line != NULL; i++)
    fields[i] = strsep (&line, " ");
  char *rest = line == NULL ? NULL : strstr (line, "- ");
  if (rest == NULL)
    return false;
  rest += 2;
  *mounted = (struct mounted){
    .root = fields[3], .point = fields[4], .options = fields[5], .type = strsep (&rest, " ")
  };
  return true;
}

static bool
has_option (const struct mounted *mounted, const char *option)
{
  size_t length = strlen (option);
  for (const char *at = mounted->options; at != NULL; at = strchr (at, ','))
    {
      at += *at == ',' ? 1 : 0;
      if (strncmp (at, option, length) == 0 && (at[length] == ',' || at[length] == '\0'))
        return true;
    }
  return false;
}

/* What a runtime lays over a part of /proc or /sys: itself, read-only, or nothing at all. */
static bool
is_mask (const struct mounted *mounted)
{
  if (path_below (mounted->point, "/proc") == NULL && path_below (mounted->point, "/sys") == NULL)
    return false;
  return strcmp (mounted->root, "/null") == 0
         || (has_option (mounted, "ro")
             && (strcmp (mounted->type, "tmpfs") == 0 || strcmp (mounted->type, "proc") == 0));
}

/* Devices are the runtime's own, in its /dev. */
static bool
may_have_devices (const struct mounted *mounted)
{
  return path_below (mounted->point, "/dev") != NULL && strcmp (mounted->point, "/dev/shm") != 0;
}

static void
check_mount (const struct rig *rig, const struct mounted *mounted, bool read_only)
{
  bool is_input = path_below (mounted->point, "/shoal-in") != NULL;
  if (is_mask (mounted))
    return;
  /* The host's devices, one by one, where a user can't make any. */
  bool device_of_rootless = !is_root () && strncmp (mounted->point, "/dev/", 5) == 0;
  if (!has_option (mounted, "nosuid") && !device_of_rootless)
    fail_msg ("%s (%s) is %s, not nosuid", mounted->point, mounted->type, mounted->options);
  if (!has_option (mounted, "nodev") && !may_have_devices (mounted))
    fail_msg ("%s (%s) is %s, not nodev", mounted->point, mounted->type, mounted->options);
  if (is_input && !has_option (mounted, "ro"))
    fail_msg ("%s (%s) is %s, not read-only", mounted->point, mounted->type, mounted->options);
  if (read_only && strcmp (mounted->point, "/") == 0 && !has_option (mounted, "ro"))
    fail_msg ("the root file system is %s, not read-only", mounted->options);
  if (read_only && !rig_is_oci (rig) && path_below (mounted->point, "/shoal-out") == NULL
      && path_below (mounted->point, "/shoal-scratch") == NULL && !has_option (mounted, "ro"))
    fail_msg ("%s (%s) is %s, not read-only", mounted->point, mounted->type, mounted->options);
}

static void
check_mounts_of (struct rig *rig, bool read_only)
{
  auto_job struct job job;
  rig_shell (&job, "cat /proc/self/mountinfo");
  job.read_only = read_only;
  strlist_add (&job.tmpfs, "/shoal-scratch:size=1m,exec");
  auto_result struct result result;
  bool nested = run_on_devices (rig, &job, &result);
  if (!nested)
    {
      auto_free char *in = rig_folder (rig, "mounts");
      rig_result_release (&result);
      run_with_folders (rig, &job, in, &result);
    }
  rig_assert_ran (&result, 0);
  static const char *const expected[] = {
    "/", "/proc", "/dev", "/shoal-in", "/shoal-in/pts", "/shoal-out", "/shoal-scratch"
  };
  unsigned int seen = 0;
  char *rest = result.out.data;
  for (char *line = strsep (&rest, "\n"); line != NULL; line = strsep (&rest, "\n"))
    {
      struct mounted mounted;
      if (!split_mount (line, &mounted))
        continue;
      check_mount (rig, &mounted, read_only);
      for (size_t i = 0; i < 7; i++)
        if (strcmp (mounted.point, expected[i]) == 0)
          seen |= 1U << i;
    }
  assert_int_equal (seen, nested ? 0x7f : 0x6f);
}

static void
mounts_have_no_devices_and_no_set_id_programs (void **state)
{
  check_mounts_of (*state, false);
  check_mounts_of (*state, true);
}

static void
what_is_mounted_below_an_input_is_read_only (void **state)
{
  struct rig *rig = *state;
  auto_free char *in = rig_folder (rig, "data");
  auto_free char *disk = rig_folder (rig, "data/a/disk");
  auto_free char *file = xasprintf ("%s/precious", disk);
  auto_job struct job job;
  rig_shell (&job, "echo x > /shoal-in/shm/$NAME && echo written; "
                   "echo x > /shoal-in/a/disk/precious && echo overwritten; exit 0");
  strlist_addf (&job.env, "NAME=shoal-test-%d", (int) getpid ());
  auto_free char *shm = xasprintf ("/dev/shm/shoal-test-%d", (int) getpid ());
  auto_result struct result devices;
  if (run_on_devices (rig, &job, &devices))
    assert_printed (&devices, "");
  bool made = access (shm, F_OK) == 0;
  (void) unlink (shm);
  assert_false (made);
  if (!is_root ())
    return;
  assert_int_equal (mount ("tmpfs", disk, "tmpfs", 0, NULL), 0);
  assert_int_equal (fs_write_file (AT_FDCWD, file, (struct bytes){ "text", 4 }, NULL), 0);
  auto_result struct result result;
  run_with_folders (rig, &job, in, &result);
  auto_buffer struct buffer text = { 0 };
  int outcome = fs_read_file (AT_FDCWD, file, 100, &text, NULL);
  assert_int_equal (umount (disk), 0);
  assert_int_equal (outcome, 0);
  assert_string_equal (text.data, "text");
  if (!rig_is_mapped (rig))
    assert_printed (&result, "");
  else if (strstr (result.err.message, "/data/a/disk is mounted below it") == NULL)
    fail_msg ("\"%s\": expected an error that names the mount", result.err.message);
}

/* Whether the runtime says what it lacks, in a process where mount_setattr isn't there. */
static int
open_without_mount_setattr (const struct container_conformance *subject)
{
  scmp_filter_ctx filter = seccomp_init (SCMP_ACT_ALLOW);
  if (filter == NULL
      || seccomp_rule_add (filter, SCMP_ACT_ERRNO (ENOSYS), SCMP_SYS (mount_setattr), 0) != 0
      || seccomp_load (filter) != 0)
    return 2;
  seccomp_release (filter);
  const struct container_runtime_options options = { .images = subject->images,
                                                     .oci_program = subject->oci_program,
                                                     .userns = subject->userns,
                                                     .slot_name = "test-old-kernel" };
  struct error err = ERROR_INIT;
  auto_container_runtime struct container_runtime *runtime =
      container_runtime_open (subject->runtime, &options, &err);
  return runtime == NULL && err.class == ERROR_USER && strstr (err.message, "Linux 5.12") != NULL
             ? 0
             : 1;
}

static void
a_kernel_that_cant_make_inputs_read_only_is_an_error (void **state)
{
  const struct rig *rig = *state;
  pid_t pid = fork ();
  if (pid == 0)
    _exit (open_without_mount_setattr (rig->subject));
  int status = 0;
  assert_int_equal (waitpid (pid, &status, 0), pid);
  assert_int_equal (status, 0);
}

/* ---- devices ---------------------------------------------------------------------------- */

static char *
find_rootfs (const struct rig *rig)
{
  auto_image struct image image = { 0 };
  assert_int_equal (image_store_find (rig->subject->images, "busybox", &image, NULL), 0);
  return take (&image.rootfs);
}

/* A device that does no harm: /dev/zero, for all to read. */
static void
make_device (const char *folder)
{
  auto_free char *path = xasprintf ("%s/zero", folder);
  assert_int_equal (mknod (path, S_IFCHR | 0666, makedev (1, 5)), 0);
  assert_int_equal (chmod (path, 0666), 0);
}

static void
remove_device (const char *folder)
{
  auto_free char *path = xasprintf ("%s/zero", folder);
  assert_int_equal (unlink (path), 0);
}

static void
devices_cant_be_made (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  rig_shell (&job, "for at in /shoal-out /shoal-scratch /dev /dev/shm /tmp; do "
                   "mknod $at/shoal-b b 7 0 && echo block device in $at; "
                   "mknod $at/shoal-c c 1 5 && echo character device in $at; done; exit 0");
  strlist_add (&job.tmpfs, "/shoal-scratch");
  auto_result struct result result;
  run_with_folders (rig, &job, rig->folder, &result);
  assert_printed (&result, "");
  assert_non_null (strstr (result.log.data, "Operation not permitted"));
}

static void
devices_that_are_there_cant_be_opened (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  rig_shell (&job, "for at in /shoal-in /shoal-out /tmp; do [ ! -e $at/zero ] || "
                   "{ head -c 1 $at/zero > /dev/null && echo opened in $at; }; done; "
                   "[ -c /shoal-in/zero ] && echo seen");
  auto_result struct result devices;
  if (run_on_devices (rig, &job, &devices))
    assert_printed (&devices, "seen\n");
  if (!is_root ())
    return;
  auto_free char *in = rig_folder (rig, "devices");
  auto_free char *out = rig_folder (rig, "out");
  auto_free char *rootfs = rig_is_oci (rig) ? find_rootfs (rig) : NULL;
  auto_free char *tmp = rootfs == NULL ? NULL : xasprintf ("%s/tmp", rootfs);
  const char *const folders[] = { in, out, tmp };
  for (size_t i = 0; i < 3; i++)
    if (folders[i] != NULL)
      make_device (folders[i]);
  auto_result struct result result;
  run_with_folders (rig, &job, in, &result);
  for (size_t i = 0; i < 3; i++)
    if (folders[i] != NULL)
      remove_device (folders[i]);
  assert_printed (&result, "seen\n");
}

static void
the_devices_are_the_standard_ones (void **state)
{
  struct rig *rig = *state;
  if (!rig_is_oci (rig))
    return;
  auto_job struct job job;
  rig_shell (&job, "cd /dev; for f in *; do [ -L $f ] || [ -d $f ] || [ $f = init ] || echo $f "
                   "$(stat -c %t:%T $f); done");
  auto_result struct result result;
  rig_run (rig, &job, &result);
  assert_printed (&result, "full 1:7\nnull 1:3\nrandom 1:8\ntty 5:0\nurandom 1:9\nzero 1:5\n");
}

/* ---- who it is -------------------------------------------------------------------------- */

#define ROOTS_CAPABILITIES "00000000000405fb"
#define NO_CAPABILITIES "0000000000000000"
#define STATUS(uid, gid, groups, caps)                                                             \
  "Uid:\t" uid "\t" uid "\t" uid "\t" uid "\nGid:\t" gid "\t" gid "\t" gid "\t" gid                \
  "\nGroups:\t" groups " \nCapInh:\t" NO_CAPABILITIES "\nCapPrm:\t" caps "\nCapEff:\t" caps        \
  "\nCapBnd:\t" ROOTS_CAPABILITIES "\nCapAmb:\t" NO_CAPABILITIES "\nNoNewPrivs:\t1\n"

static void
check_status (struct rig *rig, const char *user, const char *expected)
{
  auto_job struct job job;
  rig_shell (&job, "grep -E '^(Uid|Gid|Groups|Cap[A-Z][a-z]*|NoNewPrivs):' /proc/self/status");
  if (user != NULL)
    job.user = xstrdup (user);
  auto_result struct result result;
  rig_run (rig, &job, &result);
  assert_printed (&result, expected);
}

static void
users_groups_and_capabilities_are_exactly_these (void **state)
{
  struct rig *rig = *state;
  /* As docker has it: its own group is among them. A user namespace of somebody who isn't root has
   * no others. */
  bool lists = is_root () && rig_is_oci (rig);
  const char *root = lists ? STATUS ("0", "0", "0", ROOTS_CAPABILITIES)
                           : STATUS ("0", "0", "", ROOTS_CAPABILITIES);
  check_status (rig, NULL, root);
  check_status (rig, "0:0", root);
  if (is_root ())
    {
      check_status (rig, "1234:4321",
                    lists ? STATUS ("1234", "4321", "4321", NO_CAPABILITIES)
                          : STATUS ("1234", "4321", "", NO_CAPABILITIES));
      check_status (rig, "1234",
                    lists ? STATUS ("1234", "0", "0", NO_CAPABILITIES)
                          : STATUS ("1234", "0", "", NO_CAPABILITIES));
      return;
    }
  if (rig_is_oci (rig) && strcmp (rig->subject->oci_program, "crun") == 0)
    {
      check_status (rig, "1234:4321", STATUS ("1234", "4321", "", NO_CAPABILITIES));
      check_status (rig, "1234", STATUS ("1234", "0", "", NO_CAPABILITIES));
      return;
    }
  auto_job struct job job;
  rig_shell (&job, "true");
  job.user = xstrdup ("1234:4321");
  auto_result struct result result;
  rig_run (rig, &job, &result);
  assert_refused (&result, "--user 0:0");
}

static void
a_filter_is_in_force (void **state)
{
  struct rig *rig = *state;
  if (!rig_is_oci (rig))
    return;
  auto_job struct job job;
  rig_shell (&job, "grep Seccomp: /proc/self/status");
  auto_result struct result result;
  rig_run (rig, &job, &result);
  assert_printed (&result, "Seccomp:\t2\n");
}

static void
namespaces_are_its_own (void **state)
{
  static const char *const names[] = { "pid", "mnt", "net", "ipc", "uts", "cgroup", "user" };
  struct rig *rig = *state;
  auto_job struct job job;
  rig_shell (&job, "for n in pid mnt net ipc uts cgroup user; do readlink /proc/self/ns/$n; done");
  auto_result struct result result;
  rig_run (rig, &job, &result);
  rig_assert_ran (&result, 0);
  char *rest = result.out.data;
  for (size_t i = 0; i < 7; i++)
    {
      char ours[64] = "";
      auto_free char *path = xasprintf ("/proc/self/ns/%s", names[i]);
      assert_true (readlink (path, ours, sizeof ours - 1) > 0);
      bool own = i < 3 || (i < 6 ? rig_is_oci (rig) : !is_root () || rig_is_mapped (rig));
      const char *its = strsep (&rest, "\n");
      if ((strcmp (its, ours) != 0) != own)
        fail_msg ("%s here, %s there: %s expected", ours, its, own ? "another" : "the same");
    }
}

/* A user of the machine whom nothing belongs to; and what the container makes, or gives to its own
 * users, has their numbers outside as it has without the namespace. */
static void
root_of_a_user_namespace_is_nobody_outside (void **state)
{
  struct rig *rig = *state;
  if (!rig_is_mapped (rig))
    return;
  auto_job struct job job;
  rig_shell (&job,
             "read first there count </proc/self/uid_map; echo $first $there $count; id -u;"
             "stat -c %u:%g / /bin/busybox; touch /made && chown 7:8 /made && stat -c %u:%g /made");
  auto_result struct result result;
  rig_run (rig, &job, &result);
  assert_printed (&result, "0 1000000 65536\n0\n0:0\n0:0\n7:8\n");
}

/* ---- what it is given ------------------------------------------------------------------- */

static void
descriptors_are_the_standard_three (void **state)
{
  struct rig *rig = *state;
  auto_fd int low = open ("/etc/hostname", O_RDONLY | O_CLOEXEC);
  /* As a shell leaves them to what it starts: without close-on-exec. */
  auto_fd int near = fcntl (low, F_DUPFD, 9);
  auto_fd int far = fcntl (low, F_DUPFD, 200);
  assert_true (near >= 9 && far >= 200);
  auto_job struct job job;
  rig_shell (&job, "ls /proc/$$/fd; exit 0");
  auto_result struct result result;
  rig_run (rig, &job, &result);
  assert_printed (&result, "0\n1\n2\n");
}

static int
compare_lines (const void *a, const void *b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

static void
variables_are_those_that_were_given (void **state)
{
  struct rig *rig = *state;
  assert_int_equal (setenv ("SHOAL_TEST_SECRET", "of the worker", 1), 0);
  auto_job struct job job;
  job_init (&job);
  job.id = xstrdup ("job");
  job.image = xstrdup ("busybox");
  strlist_add (&job.command, "env");
  strlist_add (&job.env, "FROM_JOB=a b");
  auto_result struct result result;
  rig_run (rig, &job, &result);
  rig_assert_ran (&result, 0);
  auto_strlist struct strlist lines = { 0 };
  char *rest = result.out.data;
  for (char *line = strsep (&rest, "\n"); line != NULL; line = strsep (&rest, "\n"))
    if (line[0] != '\0')
      strlist_add (&lines, line);
  qsort (lines.items, lines.count, sizeof *lines.items, compare_lines);
  static const char *const image[] = { "FROM_JOB=a b", "FROM_SHOAL=yes", "HOME=/", "PATH=/bin" };
  static const char *const host[] = {
    "FROM_JOB=a b", "FROM_SHOAL=yes",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
  };
  const char *const *expected = rig_is_oci (rig) ? image : host;
  assert_int_equal (lines.count, rig_is_oci (rig) ? 4 : 3);
  for (size_t i = 0; i < lines.count; i++)
    assert_string_equal (lines.items[i], expected[i]);
}

static void
the_network_is_a_loopback_alone (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  /* What an interface is called stands before a colon, behind two lines of titles. */
  rig_shell (&job, "sed -n '3,$s/^ *\\([^:]*\\):.*/\\1/p' /proc/net/dev; "
                   "[ ! -d /sys/class/net ] || ls /sys/class/net | sed 's/^lo$/lo/'; "
                   "grep -c lo /proc/net/if_inet6");
  auto_result struct result result;
  rig_run (rig, &job, &result);
  rig_assert_ran (&result, 0);
  if (strcmp (result.out.data, "lo\nlo\n1\n") != 0 && strcmp (result.out.data, "lo\n1\n") != 0)
    fail_msg ("it printed:\n%s", result.out.data);
  auto_job struct job host;
  rig_shell (&host, "readlink /proc/self/ns/net");
  host.network = NETWORK_HOST;
  auto_result struct result shared;
  rig_run (rig, &host, &shared);
  char ours[64] = "";
  assert_true (readlink ("/proc/self/ns/net", ours, sizeof ours - 2) > 0);
  assert_printed (&shared, strcat (ours, "\n"));
}

/* ---- the kernel's files ----------------------------------------------------------------- */

static void
the_kernels_secrets_are_masked (void **state)
{
  struct rig *rig = *state;
  if (!rig_is_oci (rig))
    return;
  auto_job struct job job;
  rig_shell (&job,
             "for f in /proc/acpi /proc/asound /proc/interrupts /proc/kcore /proc/keys "
             "/proc/latency_stats "
             "/proc/sched_debug /proc/scsi /proc/timer_list /proc/timer_stats "
             "/sys/devices/virtual/powercap /sys/firmware "
             "/sys/devices/system/cpu/cpu*/thermal_throttle; do "
             "if [ -d $f ]; then ls -A $f; elif [ -e $f ]; then head -c 100 $f; fi; done; "
             "for f in /proc/sysrq-trigger /proc/sys/vm/swappiness /proc/sys/kernel/core_pattern "
             "/proc/irq/default_smp_affinity; do [ -e $f ] && ( : >> $f ) 2>/dev/null && echo "
             "$f is writable; done; "
             "[ -d /sys/kernel ] && touch /sys/kernel/profiling 2>/dev/null && echo /sys is "
             "writable; exit 0");
  auto_result struct result result;
  rig_run (rig, &job, &result);
  assert_printed (&result, "");
}

/* ---- what options promise --------------------------------------------------------------- */

static void
nothing_is_written_where_all_is_read_only (void **state)
{
  struct rig *rig = *state;
  auto_job struct job job;
  rig_shell (&job, "for at in / /etc /tmp /usr /var \"$FOLDER\"; do "
                   "echo x > \"$at/shoal-mine\" && echo \"written in $at\"; done; "
                   "echo y > /shoal-scratch/y && cat /shoal-scratch/y; "
                   "echo z > /shoal-out/z && cat /shoal-out/z");
  job.read_only = true;
  strlist_addf (&job.env, "FOLDER=%s", rig->folder);
  strlist_add (&job.tmpfs, "/shoal-scratch");
  auto_result struct result result;
  run_with_folders (rig, &job, rig->folder, &result);
  assert_printed (&result, "y\nz\n");
}

static void
memory_is_as_it_was_asked_for (void **state)
{
  struct rig *rig = *state;
  auto_job struct job plain;
  rig_shell (&plain,
             "stat -c %a /shoal-scratch; cd /shoal-scratch; "
             "printf '#!/bin/sh\\necho ran\\n' > run; chmod 755 run; ./run || echo refused");
  strlist_add (&plain.tmpfs, "/shoal-scratch");
  auto_result struct result result;
  rig_run (rig, &plain, &result);
  assert_printed (&result, "1777\nrefused\n");
  free (plain.tmpfs.items[0]);
  plain.tmpfs.items[0] = xstrdup ("/shoal-scratch:size=1m,nr_inodes=20,mode=0750,exec");
  auto_result struct result shaped;
  rig_run (rig, &plain, &shaped);
  assert_printed (&shaped, "750\nran\n");
  static const char *const bad[] = { "dev",        "suid", "size=1m:x",
                                     "lowerdir=/", "bind", "rw,exec,remount" };
  for (size_t i = 0; i < 6; i++)
    {
      free (plain.tmpfs.items[0]);
      plain.tmpfs.items[0] = xasprintf ("/shoal-scratch:%s", bad[i]);
      auto_result struct result refused;
      rig_run (rig, &plain, &refused);
      assert_refused (&refused, "--tmpfs");
    }
}

static void
folders_are_made_in_the_container_alone (void **state)
{
  struct rig *rig = *state;
  auto_free char *host = xasprintf ("/tmp/shoal-made-%d", (int) getpid ());
  auto_free char *up = xasprintf ("/../../../../../../../../../../..%s", host);
  auto_free char *memory = xasprintf ("%s:size=1m", up);
  auto_job struct job job;
  rig_shell (&job, "true");
  strlist_add (&job.tmpfs, memory);
  auto_result struct result tmpfs;
  rig_run (rig, &job, &tmpfs);
  assert_refused (&tmpfs, "\"..\"");
  strlist_release (&job.tmpfs);
  if (rig_is_oci (rig))
    {
      job.workdir = xstrdup (up);
      auto_result struct result result;
      rig_run (rig, &job, &result);
      assert_refused (&result, "\"..\"");
      free (job.workdir);
      job.workdir = xstrdup ("/bin/busybox");
      auto_result struct result file;
      rig_run (rig, &job, &file);
      assert_refused (&file, "working folder /bin/busybox: /bin/busybox is a file in the image");
    }
  else
    {
      /* The host's folders are seen at their places: what isn't there stays away. */
      const struct rig_mount inside = { "/etc", host, false };
      auto_result struct result result;
      rig_run_mounted (rig, &job, &inside, 1, &result);
      assert_refused (&result, "create it first");
      strlist_add (&job.tmpfs, host);
      auto_result struct result memory_inside;
      rig_run (rig, &job, &memory_inside);
      assert_refused (&memory_inside, "create it first");
    }
  assert_int_equal (access (host, F_OK), -1);
}

/* ---- images ----------------------------------------------------------------------------- */

static void
links_of_an_image_lead_where_they_did (void **state)
{
  struct rig *rig = *state;
  if (!rig_is_oci (rig))
    return;
  auto_free char *rootfs = find_rootfs (rig);
  auto_free char *link = xasprintf ("%s/etc/shoal-link", rootfs);
  assert_int_equal (symlink ("/tmp", link), 0);
  auto_free char *in = rig_folder (rig, "linked");
  auto_free char *file = xasprintf ("%s/a", in);
  assert_int_equal (fs_write_file (AT_FDCWD, file, (struct bytes){ "text\n", 5 }, NULL), 0);
  const struct rig_mount mounts[] = { { in, "/etc/shoal-link/deep/in", false } };
  auto_job struct job job;
  rig_shell (&job, "readlink /etc/shoal-link; cat /tmp/deep/in/a; stat -c %a /tmp");
  auto_result struct result result;
  rig_run_mounted (rig, &job, mounts, 1, &result);
  assert_int_equal (unlink (link), 0);
  assert_printed (&result, "/tmp\ntext\n1777\n");
}

static void
an_image_whose_system_folders_are_links_gets_folders (void **state)
{
  struct rig *rig = *state;
  if (!rig_is_oci (rig))
    return;
  static const char *const names[] = { "dev", "proc", "sys" };
  auto_free char *rootfs = find_rootfs (rig);
  auto_fd int fd = fs_open_folder (AT_FDCWD, rootfs, NULL);
  assert_true (fd >= 0);
  for (size_t i = 0; i < 3; i++)
    {
      auto_free char *aside = xasprintf ("etc/shoal-%s", names[i]);
      assert_int_equal (renameat (fd, names[i], fd, aside), 0);
      assert_int_equal (symlinkat ("/etc", fd, names[i]), 0);
    }
  auto_job struct job job;
  rig_shell (&job, "for f in dev proc sys; do [ -L /$f ] && echo /$f is a link; done; "
                   "for f in null self firmware; do [ -e /etc/$f ] && echo /etc/$f is there; done; "
                   "[ -c /dev/null ] && [ -d /proc/self ] && echo fine");
  auto_result struct result result;
  rig_run (rig, &job, &result);
  for (size_t i = 0; i < 3; i++)
    {
      auto_free char *aside = xasprintf ("etc/shoal-%s", names[i]);
      assert_int_equal (unlinkat (fd, names[i], 0), 0);
      assert_int_equal (renameat (fd, aside, fd, names[i]), 0);
    }
  assert_printed (&result, "fine\n");
}

/* ---- other places ----------------------------------------------------------------------- */

/* Overlay on overlay can't be written: the writable layer goes to memory. */
static void
scratch_folders_that_hold_no_layer_do (void **state)
{
  struct rig *rig = *state;
  if (!rig_is_oci (rig) || !is_root ())
    return;
  char place[] = "/tmp/shoal-overlay-XXXXXX";
  assert_non_null (mkdtemp (place));
  assert_int_equal (mount ("tmpfs", place, "tmpfs", 0, NULL), 0);
  static const char *const folders[] = { "low", "up", "work", "top" };
  for (size_t i = 0; i < 4; i++)
    {
      auto_free char *path = xasprintf ("%s/%s", place, folders[i]);
      assert_int_equal (mkdir (path, 0755), 0);
    }
  auto_free char *options =
      xasprintf ("lowerdir=%s/low,upperdir=%s/up,workdir=%s/work", place, place, place);
  auto_free char *top = xasprintf ("%s/top", place);
  assert_int_equal (mount ("overlay", top, "overlay", 0, options), 0);
  char *folder = rig->folder;
  rig->folder = top;
  auto_job struct job job;
  rig_shell (&job, "echo x > /mine; cat /mine; grep ' / / ' /proc/self/mountinfo | cut -d' ' -f6");
  auto_result struct result result;
  rig_run (rig, &job, &result);
  rig->folder = folder;
  assert_int_equal (umount (top), 0);
  assert_int_equal (umount (place), 0);
  assert_int_equal (rmdir (place), 0);
  assert_printed (&result, "x\nrw,nosuid,nodev,relatime\n");
}

/* A path is bytes. */
static void
inputs_are_called_as_they_like (void **state)
{
  static const char *const names[] = { "a,b:c\\d", " ",      "\n",       "\"quotes'",
                                       "-v",       "#;$(x)", "%s\x1b[0m" };
  struct rig *rig = *state;
  for (size_t i = 0; i < 7; i++)
    {
      auto_free char *in = rig_folder (rig, names[i]);
      auto_free char *file = xasprintf ("%s/a", in);
      assert_int_equal (fs_write_file (AT_FDCWD, file, (struct bytes){ "text\n", 5 }, NULL), 0);
      auto_free char *target = xasprintf ("/shoal-in/%s", names[i]);
      const struct rig_mount mounts[] = { { in, target, false } };
      auto_job struct job job;
      rig_shell (&job, "cat /shoal-in/*/a");
      auto_result struct result result;
      rig_run_mounted (rig, &job, mounts, 1, &result);
      assert_printed (&result, "text\n");
    }
}

/* The runtime's configuration is JSON, which is UTF-8. */
static void
bytes_that_arent_text_are_a_clear_error (void **state)
{
  struct rig *rig = *state;
  auto_free char *in = rig_folder (rig, "\xff\xfe");
  const struct rig_mount mounts[] = { { in, "/shoal-in", false } };
  const struct rig_mount points[] = { { in, "/shoal-\xff", false } };
  auto_job struct job job;
  rig_shell (&job, "printf '\xff\n'");
  strlist_add (&job.env, "SECRET=hidden\xff");
  auto_result struct result words;
  rig_run (rig, &job, &words);
  strlist_release (&job.command);
  strlist_add (&job.command, "env");
  auto_result struct result variables;
  rig_run (rig, &job, &variables);
  strlist_release (&job.env);
  auto_result struct result paths;
  rig_run_mounted (rig, &job, mounts, 1, &paths);
  rig_assert_ran (&paths, 0);
  auto_result struct result places;
  rig_run_mounted (rig, &job, points, 1, &places);
  if (rig_is_oci (rig))
    {
      assert_refused (&words, "isn't UTF-8");
      assert_refused (&variables, "variable SECRET isn't UTF-8");
      assert_null (strstr (variables.err.message, "hidden"));
      assert_refused (&places, "isn't UTF-8");
      return;
    }
  assert_printed (&words, "\xff\n");
  assert_non_null (strstr (variables.out.data, "SECRET=hidden\xff\n"));
  rig_assert_ran (&places, 0);
}

/* ---- the suite -------------------------------------------------------------------------- */

static int
set_up (void **state)
{
  /* Mounts of the tests are for this process alone. */
  if (is_root ()
      && (unshare (CLONE_NEWNS) != 0 || mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0))
    return -1;
  return rig_set_up (state);
}

int
container_isolation_run (const struct container_conformance *subject)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (mounts_have_no_devices_and_no_set_id_programs),
    cmocka_unit_test (what_is_mounted_below_an_input_is_read_only),
    cmocka_unit_test (a_kernel_that_cant_make_inputs_read_only_is_an_error),
    cmocka_unit_test (devices_cant_be_made),
    cmocka_unit_test (devices_that_are_there_cant_be_opened),
    cmocka_unit_test (the_devices_are_the_standard_ones),
    cmocka_unit_test (users_groups_and_capabilities_are_exactly_these),
    cmocka_unit_test (a_filter_is_in_force),
    cmocka_unit_test (namespaces_are_its_own),
    cmocka_unit_test (root_of_a_user_namespace_is_nobody_outside),
    cmocka_unit_test (descriptors_are_the_standard_three),
    cmocka_unit_test (variables_are_those_that_were_given),
    cmocka_unit_test (the_network_is_a_loopback_alone),
    cmocka_unit_test (the_kernels_secrets_are_masked),
    cmocka_unit_test (nothing_is_written_where_all_is_read_only),
    cmocka_unit_test (memory_is_as_it_was_asked_for),
    cmocka_unit_test (folders_are_made_in_the_container_alone),
    cmocka_unit_test (links_of_an_image_lead_where_they_did),
    cmocka_unit_test (an_image_whose_system_folders_are_links_gets_folders),
    cmocka_unit_test (scratch_folders_that_hold_no_layer_do),
    cmocka_unit_test (inputs_are_called_as_they_like),
    cmocka_unit_test (bytes_that_arent_text_are_a_clear_error),
  };
  rig_use (subject);
  auto_free char *name = xasprintf (
      "isolation: %s", subject->oci_program != NULL ? subject->oci_program : subject->runtime);
  return cmocka_run_group_tests_name (name, tests, set_up, rig_tear_down);
}
