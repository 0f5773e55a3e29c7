/* pack_attempts.h — `run --pack-attempts`: what shards leave behind is packed once the job has
 * succeeded (result/attempt_pack.h).
 *
 * What a pack can't do: run or merge some shards again beside the others, whose outputs are then
 * the result's alone. */
#ifndef SHOAL_CLI_PACK_ATTEMPTS_H
#define SHOAL_CLI_PACK_ATTEMPTS_H

#include "cli/counters.h"
#include "cli/session.h"

/* Packs the attempts of the job of SESSION, which is ours, if it SUCCEEDED and its result is a
 * folder. What fails is told on stderr: the result is there and whole. */
void pack_attempts_of (const struct session *session, const struct counters *counters,
                       const struct job_status *status);

/* ERROR_USER where not all that the shards of JOB make is in its result, and would be lost. */
int pack_attempts_check_job (const struct job *job, struct error *err);

/* ERROR_USER where the attempts were packed: nothing of them can be merged again. */
int pack_attempts_check (const struct session *session, struct error *err);

#endif
