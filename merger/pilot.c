#include "merger/pilot.h"

uint32_t
pilot_shard (int64_t i, int64_t n, int64_t shards)
{
  return n == 1 ? 0 : (uint32_t) ((__int128) i * (shards - 1) / (n - 1));
}

int64_t
pilot_failures (const struct job *job, const struct fold *fold)
{
  int64_t failures = 0;
  for (int64_t i = 0; i < job->pilot; i++)
    {
      uint32_t index = pilot_shard (i, job->pilot, fold_shards (fold));
      failures += fold_shard (fold, index)->state == SHARD_FAILED;
    }
  return failures;
}

enum pilot_state
pilot_state (const struct job *job, const struct fold *fold)
{
  if (job->pilot < 0)
    return PILOT_NONE;
  if (!fold_planned (fold))
    return PILOT_OPEN;
  if (job->pilot >= fold_shards (fold))
    return PILOT_NONE;
  int64_t succeeded = 0;
  int64_t failed = 0;
  for (int64_t i = 0; i < job->pilot; i++)
    {
      uint32_t index = pilot_shard (i, job->pilot, fold_shards (fold));
      uint8_t state = fold_shard (fold, index)->state;
      succeeded += state == SHARD_SUCCEEDED;
      failed += state == SHARD_FAILED;
    }
  /* A plan that was made anew (retry --split) has other shards first and between. */
  bool passed_before = fold_counts (fold).succeeded > succeeded;
  if (passed_before || succeeded == job->pilot)
    return PILOT_PASSED;
  return succeeded + failed < job->pilot ? PILOT_RUNS : PILOT_FAILED;
}
