/* Control groups of slots as they are on this machine: many that are made at once, those of the
 * dead, devices. Everything that joins a group does it in a child of its own. Where the host allows
 * no groups that is said, and there is nothing to test. */
#include "worker/cgroup.h"

#include "common/clock.h"
#include "common/memory.h"
#include "tests/lib/file_tree.h"
#include "worker/cgroup_folder.h"
#include "worker/cgroup_v2.h"
#include "worker/device_rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

enum
{
  SLOTS = 64,
  ROUNDS = 40, /* of each slot; SHOAL_ROUNDS in their place */
  SWEEPERS = 4,
  PATIENCE_MS = 20000,
};

static const int64_t LIMIT = (int64_t) 512 << 20;

/* ---- children --------------------------------------------------------------------------- */

/* Why a child fails: its text goes to the test's standard error. */
static void
die (const char *what, const char *why)
{
  (void) fprintf (stderr, "%s: %s\n", what, why);
  _exit (1);
}

static struct cgroup *
open_or_die (const char *name)
{
  struct cgroup *group = NULL;
  char *why = NULL;
  struct error err = ERROR_INIT;
  if (cgroup_open (name, &group, &why, &err) != 0)
    die (name, err.message);
  if (group == NULL)
    die (name, why);
  return group;
}

static void
expect_child (pid_t pid)
{
  int status = 0;
  assert_int_equal (waitpid (pid, &status, 0), pid);
  assert_true (WIFEXITED (status));
  assert_int_equal (WEXITSTATUS (status), 0);
}

/* Whether this host has groups for us. */
static bool
has_groups (void)
{
  pid_t pid = fork ();
  if (pid == 0)
    {
      struct cgroup *group = NULL;
      char *why = NULL;
      if (cgroup_open ("test-probe", &group, &why, NULL) == 0 && group != NULL)
        _exit (0);
      print_message ("SKIPPED: %s\n", why == NULL ? "no control groups" : why);
      _exit (1);
    }
  int status = 0;
  assert_int_equal (waitpid (pid, &status, 0), pid);
  return status == 0;
}

/* The line of /proc/PID/cgroup that speaks of the slot NAME; false when there is none. */
static bool
is_in_group (pid_t pid, const char *name)
{
  char text[8192];
  auto_free char *folder = xasprintf ("/proc/%d", (int) pid);
  auto_free char *group = xasprintf ("/" CGROUP_SLOT_PREFIX "%s-", name);
  auto_fd int fd = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return cgroup_read_text (fd, "cgroup", text, sizeof text) && strstr (text, group) != NULL
         && strstr (text, " (deleted)") == NULL;
}

/* How many groups of the slot NAME there are on this machine, in all hierarchies. */
static int
count_groups (const char *name)
{
  static const char *const parents[] = {
    "/sys/fs/cgroup/memory/shoal",  "/sys/fs/cgroup/pids/shoal",    "/sys/fs/cgroup/cpu/shoal",
    "/sys/fs/cgroup/cpuacct/shoal", "/sys/fs/cgroup/devices/shoal", "/sys/fs/cgroup"
  };
  auto_free char *start = xasprintf (CGROUP_SLOT_PREFIX "%s-", name);
  int count = 0;
  for (size_t i = 0; i < sizeof parents / sizeof *parents; i++)
    {
      auto_dir DIR *dir = opendir (parents[i]);
      for (const struct dirent *entry = dir == NULL ? NULL : readdir (dir); entry != NULL;
           entry = readdir (dir))
        count += strncmp (entry->d_name, start, strlen (start)) == 0 ? 1 : 0;
    }
  return count;
}

/* A process in GROUP that waits until it is killed. */
struct inside
{
  pid_t pid;
};

static void
start_inside (void *context, int into)
{
  struct inside *inside = context;
  inside->pid = into < 0 ? fork () : cgroup_v2_fork (into, 0, NULL);
  while (inside->pid == 0)
    (void) pause ();
}

