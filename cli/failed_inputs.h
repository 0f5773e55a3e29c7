/* failed_inputs.h — the inputs of a job that are to blame for its failed shards. */
#ifndef SHOAL_CLI_FAILED_INPUTS_H
#define SHOAL_CLI_FAILED_INPUTS_H

#include "cli/counters.h"
#include "cli/session.h"

/* Whether a shard's end, of which REPORT tells (NULL: nothing is known), may be its inputs' fault:
 * not what kept its command from running, unless that was an input. */
bool failed_inputs_blamed (const struct shard_record *record, const struct attempt_report *report);

/* The shard INDEX of SESSION's plan into zeroed SHARD. 0 or -1. */
int failed_inputs_shard (const struct session *session, uint32_t index, struct shard *shard,
                         struct error *err);

/* The container path of SHARD's only input; the caller frees. NULL with ERR. */
char *failed_inputs_only (const struct session *session, const struct shard *shard,
                          struct error *err);

/* The inputs of shards of SESSION's job that failed with one input alone, the first MOST of them in
 * PATHS; how many there are, or -1. *SEVERAL: whether others failed that have several. */
int64_t failed_inputs_alone (const struct session *session, const struct counters *counters,
                             size_t most, struct strlist *paths, bool *several, struct error *err);

#endif
