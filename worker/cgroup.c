#include "worker/cgroup.h"

#include "common/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define V1_ROOT "/sys/fs/cgroup"
#define PARENT "shoal"

enum
{
  CPU_PERIOD_US = 100000,
  CPU_SHARES = 1024, /* the kernel's default weight */
  V1_CONTROLLERS = 4,
};

static const char *const v1_controllers[V1_CONTROLLERS] = { "memory", "pids", "cpu", "cpuacct" };

struct cgroup
{
  bool v2;
  char *paths[V1_CONTROLLERS]; /* v2: only the first */
  char *home;                  /* v2: the group to go back to */
  int64_t memory;              /* limits as they were written last */
  int32_t milli_cpus;
  int64_t pids;
};

/* ---- files ------------------------------------------------------------------------------ */

static int
write_text (const char *folder, const char *name, const char *text)
{
  auto_free char *path = xasprintf ("%s/%s", folder, name);
  auto_fd int fd = open (path, O_WRONLY | O_CLOEXEC);
  if (fd < 0)
    return -1;
  return write (fd, text, strlen (text)) < 0 ? -1 : 0;
}

static int
write_number (const char *folder, const char *name, int64_t number)
{
  char text[32];
  (void) snprintf (text, sizeof text, "%lld", (long long) number);
  return write_text (folder, name, text);
}

/* The file NAME, at most SIZE - 1 bytes, into TEXT. */
static bool
read_text (const char *folder, const char *name, char *text, size_t size)
{
  auto_free char *path = xasprintf ("%s/%s", folder, name);
  auto_fd int fd = open (path, O_RDONLY | O_CLOEXEC);
  ssize_t got = fd < 0 ? -1 : read (fd, text, size - 1);
  text[got > 0 ? got : 0] = '\0';
  return got > 0;
}

static int64_t
read_number (const char *folder, const char *name)
{
  char text[64];
  return read_text (folder, name, text, sizeof text) ? strtoll (text, NULL, 10) : -1;
}

/* The number behind KEY in a file of "key number" lines; -1 when it isn't there. */
static int64_t
read_key (const char *folder, const char *name, const char *key)
{
  char text[4096];
  if (!read_text (folder, name, text, sizeof text))
    return -1;
  size_t length = strlen (key);
  for (const char *line = text; line != NULL; line = strchr (line, '\n'))
    {
      line += *line == '\n';
      if (strncmp (line, key, length) == 0 && line[length] == ' ')
        return strtoll (line + length, NULL, 10);
    }
  return -1;
}

/* ---- opening ---------------------------------------------------------------------------- */

/* Groups that no process is in any more can be removed, others can't: a slot that lives is safe. */
static void
sweep (const char *parent)
{
  auto_dir DIR *dir = opendir (parent);
  for (const struct dirent *entry = dir == NULL ? NULL : readdir (dir); entry != NULL;
       entry = readdir (dir))
    if (entry->d_type == DT_DIR && strncmp (entry->d_name, "slot-", 5) == 0)
      (void) unlinkat (dirfd (dir), entry->d_name, AT_REMOVEDIR);
}

static bool
join_v1 (struct cgroup *group, const char *name)
{
  for (int i = 0; i < V1_CONTROLLERS; i++)
    {
      auto_free char *parent = xasprintf (V1_ROOT "/%s/" PARENT, v1_controllers[i]);
      group->paths[i] = xasprintf ("%s/slot-%s", parent, name);
      if (mkdir (parent, 0755) != 0 && errno != EEXIST)
        return false;
      sweep (parent);
      /* All slots together weigh as much as a process a core would: else they'd share the weight of one. */
      if (strcmp (v1_controllers[i], "cpu") == 0)
        (void) write_number (parent, "cpu.shares",
                             CPU_SHARES * (int64_t) sysconf (_SC_NPROCESSORS_ONLN));
      if ((mkdir (group->paths[i], 0755) != 0 && errno != EEXIST)
          || write_text (group->paths[i], "cgroup.procs", "0") != 0)
        return false;
    }
  return true;
}

/* Our own group's folder under version 2. */
static char *
own_v2_group (void)
{
  char text[4096];
  if (!read_text ("/proc/self", "cgroup", text, sizeof text))
    return NULL;
  const char *line = strstr (text, "0::");
  if (line == NULL)
    return NULL;
  return xasprintf (V1_ROOT "%.*s", (int) strcspn (line + 3, "\n"), line + 3);
}

/* A group beside the worker's processes; the parent must hold no processes to hand controllers on. */
static bool
join_v2 (struct cgroup *group, const char *name)
{
  group->home = own_v2_group ();
  if (group->home == NULL)
    return false;
  auto_free char *leaf = xasprintf ("%s/shoal-worker", group->home);
  group->paths[0] = xasprintf ("%s/slot-%s", group->home, name);
  if (write_text (group->home, "cgroup.subtree_control", "+memory +pids +cpu") != 0)
    {
      /* The worker itself may still sit in it: move to a leaf first. */
      if ((mkdir (leaf, 0755) != 0 && errno != EEXIST)
          || write_number (leaf, "cgroup.procs", getppid ()) != 0
          || write_text (leaf, "cgroup.procs", "0") != 0
          || write_text (group->home, "cgroup.subtree_control", "+memory +pids +cpu") != 0)
        return false;
    }
  sweep (group->home);
  return (mkdir (group->paths[0], 0755) == 0 || errno == EEXIST)
         && write_text (group->paths[0], "cgroup.procs", "0") == 0;
}