static void
kill_inside (const struct inside *inside)
{
  (void) kill (inside->pid, SIGKILL);
  (void) waitpid (inside->pid, NULL, 0);
}

/* ---- many at once ----------------------------------------------------------------------- */

static void
be_a_slot (int number, int rounds)
{
  auto_free char *name = xasprintf ("test%d-%d", (int) getppid (), number);
  for (int i = 0; i < rounds; i++)
    {
      struct cgroup *group = open_or_die (name);
      struct error err = ERROR_INIT;
      struct cgroup_usage usage;
      if (cgroup_limit (group, LIMIT + (i % 2), -1, 100, &err) != 0)
        die (name, err.message);
      cgroup_reset (group);
      cgroup_read (group, &usage);
      struct inside inside;
      cgroup_call (group, start_inside, &inside);
      if (usage.cpu_us < 0 || !is_in_group (inside.pid, name))
        die (name, "its group is gone");
      if (is_in_group (getpid (), name))
        die (name, "the slot is in the group of its containers");
      kill_inside (&inside);
      cgroup_close (group);
    }
  _exit (0);
}

static void
be_a_sweeper (void)
{
  for (;;)
    (void) cgroup_sweep (0);
}

static void
groups_of_many_slots_that_start_at_once_stay (void **state)
{
  (void) state;
  if (!has_groups ())
    return;
  const char *given = getenv ("SHOAL_ROUNDS");
  int rounds = given == NULL ? ROUNDS : atoi (given);
  pid_t sweepers[SWEEPERS];
  pid_t slots[SLOTS];
  (void) fflush (NULL);
  for (int i = 0; i < SWEEPERS; i++)
    if ((sweepers[i] = fork ()) == 0)
      be_a_sweeper ();
  for (int i = 0; i < SLOTS; i++)
    if ((slots[i] = fork ()) == 0)
      be_a_slot (i, rounds);
  int bad = 0;
  for (int i = 0; i < SLOTS; i++)
    {
      int status = 0;
      assert_int_equal (waitpid (slots[i], &status, 0), slots[i]);
      bad += status == 0 ? 0 : 1;
    }
  for (int i = 0; i < SWEEPERS; i++)
    {
      (void) kill (sweepers[i], SIGKILL);
      assert_int_equal (waitpid (sweepers[i], NULL, 0), sweepers[i]);
    }
  print_message ("%d slots opened and closed %d groups each\n", SLOTS, rounds);
  assert_int_equal (bad, 0);
  auto_free char *all = xasprintf ("test%d", (int) getpid ());
  assert_int_equal (count_groups (all), 0);
}

/* A second slot, which begins when it can read a byte. The two are forked before either has its
 * group, which is a thread as well. */
static void
be_second (const char *name, int go)
{
  char byte = 0;
  if (read (go, &byte, 1) != 1)
    die (name, "there is no first slot");
  int one = count_groups (name);
  struct cgroup *group = open_or_die (name);
  if (one < 1 || count_groups (name) != 2 * one)
    die (name, "the two share a group");
  cgroup_close (group);
  _exit (0);
}

static void
two_slots_of_one_name_have_a_group_each (void **state)
{
  (void) state;
  if (!has_groups ())
    return;
  auto_free char *name = xasprintf ("test-twice%d", (int) getpid ());
  pid_t pid = fork ();
  if (pid == 0)
    {
      int go[2];
      if (pipe2 (go, O_CLOEXEC) != 0)
        die (name, "pipe");
      pid_t child = fork ();
      if (child == 0)
        {
          (void) close (go[1]);
          be_second (name, go[0]);
        }
      struct cgroup *group = open_or_die (name);
      int status = 1;
      if (write (go[1], "", 1) != 1)
        die (name, "pipe");
      (void) waitpid (child, &status, 0);
      cgroup_close (group);
      _exit (status == 0 ? 0 : 1);
    }
  expect_child (pid);
  assert_int_equal (count_groups (name), 0);
}

