/* cgroup_v2.h — where slots' groups go under version 2: below the group that we were started in.
 *
 *     GROUP/               ours, by Delegate=yes or a container's own; hands controllers on, so no
 *                          process may be in it
 *     GROUP/shoal-worker/  where its processes, all of them shoal's, are moved to
 *     GROUP/slot-NAME/     one for the containers of each slot
 */
#ifndef SHOAL_WORKER_CGROUP_V2_H
#define SHOAL_WORKER_CGROUP_V2_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CGROUP_ROOT "/sys/fs/cgroup"

/* Whether this host has version 2 alone. */
bool cgroup_is_v2 (void);

/* The folder of GROUP, which the caller frees; NULL when it can't be told. */
char *cgroup_v2_own (void);

/* The same, made ready for slots. NULL when it can't be: errno, or WHY (the caller frees) says
 * why. */
char *cgroup_v2_parent (char **why);

/* As fork, with FLAGS for clone3 besides, into the group FOLDER. *PIDFD is set where it isn't NULL.
 * The child's pid, in the child 0; -1 with errno. */
pid_t cgroup_v2_fork (int folder, uint64_t flags, int *pidfd);

/* Whether a process can be born in the group FOLDER: 0, or -1 with errno. */
int cgroup_v2_try (int folder);

#endif
