/* cgroup_v2.h — where slots' groups go under version 2: below the group that we were started in.
 *
 *     GROUP/               ours, by Delegate=yes or a container's own; hands controllers on, so no
 *                          process may be in it
 *     GROUP/shoal-worker/  where its processes, all of them shoal's, are moved to
 *     GROUP/slot-NAME/     one a slot
 */
#ifndef SHOAL_WORKER_CGROUP_V2_H
#define SHOAL_WORKER_CGROUP_V2_H

#include <stdbool.h>

#define CGROUP_ROOT "/sys/fs/cgroup"

/* Whether this host has version 2 alone. */
bool cgroup_is_v2 (void);

/* The folder of GROUP, which the caller frees; NULL when it can't be told. */
char *cgroup_v2_own (void);

/* The same, made ready for slots, and into HOME where a process goes that leaves its slot's. NULL
 * when it can't be: errno, or WHY (the caller frees both) says why. */
char *cgroup_v2_parent (char **home, char **why);

#endif