/* ---- the dead --------------------------------------------------------------------------- */

/* A slot NAME with a process in its group, the pid of which it writes into FD; killed later. */
static void
be_killed (const char *name, int fd)
{
  struct inside inside;
  cgroup_call (open_or_die (name), start_inside, &inside);
  if (write (fd, &inside.pid, sizeof inside.pid) != (ssize_t) sizeof inside.pid)
    die (name, "pipe");
  for (;;)
    (void) pause ();
}

static void
what_killed_slots_left_is_removed_when_nothing_runs_in_it (void **state)
{
  (void) state;
  if (!has_groups ())
    return;
  auto_free char *name = xasprintf ("test-killed%d", (int) getpid ());
  int ends[2];
  assert_int_equal (pipe2 (ends, O_CLOEXEC), 0);
  pid_t slot = fork ();
  if (slot == 0)
    be_killed (name, ends[1]);
  pid_t inside = 0;
  assert_int_equal (read (ends[0], &inside, sizeof inside), sizeof inside);
  (void) close (ends[0]);
  (void) close (ends[1]);
  int groups = count_groups (name);
  assert_true (groups > 0);
  (void) cgroup_sweep (0); /* it lives */
  assert_int_equal (count_groups (name), groups);
  assert_int_equal (kill (slot, SIGKILL), 0);
  assert_int_equal (waitpid (slot, NULL, 0), slot);
  /* The other process has the lock's descriptor too, being a mere fork: both must be gone. */
  (void) cgroup_sweep (0);
  assert_int_equal (count_groups (name), groups);
  assert_int_equal (kill (inside, SIGKILL), 0);
  int64_t end = clock_boot_ms () + PATIENCE_MS;
  while (count_groups (name) > 0 && clock_boot_ms () < end)
    (void) cgroup_sweep (1000);
  assert_int_equal (count_groups (name), 0);
}

static void
a_group_that_is_held_but_empty_stays (void **state)
{
  (void) state;
  struct statfs status;
  bool v2 = statfs ("/sys/fs/cgroup", &status) == 0 && status.f_type == CGROUP2_SUPER_MAGIC;
  const char *parent = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/pids/shoal";
  if (!has_groups () || v2)
    return;
  auto_free char *path =
      xasprintf ("%s/" CGROUP_SLOT_PREFIX "test-held%d-0", parent, (int) getpid ());
  assert_true (mkdir (parent, 0755) == 0 || errno == EEXIST);
  assert_int_equal (mkdir (path, 0700), 0);
  auto_fd int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  assert_true (fd >= 0);
  assert_int_equal (flock (fd, LOCK_EX | LOCK_NB), 0);
  (void) cgroup_sweep (0);
  assert_int_equal (access (path, F_OK), 0);
  assert_int_equal (flock (fd, LOCK_UN), 0);
  (void) cgroup_sweep (0);
  assert_int_equal (access (path, F_OK), -1);
}

/* ---- devices ---------------------------------------------------------------------------- */

