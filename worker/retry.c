#include "worker/retry.h"

#include "common/hash.h"

#include <string.h>

static bool
has_code (const struct codes *codes, int32_t exit_code)
{
  return exit_code >= 0 && exit_code < 256 && codes->has[exit_code];
}

bool
retry_is_success (const struct job *job, int32_t exit_code)
{
  return exit_code == 0 || has_code (&job->success_codes, exit_code);
}

/* FNV-1a with a final mix: spreads neighbouring indexes and attempts, nothing more is asked of
 * it. */
static uint64_t
hash_shard (const struct shard *shard)
{
  const char *id = shard->job_id != NULL ? shard->job_id : "";
  uint64_t hash = hash_bytes (id, strlen (id));
  const uint32_t numbers[] = { shard->generation, shard->index, shard->attempt };
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    hash = (hash ^ numbers[i]) * HASH_PRIME;
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccdU;
  return hash ^ (hash >> 33);
}

int64_t
retry_delay (const struct shard *shard, uint32_t nth, int64_t backoff_ms)
{
  if (backoff_ms <= 0)
    return 0;
  int64_t delay = backoff_ms < RETRY_BACKOFF_MAX_MS ? backoff_ms : RETRY_BACKOFF_MAX_MS;
  for (uint32_t i = 1; i < nth && delay < RETRY_BACKOFF_MAX_MS; i++)
    delay = delay * 2 < RETRY_BACKOFF_MAX_MS ? delay * 2 : RETRY_BACKOFF_MAX_MS;
  int64_t half = delay / 2;
  return delay - (int64_t) (hash_shard (shard) % (uint64_t) (half + 1));
}

/* Whether another attempt could change anything at all. */
static bool
may_help (const struct job *job, const struct attempt_report *report)
{
  switch (report->outcome)
    {
    case OUTCOME_SUCCEEDED:
    case OUTCOME_CANCELLED:
      return false;
    case OUTCOME_FAILED:
      return report->exit_code >= 0 && !has_code (&job->fail_on, report->exit_code);
    case OUTCOME_OOM:
    case OUTCOME_TIMEOUT:
      return !has_code (&job->fail_on, report->exit_code);
    case OUTCOME_INFRA:
      return true;
    }
  return false;
}

/* What the attempt after one of SHARD that ran out of memory has. */
static int64_t
retry_memory (const struct job *job, const struct shard *shard)
{
  int64_t most = job_memory_most (job);
  int64_t memory = shard->memory > 0 ? shard->memory : job->memory;
  return memory >= most * 100 / job->retry_memory ? most : memory * job->retry_memory / 100;
}

bool
retry_decide (const struct job *job, const struct shard *shard, const struct retry_limits *limits,
              int64_t now, struct attempt_report *report, struct shard *retry)
{
  bool infra = report->outcome == OUTCOME_INFRA;
  uint32_t used = (infra ? shard->infra : shard->failures) + 1;
  int64_t allowed = infra ? limits->max_infra : job->retries;
  report->final =
      !may_help (job, report) || (int64_t) used > allowed || shard->attempt == UINT32_MAX;
  if (report->final)
    return false;
  shard_copy (retry, shard);
  retry->attempt = shard->attempt + 1;
  retry->failures += infra ? 0 : 1;
  retry->infra += infra ? 1 : 0;
  if (report->outcome == OUTCOME_OOM && job->retry_memory > 0 && job->memory > 0)
    retry->memory = retry_memory (job, shard);
  retry->not_before = now + retry_delay (shard, used, limits->backoff_ms);
  return true;
}
