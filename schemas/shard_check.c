#include "schemas/shard_check.h"

#include "schemas/job_bounds.h"

#include <string.h>

enum
{
  ATTEMPTS_MAX = 1000000, /* of a shard: retries, and those that the machine failed */
};

#define PLAN_LENGTH_MAX ((int64_t) 1 << 32) /* bytes of one shard's list */

struct shard_range
{
  const char *name;
  int64_t value;
  int64_t least;
  int64_t most;
};

static int
shard_check_ranges (const struct shard *shard, struct error *err)
{
  const struct shard_range ranges[] = {
    { "generation", shard->generation, 1, JOB_COUNT_MAX },
    { "index", shard->index, 0, JOB_COUNT_MAX },
    { "count", shard->count, -1, JOB_COUNT_MAX },
    { "attempt", shard->attempt, 1, ATTEMPTS_MAX },
    { "failures", shard->failures, 0, ATTEMPTS_MAX },
    { "infra", shard->infra, 0, ATTEMPTS_MAX },
    { "not_before", shard->not_before, 0, JOB_TIME_MAX_MS },
    { "atom_count", shard->atom_count, 0, JOB_COUNT_MAX },
    { "bytes", shard->bytes, -1, JOB_BYTES_MAX },
    { "memory", shard->memory, -1, JOB_BYTES_MAX },
    { "plan.offset", shard->plan_offset, -1, JOB_BYTES_MAX },
    { "plan.length", shard->plan_length, -1, PLAN_LENGTH_MAX },
  };
  for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
    if (ranges[i].value < ranges[i].least || ranges[i].value > ranges[i].most)
      return error_set (err, ERROR_USER, "%s: %lld is out of range: expected %lld to %lld",
                        ranges[i].name, (long long) ranges[i].value, (long long) ranges[i].least,
                        (long long) ranges[i].most);
  return 0;
}

int
shard_check (const struct shard *shard, const struct job *job, struct error *err)
{
  if (shard_check_ranges (shard, err) != 0)
    return error_wrap (err, "the shard");
  if (shard->job_id == NULL || strcmp (shard->job_id, job->id) != 0)
    return error_set (err, ERROR_USER, "the shard: it does not belong to the job %s", job->id);
  if (shard->kind == SHARD_REDUCE && job->reduce_image == NULL)
    return error_set (err, ERROR_USER, "the shard: kind: the job has no reduce image");
  if ((shard->plan_offset < 0) != (shard->plan_length < 0)
      || (shard->plan_length >= 0 && shard->atoms.size > 0))
    return error_set (err, ERROR_USER,
                      "the shard: plan: it has two lists of input files, or a partial one");
  if (shard->volume_pins.count > job->volume_count)
    return error_set (err, ERROR_USER, "the shard: volume_pins: more than the job has volumes");
  return 0;
}
