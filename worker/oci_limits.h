/* oci_limits.h — limits of a container and of its processes, which this worker must have itself. */
#ifndef SHOAL_WORKER_OCI_LIMITS_H
#define SHOAL_WORKER_OCI_LIMITS_H

#include "common/error.h"
#include "schemas/messages.h"
#include "worker/cgroup.h"

/* Whether JOB's ulimits are within our own hard ones; another worker may have higher ones. */
int oci_limits_check (const struct job *job, struct error *err);

enum
{
  OCI_LIMITS_PIDS = 2048, /* Podman's, so that a fork bomb isn't the whole host's */
};

/* Sets JOB's limits for the next run in GROUP (NULL: none), and BEFORE to what ran there so far. */
int oci_limits_set (struct cgroup *group, const struct job *job, struct cgroup_usage *before,
                    struct error *err);

#endif
