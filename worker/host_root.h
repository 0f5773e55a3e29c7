/* host_root.h — the root of a command without a container: the host's folders, and the job's mounts
 * at their places. */
#ifndef SHOAL_WORKER_HOST_ROOT_H
#define SHOAL_WORKER_HOST_ROOT_H

#include "worker/container.h"

/* Makes it over the container's scratch folder SCRATCH_FD and becomes it; for a process in mount,
 * PID and (NETWORK_NONE) network namespaces of its own. What the host has is read-only where the
 * job says so. Nothing is ever made in the host's folders: a mount point there is an ERROR_USER
 * when it lacks. */
int host_root_enter (int scratch_fd, const struct container *container, struct error *err);

#endif
