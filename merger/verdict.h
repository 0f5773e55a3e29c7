/* verdict.h — whether a job counts as done: its limits held against its counts. Pure functions.
 *
 *     every shard succeeded                         SUCCEEDED
 *     … of a plan that leaves quarantined inputs out PARTIAL    counts as done
 *     at least min_success of them                  PARTIAL     counts as done
 *     fewer; the limits were passed; reduce failed  FAILED
 *     its pilot failed                              FAILED
 *     cancelled before every shard had ended        CANCELLED
 */
#ifndef SHOAL_MERGER_VERDICT_H
#define SHOAL_MERGER_VERDICT_H

#include "merger/fold.h"
#include "schemas/messages.h"

#include <stdint.h>

struct verdict
{
  enum job_state state;
  char *reason; /* why it isn't SUCCEEDED; NULL */
};

void verdict_release (struct verdict *verdict);
#define auto_verdict AUTO (verdict_release)

/* Why JOB should be given up now, AGE_MS after it began; NULL: it should go on. The caller
 * frees. */
char *verdict_give_up (const struct job *job, const struct fold *fold, int64_t age_ms);

/* What the map shards came to, once they are settled. */
struct verdict verdict_of_shards (const struct job *job, const struct fold *fold);

/* The job's: that, and the reduce shard's where there is one. */
struct verdict verdict_final (const struct job *job, const struct fold *fold);

/* Whether a job that ended as STATE counts as done. */
static inline bool
verdict_is_done (enum job_state state)
{
  return state == JOB_SUCCEEDED || state == JOB_PARTIAL;
}

#endif
