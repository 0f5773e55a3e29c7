/* frozen_plan.h — all shards of a job, kept in its result until they are published.
 *
 *     .shoal/frozen/STARTS/GROUP.PART      in the result's folder, or behind its URL
 *
 * STARTS is that of the producer's delivery, so that one who lost the job can't write into the next
 * one's plan. A group is 1,000 shards by index, in parts of some MiB; a part is, for each shard,
 * index and length (Avro longs) and its message. A part is replaced as a whole, or not at all.
 *
 * A handle belongs to one thread.
 */
#ifndef SHOAL_RESULT_FROZEN_PLAN_H
#define SHOAL_RESULT_FROZEN_PLAN_H

#include "common/auto.h"
#include "schemas/messages.h"

struct frozen_plan;

/* Opens nothing. JOB (with results) outlives the handle. */
struct frozen_plan *frozen_plan_new (const struct job *job, uint32_t starts);
void frozen_plan_free (struct frozen_plan *plan);

static inline void
auto_frozen_plan_ (struct frozen_plan **plan)
{
  frozen_plan_free (*plan);
}
#define auto_frozen_plan AUTO (auto_frozen_plan_)

/* Adds the next SHARD (indexes from 0, none left out); small plans stay in memory until they are
 * finished. */
int frozen_plan_add (struct frozen_plan *plan, const struct shard *shard, struct error *err);

/* All that was added is safe when this returns 0. */
int frozen_plan_finish (struct frozen_plan *plan, struct error *err);

/* The shard INDEX of a finished plan into zeroed SHARD: 1, 0 when it isn't there, or -1. Fast in
 * order of index. */
int frozen_plan_get (struct frozen_plan *plan, uint32_t index, struct shard *shard,
                     struct error *err);

/* Removes the plans of all producers of JOB. */
int frozen_plan_remove (const struct job *job, struct error *err);

#endif
