/* cgroup.h — one control group a slot: limits of its containers, and the truth about their memory.
 *
 * Containers are born in it, as joining costs up to 36 ms in bursts. The slot itself stays outside:
 * what a job may take is the job's, whatever staging and collecting need. Version 1: a folder
 * shoal/slot-NAME in each of memory, pids, cpu and cpuacct, and in devices where it is asked for; a
 * thread of the slot is in them. Version 2: below the worker's own group, where that may be written
 * to. Each folder is locked as long as its slot lives.
 */
#ifndef SHOAL_WORKER_CGROUP_H
#define SHOAL_WORKER_CGROUP_H

#include "common/auto.h"
#include "common/error.h"
#include "worker/device_rule.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cgroup;

/* Makes a group for the containers of the slot NAME. 0 and GROUP, which is NULL when this host
 * allows none: WHY (the caller frees) says why. -1 with ERR when it does and something went wrong.
 */
int cgroup_open (const char *name, struct cgroup **group, char **why, struct error *err);

/* Calls FUNCTION where what it clones is born in the group: in another thread (version 1), or here
 * with INTO, a descriptor for clone3's CLONE_INTO_CGROUP (version 2), else -1. Returns when that
 * has returned. */
void cgroup_call (struct cgroup *group, void (*function) (void *context, int into), void *context);

/* From now on only what every container needs of devices can be opened and made in the group: null,
 * zero, full, random, urandom, tty and pseudo terminals. False with errno when this host can't do
 * that. */
bool cgroup_confine_devices (struct cgroup *group);

/* Where they are confined: for the next run COUNT devices MORE can be opened, and none of those of
 * the run before. */
int cgroup_allow_devices (struct cgroup *group, const struct device_access *more, size_t count,
                          struct error *err);

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

/* A folder of the group, as PATH of the host, and its NAME below /sys/fs/cgroup of a container, to
 * which its group is all there is. Both are the group's. */
struct cgroup_view
{
  const char *name; /* "" where it is the only one */
  const char *path;
};

enum
{
  CGROUP_VIEWS_MAX = 4,
};

/* Fills VIEWS: how many there are. */
size_t cgroup_views (const struct cgroup *group, struct cgroup_view views[CGROUP_VIEWS_MAX]);

/* "cgroup v1" or "cgroup v2". */
const char *cgroup_describe (const struct cgroup *group);

/* Removes the group, in which nothing runs any more. */
void cgroup_close (struct cgroup *group);

/* Removes what slots left that were killed, everywhere on this machine. Waits up to WAIT_MS for
 * what is about to end in them. False when something still is: there is more to be removed then. */
bool cgroup_sweep (int wait_ms);

#endif
