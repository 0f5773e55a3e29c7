/* shard_check.h — what must hold of a shard before a worker believes it: whoever may write to the
 * bus can make one up. */
#ifndef SHOAL_SCHEMAS_SHARD_CHECK_H
#define SHOAL_SCHEMAS_SHARD_CHECK_H

#include "common/error.h"
#include "schemas/messages.h"

/* Whether SHARD can be one of JOB's (which passed job_check): its numbers, its kind, its list of
 * atoms. ERROR_USER. */
int shard_check (const struct shard *shard, const struct job *job, struct error *err);

#endif
