/* cgroup.h — one control group a slot: limits of what runs in it, and the truth about memory.
 *
 * The slot process joins its group once (joining costs up to 36 ms in bursts), its containers are born in it. Version 1:
 * a folder shoal/SLOT in each of memory, pids, cpu and cpuacct. Version 2: below the slot's own group, where that may be
 * written to.
 */
#ifndef SHOAL_WORKER_CGROUP_H
#define SHOAL_WORKER_CGROUP_H

#include "common/auto.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

struct cgroup;

/* Joins a new group NAME. NULL when the host allows none: WHY (the caller frees) says why. Empty groups of dead slots are removed. */
struct cgroup *cgroup_open (const char *name, char **why);

/* Sets limits for the next run; -1: none. */
int cgroup_limit (struct cgroup *group, int64_t memory, int32_t milli_cpus, int64_t pids,
                  struct error *err);

struct cgroup_usage
{
  int64_t cpu_us;      /* of all that ran in the group */
  int64_t peak_memory; /* since cgroup_reset; -1 */
  int64_t oom_kills;
};

void cgroup_reset (struct cgroup *group);
void cgroup_read (const struct cgroup *group, struct cgroup_usage *usage);

/* "cgroup v1 (memory, pids, cpu)". Owned by the group. */
const char *cgroup_describe (const struct cgroup *group);

/* Leaves the group and removes it. */
void cgroup_close (struct cgroup *group);

#endif
