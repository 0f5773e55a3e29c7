/* retry.h — what follows an attempt: nothing more, or the same shard again later.
 *
 *     succeeded, cancelled                              settled
 *     failed in a code of fail_on, or never ran         settled
 *     failed, oom, timeout                              again, up to job.retries times; after an
 *                                                       oom with more memory where the job says so
 *     infra                                             again, up to max_infra times, not counted
 *                                                       as a failure
 *
 * A pure function of its arguments: the same attempt gives the same retry, to the millisecond.
 */
#ifndef SHOAL_WORKER_RETRY_H
#define SHOAL_WORKER_RETRY_H

#include "schemas/messages.h"

#include <stdbool.h>
#include <stdint.h>

#define RETRY_BACKOFF_DEFAULT_MS 1000
#define RETRY_BACKOFF_MAX_MS 60000
#define RETRY_INFRA_DEFAULT 5

struct retry_limits
{
  int32_t max_infra;  /* infra failures of a shard that are still retried */
  int64_t backoff_ms; /* the first retry's delay */
};

/* Sets REPORT->final. When it isn't final, fills zeroed RETRY with what is to be published (the
 * caller releases it) and returns true. NOW is UTC ms. */
bool retry_decide (const struct job *job, const struct shard *shard,
                   const struct retry_limits *limits, int64_t now, struct attempt_report *report,
                   struct shard *retry);

/* Milliseconds before the retry number NTH (from 1) of SHARD: backoff_ms doubled each time up to
 * RETRY_BACKOFF_MAX_MS, of which a half to the whole, so that shards that failed together don't
 * come back together. */
int64_t retry_delay (const struct shard *shard, uint32_t nth, int64_t backoff_ms);

/* Whether EXIT_CODE counts as success for JOB. */
bool retry_is_success (const struct job *job, int32_t exit_code);

#endif
