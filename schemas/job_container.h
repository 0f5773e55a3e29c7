/* job_container.h — what a job may say of a container's own things: its name, groups, capabilities,
 * resource limits, devices, shared memory and platform. All of them need a container. */
#ifndef SHOAL_SCHEMAS_JOB_CONTAINER_H
#define SHOAL_SCHEMAS_JOB_CONTAINER_H

#include "common/error.h"
#include "schemas/job.h"

int job_check_hostname (struct job *job, struct error *err);
int job_check_groups (struct job *job, struct error *err);
int job_check_cap_drop (struct job *job, struct error *err);
int job_check_ulimits (struct job *job, struct error *err);
int job_check_devices (struct job *job, struct error *err);
int job_check_shm_size (struct job *job, struct error *err);
int job_check_platform (struct job *job, struct error *err);

/* Whether an OCI runtime's configuration, which is JSON, can hold what JOB says; FIELD names what
 * it can't hold. The value of a variable may be a secret and isn't in the error. */
int job_check_utf8 (const struct job *job, const char **field, struct error *err);

/* Whether JOB's root shall be without CAPABILITY, "CAP_CHOWN". */
bool job_drops_capability (const struct job *job, const char *capability);

#endif
