#include "merger/verdict.h"

#include "common/memory.h"
#include "merger/pilot.h"

void
verdict_release (struct verdict *verdict)
{
  free (verdict->reason);
  *verdict = (struct verdict){ 0 };
}

/* Whether PART is more than BASIS_POINTS of ALL. */
static bool
verdict_is_more (int64_t part, int32_t basis_points, int64_t all)
{
  return (__int128) part * 10000 > (__int128) basis_points * all;
}

static const char *
ending (int64_t number)
{
  return number == 1 ? "" : "s";
}

/* Why a job whose pilot failed is given up. */
static char *
verdict_of_pilot (const struct job *job, const struct fold *fold)
{
  struct fold_counts counts = fold_counts (fold);
  int64_t left = fold_shards (fold) - counts.succeeded - counts.failed;
  return xasprintf ("%lld of the pilot's %lld shard%s failed; the other %lld of the job didn't run",
                    (long long) pilot_failures (job, fold), (long long) job->pilot,
                    ending (job->pilot), (long long) left);
}

char *
verdict_give_up (const struct job *job, const struct fold *fold, int64_t age_ms)
{
  struct fold_counts counts = fold_counts (fold);
  if (fold_cancelled (fold) || fold_settled (fold, false))
    return NULL;
  if (fold_problem (fold) != NULL)
    return xstrdup (fold_problem (fold));
  if (job->max_failures >= 0 && counts.failed > job->max_failures)
    return xasprintf ("%lld shard%s failed, more than the %lld allowed", (long long) counts.failed,
                      ending (counts.failed), (long long) job->max_failures);
  if (job->max_failures_bp >= 0 && fold_planned (fold)
      && verdict_is_more (counts.failed, job->max_failures_bp, fold_shards (fold)))
    return xasprintf ("%lld of %lld shard%s failed, more than the %g%% allowed",
                      (long long) counts.failed, (long long) fold_shards (fold),
                      ending (fold_shards (fold)), (double) job->max_failures_bp / 100);
  if (pilot_state (job, fold) == PILOT_FAILED)
    return verdict_of_pilot (job, fold);
  char text[UNITS_TEXT_SIZE];
  if (job->job_timeout_ms >= 0 && age_ms > job->job_timeout_ms)
    return xasprintf ("the job exceeded its time limit of %s",
                      units_format_duration (job->job_timeout_ms, text));
  return NULL;
}

static struct verdict
failed (char *reason)
{
  return (struct verdict){ .state = JOB_FAILED, .reason = reason };
}

static char *
count_reason (const struct fold *fold)
{
  struct fold_counts counts = fold_counts (fold);
  long long shards = (long long) fold_shards (fold);
  long long ended = (long long) (counts.failed + counts.succeeded);
  if (ended >= shards)
    return xasprintf ("%lld of %lld shard%s failed", (long long) counts.failed, shards,
                      ending (shards));
  return xasprintf ("%lld of %lld shard%s failed, %lld did not finish", (long long) counts.failed,
                    shards, ending (shards), shards - ended);
}

static struct verdict
verdict_cancelled (const struct fold *fold)
{
  const char *reason = fold_cancel_reason (fold);
  return (struct verdict){ .state = fold_given_up (fold) ? JOB_FAILED : JOB_CANCELLED,
                           .reason = xstrdup (reason != NULL ? reason : "cancelled") };
}

/* Every shard of the plan succeeded. */
static struct verdict
verdict_complete (const struct job *job)
{
  size_t left_out = job->quarantined.count;
  if (left_out == 0)
    return (struct verdict){ .state = JOB_SUCCEEDED };
  return (struct verdict){ .state = JOB_PARTIAL,
                           .reason = xasprintf ("complete except %zu quarantined input%s", left_out,
                                                ending ((int64_t) left_out)) };
}

struct verdict
verdict_of_shards (const struct job *job, const struct fold *fold)
{
  struct fold_counts counts = fold_counts (fold);
  int64_t shards = fold_shards (fold);
  const char *failure = fold_failure (fold, NULL);
  if (failure != NULL)
    return failed (xstrdup (failure));
  if (fold_problem (fold) != NULL)
    return failed (xstrdup (fold_problem (fold)));
  bool cut_short = fold_cancelled (fold) && (!fold_complete (fold) || fold_given_up (fold));
  if (cut_short)
    return verdict_cancelled (fold);
  if (counts.succeeded >= shards)
    return verdict_complete (job);
  bool enough = !verdict_is_more (shards - counts.succeeded, 10000 - job->min_success, shards);
  if (enough)
    return (struct verdict){ .state = JOB_PARTIAL, .reason = count_reason (fold) };
  return failed (count_reason (fold));
}

struct verdict
verdict_final (const struct job *job, const struct fold *fold)
{
  struct verdict verdict = verdict_of_shards (job, fold);
  if (job->reduce_image == NULL || !verdict_is_done (verdict.state))
    return verdict;
  const struct shard_record *reduce = fold_reduce (fold);
  if (reduce != NULL && reduce->state == SHARD_SUCCEEDED)
    return verdict;
  verdict_release (&verdict);
  if (fold_cancelled (fold))
    return verdict_cancelled (fold);
  if (reduce == NULL)
    return failed (xstrdup ("the reduce container did not run"));
  return failed (xasprintf ("the reduce container failed: %s, exit code %d",
                            outcome_name ((enum outcome) reduce->outcome), reduce->exit_code));
}