struct cgroup *
cgroup_open (const char *name, char **why)
{
  struct statfs status;
  struct cgroup *group = xcalloc (1, sizeof *group);
  group->memory = -1;
  group->milli_cpus = -1;
  group->pids = -1;
  group->v2 = statfs (V1_ROOT, &status) == 0 && status.f_type == CGROUP2_SUPER_MAGIC;
  if (group->v2 ? join_v2 (group, name) : join_v1 (group, name))
    return group;
  *why = xasprintf ("cgroup %s can't be written to: %s", group->v2 ? "v2" : "v1", strerror (errno));
  cgroup_close (group);
  return NULL;
}

void
cgroup_close (struct cgroup *group)
{
  if (group == NULL)
    return;
  for (int i = 0; i < V1_CONTROLLERS; i++)
    {
      auto_free char *root = xasprintf (V1_ROOT "/%s", v1_controllers[i]);
      if (group->paths[i] != NULL)
        {
          (void) write_text (group->v2 ? group->home : root, "cgroup.procs", "0");
          (void) rmdir (group->paths[i]);
        }
      free (group->paths[i]);
    }
  free (group->home);
  free (group);
}

const char *
cgroup_describe (const struct cgroup *group)
{
  return group->v2 ? "cgroup v2" : "cgroup v1";
}

/* ---- limits and usage ------------------------------------------------------------------- */

static int
limit_v1 (const struct cgroup *group, int64_t memory, int32_t milli_cpus, int64_t pids)
{
  int64_t quota = milli_cpus < 0 ? -1 : (int64_t) milli_cpus * CPU_PERIOD_US / 1000;
  int outcome = 0;
  if (memory != group->memory)
    {
      /* memory + swap may not be below memory at any moment: lift it first, then set both. */
      (void) write_number (group->paths[0], "memory.memsw.limit_in_bytes", -1);
      outcome |= write_number (group->paths[0], "memory.limit_in_bytes", memory);
      (void) write_number (group->paths[0], "memory.memsw.limit_in_bytes", memory);
    }
  if (pids != group->pids)
    outcome |= pids < 0 ? write_text (group->paths[1], "pids.max", "max")
                        : write_number (group->paths[1], "pids.max", pids);
  if (milli_cpus != group->milli_cpus)
    outcome |= write_number (group->paths[2], "cpu.cfs_quota_us", quota);
  return outcome;
}

static int
limit_v2 (const struct cgroup *group, int64_t memory, int32_t milli_cpus, int64_t pids)
{
  char quota[64] = "max 100000";
  if (milli_cpus >= 0)
    (void) snprintf (quota, sizeof quota, "%lld %d", (long long) milli_cpus * CPU_PERIOD_US / 1000,
                     CPU_PERIOD_US);
  const char *path = group->paths[0];
  int outcome = memory < 0 ? write_text (path, "memory.max", "max")
                           : write_number (path, "memory.max", memory);
  if (memory >= 0)
    (void) write_text (path, "memory.swap.max", "0");
  outcome |=
      pids < 0 ? write_text (path, "pids.max", "max") : write_number (path, "pids.max", pids);
  return outcome | write_text (path, "cpu.max", quota);
}

int
cgroup_limit (struct cgroup *group, int64_t memory, int32_t milli_cpus, int64_t pids,
              struct error *err)
{
  if (memory == group->memory && milli_cpus == group->milli_cpus && pids == group->pids)
    return 0;
  int outcome = group->v2 ? limit_v2 (group, memory, milli_cpus, pids)
                          : limit_v1 (group, memory, milli_cpus, pids);
  if (outcome != 0)
    return error_errno (err, errno, "setting limits in %s", group->paths[0]);
  group->memory = memory;
  group->milli_cpus = milli_cpus;
  group->pids = pids;
  return 0;
}

void
cgroup_reset (struct cgroup *group)
{
  if (group->v2)
    (void) write_text (group->paths[0], "memory.peak", "reset");
  else
    (void) write_text (group->paths[0], "memory.max_usage_in_bytes", "0");
}

void
cgroup_read (const struct cgroup *group, struct cgroup_usage *usage)
{
  if (group->v2)
    {
      usage->cpu_us = read_key (group->paths[0], "cpu.stat", "usage_usec");
      usage->peak_memory = read_number (group->paths[0], "memory.peak");
      usage->oom_kills = read_key (group->paths[0], "memory.events", "oom_kill");
      return;
    }
  int64_t nanoseconds = read_number (group->paths[3], "cpuacct.usage");
  usage->cpu_us = nanoseconds < 0 ? -1 : nanoseconds / 1000;
  usage->peak_memory = read_number (group->paths[0], "memory.max_usage_in_bytes");
  usage->oom_kills = read_key (group->paths[0], "memory.oom_control", "oom_kill");
}
