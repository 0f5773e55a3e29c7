/* again.h — a result's job begun anew beside the result: `run --again` and `run --update`.
 *
 * The new one grows at PLACE.partial and takes PLACE in one step when it is whole; what was there
 * is at PLACE.before then. With --update shards whose atoms are the same take over what the earlier
 * ones made.
 */
#ifndef SHOAL_CLI_AGAIN_H
#define SHOAL_CLI_AGAIN_H

#include "cli/session.h"

struct again_args
{
  bool update;
  bool again;
};

extern const struct option_spec again_options[];

/* Whether JOB's command can know which shard it runs: another number may make it do other things.
 */
bool again_knows_index (const struct job *job);

/* SESSION, open and ours, is of the earlier job; becomes that of JOB, submitted and, with UPDATE,
 * planned. *REUSED: shards that needn't run. 0 or -1. */
int again_begin (struct session *session, const struct job *job, bool update, int64_t *reused,
                 struct error *err);

#endif
