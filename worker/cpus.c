#include "worker/cpus.h"

#include "common/auto.h"
#include "common/memory.h"
#include "worker/cgroup_folder.h"
#include "worker/cgroup_v2.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define V1_CPU CGROUP_ROOT "/cpu"

enum
{
  CPUS_TEXT_MAX = 4096,
  MILLI = 1000,
};

static long
milli_of (long long quota, long long period)
{
  return quota <= 0 || period <= 0 || quota > LONG_MAX / MILLI ? -1
                                                               : (long) (quota * MILLI / period);
}

long
cpus_of_max (const char *text)
{
  long long quota = -1;
  long long period = -1;
  return sscanf (text, "%lld %lld", &quota, &period) == 2 ? milli_of (quota, period) : -1;
}

static long
cpus_of_group (int folder)
{
  char text[64];
  char period[64];
  if (cgroup_read_text (folder, "cpu.max", text, sizeof text))
    return cpus_of_max (text);
  if (!cgroup_read_text (folder, "cpu.cfs_quota_us", text, sizeof text)
      || !cgroup_read_text (folder, "cpu.cfs_period_us", period, sizeof period))
    return -1;
  return milli_of (strtoll (text, NULL, 10), strtoll (period, NULL, 10));
}

/* This process's group under version 1, as it calls it: what it is called from outside of a
 * container may not be there, but the root of what is mounted is. The caller frees. */
static char *
cpus_v1_group (void)
{
  char text[CPUS_TEXT_MAX];
  auto_fd int self = open ("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (!cgroup_read_text (self, "cgroup", text, sizeof text))
    return NULL;
  for (char *line = strtok (text, "\n"); line != NULL; line = strtok (NULL, "\n"))
    {
      const char *names = strchr (line, ':');
      const char *path = names == NULL ? NULL : strchr (names + 1, ':');
      if (path != NULL && (strncmp (names, ":cpu:", 5) == 0 || strncmp (names, ":cpu,", 5) == 0))
        return xasprintf (V1_CPU "%s", path + 1);
    }
  return NULL;
}

/* The least that the group and those above it grant. */
static long
cpus_of_groups (void)
{
  auto_free char *path = cgroup_is_v2 () ? cgroup_v2_own () : cpus_v1_group ();
  long least = -1;
  while (path != NULL && strlen (path) >= strlen (CGROUP_ROOT))
    {
      auto_fd int folder = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      long granted = folder < 0 ? -1 : cpus_of_group (folder);
      if (granted >= 0 && (least < 0 || granted < least))
        least = granted;
      *strrchr (path, '/') = '\0';
    }
  return least;
}

int
cpus_usable (const char **why)
{
  cpu_set_t set;
  long cores = sysconf (_SC_NPROCESSORS_ONLN);
  long usable = cores > 0 ? cores : 1;
  *why = "cores";
  if (sched_getaffinity (0, sizeof set, &set) == 0 && CPU_COUNT (&set) < usable)
    {
      usable = CPU_COUNT (&set);
      *why = "affinity";
    }
  long granted = cpus_of_groups ();
  long whole = (granted + MILLI - 1) / MILLI;
  if (granted >= 0 && whole < usable)
    {
      usable = whole;
      *why = "cgroup";
    }
  return usable > 0 ? (int) usable : 1;
}
