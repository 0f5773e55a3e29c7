#include "merger/verdict.h"

#include "common/memory.h"

enum
{
  EVERY_SHARD = 10000, /* basis points */
};

char *
verdict_give_up (const struct job *job, const struct job_status *counts)
{
  if (job->max_failures >= 0 && counts->failed > job->max_failures)
    return xasprintf ("%lld shards failed, more than --max-failures %lld allows",
                      (long long) counts->failed, (long long) job->max_failures);
  if (job->max_failures_bp >= 0 && counts->shards > 0
      && counts->failed * EVERY_SHARD > counts->shards * job->max_failures_bp)
    return xasprintf ("%lld of %lld shards failed, more than --max-failures %g%% allows",
                      (long long) counts->failed, (long long) counts->shards,
                      job->max_failures_bp / 100.0);
  return NULL;
}

/* The reduce container is one more shard without which there is no result. */
static bool
reduce_failed (const struct job *job, const struct fold *fold)
{
  const struct shard_record *reduce = fold_reduce (fold);
  return job->reduce_image != NULL && reduce != NULL && reduce->state == SHARD_FAILED;
}

enum job_state
verdict_state (const struct job *job, const struct fold *fold, char **reason)
{
  struct job_status counts = { 0 };
  fold_counts (fold, &counts);
  *reason = NULL;
  if (fold_problem (fold) != NULL)
    {
      *reason = xstrdup (fold_problem (fold));
      char *gave_up = verdict_give_up (job, &counts);
      bool failed = !fold_cancelled (fold) || gave_up != NULL;
      free (gave_up);
      return failed ? JOB_FAILED : JOB_CANCELLED;
    }
  if (counts.failed > 0)
    {
      *reason = xasprintf ("%lld of %lld shards failed", (long long) counts.failed,
                           (long long) counts.shards);
      if (counts.succeeded * EVERY_SHARD < counts.shards * job->min_success
          || counts.succeeded == 0)
        return JOB_FAILED;
    }
  if (reduce_failed (job, fold))
    {
      free (*reason);
      *reason = xstrdup ("the reduce container failed");
      return JOB_FAILED;
    }
  return counts.failed > 0 ? JOB_PARTIAL : JOB_SUCCEEDED;
}
