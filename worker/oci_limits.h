/* oci_limits.h — limits of a container's processes, which this worker must have itself. */
#ifndef SHOAL_WORKER_OCI_LIMITS_H
#define SHOAL_WORKER_OCI_LIMITS_H

#include "common/error.h"
#include "schemas/messages.h"

/* Whether JOB's ulimits are within our own hard ones; another worker may have higher ones. */
int oci_limits_check (const struct job *job, struct error *err);

#endif