static void
expect_opens (const char *path, int flags, bool expected)
{
  auto_fd int fd = open (path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if ((fd >= 0) != expected || (!expected && errno != EPERM))
    die (path, expected ? strerror (errno) : "wasn't refused");
}

static void
expect_made (const char *folder, const char *name, mode_t type, dev_t device, bool expected)
{
  auto_free char *path = xasprintf ("%s/%s", folder, name);
  if ((mknod (path, type | 0600, device) == 0) != expected || (!expected && errno != EPERM))
    die (path, expected ? strerror (errno) : "wasn't refused");
}

/* What is true of devices when the rule is in force. FOLDER holds kmsg, a node that was made
 * before: the kernel's messages, not a thing that a container has. */
static void
expect_confined (const char *folder)
{
  auto_free char *before = xasprintf ("%s/kmsg", folder);
  expect_opens ("/dev/null", O_RDWR, true);
  expect_opens ("/dev/zero", O_RDONLY, true);
  expect_opens ("/dev/full", O_RDWR, true);
  expect_opens ("/dev/random", O_RDONLY, true);
  expect_opens ("/dev/urandom", O_RDONLY, true);
  expect_opens ("/dev/ptmx", O_RDWR, true);
  expect_opens (before, O_RDONLY, false);
  expect_made (folder, "null", S_IFCHR, makedev (1, 3), true);
  expect_made (folder, "whiteout", S_IFCHR, makedev (0, 0), true);
  expect_made (folder, "other", S_IFCHR, makedev (1, 11), false);
  expect_made (folder, "mem", S_IFCHR, makedev (1, 1), false);
  expect_made (folder, "disk", S_IFBLK, makedev (7, 0), false);
  expect_made (folder, "block-null", S_IFBLK, makedev (1, 3), false);
  auto_free char *made = xasprintf ("%s/null", folder);
  expect_opens (made, O_RDWR, true);
}

/* A folder with kmsg in it, which opens. NULL when this user can't make nodes. */
static struct file_tree *
make_nodes (void)
{
  auto_file_tree struct file_tree *tree = file_tree_new ();
  auto_free char *path = file_tree_path (tree, "kmsg");
  if (mknod (path, S_IFCHR | 0600, makedev (1, 11)) != 0)
    {
      print_message ("SKIPPED: no device can be made here: %s\n", strerror (errno));
      return NULL;
    }
  auto_fd int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  assert_true (fd >= 0);
  return take (&tree);
}

/* The kernel's messages as a job may have them: to be read, no more. */
static const struct device_access kmsg_read = { .major = 1, .minor = 11, .read = true };
/* /dev/null's numbers, of which there is no block device. */
static const struct device_access block_made = {
  .block = true, .major = 1, .minor = 3, .made = true
};

/* The same with two devices more, in that order. */
static void
expect_more (const char *folder)
{
  auto_free char *before = xasprintf ("%s/kmsg", folder);
  expect_opens ("/dev/null", O_RDWR, true);
  expect_opens (before, O_RDONLY, true);
  expect_opens (before, O_WRONLY, false);
  expect_opens (before, O_RDWR, false);
  expect_made (folder, "other-more", S_IFCHR, makedev (1, 11), false);
  expect_made (folder, "block-more", S_IFBLK, makedev (1, 3), true);
  expect_made (folder, "disk-more", S_IFBLK, makedev (7, 0), false);
}

struct confined
{
  const char *folder;
  void (*expect) (const char *folder);
  pid_t pid;
};

static void
expect_confined_inside (void *context, int into)
{
  struct confined *confined = context;
  confined->pid = into < 0 ? fork () : cgroup_v2_fork (into, 0, NULL);
  if (confined->pid != 0)
    return;
  confined->expect (confined->folder);
  _exit (0);
}

/* Whether what EXPECT looks for is so of a process that is born in GROUP. */
static bool
is_so_inside (struct cgroup *group, const char *folder, void (*expect) (const char *folder))
{
  int status = 1;
  struct confined confined = { .folder = folder, .expect = expect };
  cgroup_call (group, expect_confined_inside, &confined);
  (void) waitpid (confined.pid, &status, 0);
  return status == 0;
}

static void
a_slots_group_holds_devices_back (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = make_nodes ();
  if (tree == NULL || !has_groups ())
    return;
  pid_t pid = fork ();
  if (pid == 0)
    {
      struct cgroup *group = open_or_die ("test-devices");
      if (!cgroup_confine_devices (group))
        die ("cgroup_confine_devices", strerror (errno));
      bool good = is_so_inside (group, tree->folder, expect_confined);
      cgroup_close (group);
      auto_free char *path = file_tree_path (tree, "kmsg");
      expect_opens (path, O_RDONLY, true);
      _exit (good ? 0 : 1);
    }
  expect_child (pid);
  assert_int_equal (count_groups ("test-devices"), 0);
}

/* They are one run's. */
static void
a_job_has_devices_of_its_own (void **state)
{
  (void) state;
  auto_file_tree struct file_tree *tree = make_nodes ();
  auto_file_tree struct file_tree *after = make_nodes ();
  if (tree == NULL || after == NULL || !has_groups ())
    return;
  pid_t pid = fork ();
  if (pid == 0)
    {
      const struct device_access more[] = { kmsg_read, block_made };
      struct error err = ERROR_INIT;
      struct cgroup *group = open_or_die ("test-more");
      if (!cgroup_confine_devices (group))
        die ("cgroup_confine_devices", strerror (errno));
      if (cgroup_allow_devices (group, more, 2, &err) != 0)
        die ("cgroup_allow_devices", err.message);
      bool good = is_so_inside (group, tree->folder, expect_more);
      if (cgroup_allow_devices (group, NULL, 0, &err) != 0)
        die ("cgroup_allow_devices", err.message);
      good = is_so_inside (group, after->folder, expect_confined) && good;
      cgroup_close (group);
      _exit (good ? 0 : 1);
    }
  expect_child (pid);
  assert_int_equal (count_groups ("test-more"), 0);
}

/* On a machine with version 1 as well: programs for devices need no controller. */
static void
the_program_for_version_2_says_the_same (void **state)
{
  (void) state;
  static const char *const places[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
  const char *parent = NULL;
  struct statfs status;
  for (size_t i = 0; i < 2 && parent == NULL; i++)
    if (statfs (places[i], &status) == 0 && status.f_type == CGROUP2_SUPER_MAGIC
        && access (places[i], W_OK) == 0)
      parent = places[i];
  auto_file_tree struct file_tree *tree = make_nodes ();
  auto_file_tree struct file_tree *second = make_nodes ();
  auto_file_tree struct file_tree *third = make_nodes ();
  if (tree == NULL || second == NULL || third == NULL || parent == NULL)
    {
      print_message ("SKIPPED: no cgroup2 that can be written to\n");
      return;
    }
  auto_free char *name = xasprintf (CGROUP_SLOT_PREFIX "test-program%d", (int) getpid ());
  pid_t pid = fork ();
  if (pid == 0)
    {
      struct cgroup_folder folder = CGROUP_FOLDER_INIT;
      if (cgroup_folder_make (&folder, parent, name) != 0)
        die (parent, strerror (errno));
      int program = -1;
      static void (*const expected[]) (const char *folder) = { expect_confined, expect_more,
                                                               expect_confined };
      const struct device_access more[] = { kmsg_read, block_made };
      struct file_tree *const trees[] = { tree, second, third };
      int end = 0;
      for (size_t i = 0; i < 3 && end == 0; i++)
        {
          if (device_rule_attach (folder.fd, more, i == 1 ? 2 : 0, &program) != 0)
            die ("device_rule_attach", strerror (errno));
          struct confined confined = { .folder = trees[i]->folder, .expect = expected[i] };
          expect_confined_inside (&confined, folder.fd);
          (void) waitpid (confined.pid, &end, 0);
        }
      auto_fd_ (&program);
      cgroup_folder_remove (&folder);
      auto_free char *path = file_tree_path (tree, "kmsg");
      expect_opens (path, O_RDONLY, true);
      _exit (end == 0 ? 0 : 1);
    }
  expect_child (pid);
  auto_free char *left = xasprintf ("%s/%s", parent, name);
  assert_int_equal (access (left, F_OK), -1);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (groups_of_many_slots_that_start_at_once_stay),
    cmocka_unit_test (two_slots_of_one_name_have_a_group_each),
    cmocka_unit_test (what_killed_slots_left_is_removed_when_nothing_runs_in_it),
    cmocka_unit_test (a_group_that_is_held_but_empty_stays),
    cmocka_unit_test (a_slots_group_holds_devices_back),
    cmocka_unit_test (a_job_has_devices_of_its_own),
    cmocka_unit_test (the_program_for_version_2_says_the_same),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
