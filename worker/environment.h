/* environment.h — what a container's environment says about the shard it runs. */
#ifndef SHOAL_WORKER_ENVIRONMENT_H
#define SHOAL_WORKER_ENVIRONMENT_H

#include "schemas/messages.h"

#include <stdint.h>

/* Adds to ENV: SHOAL_JOB_ID, SHOAL_ATTEMPT, TRACEPARENT; where the job is sharded
 * SHOAL_SHARD_INDEX, SHOAL_SHARD_COUNT (when known) and SHOAL_ATOMS_FILE. */
void environment_fill (const struct job *job, const struct shard *shard, uint32_t starts,
                       struct strlist *env);

#endif
