/* plan.h — shards and events published; shards found again, and replayed. */
#ifndef SHOAL_BUS_KAFKA_PLAN_H
#define SHOAL_BUS_KAFKA_PLAN_H

#include "bus/kafka/work.h"

struct scan; /* plan.c */

struct kafka_plan
{
  struct kafka_work *work;
  struct scan *scan; /* NULL: none yet */
  char *placed_job;  /* whose queue was looked up last … */
  int placed_queue;  /* … and its index */
};

int plan_publish_shard (struct kafka_plan *plan, const struct shard *shard, struct error *err);
int plan_publish_event (struct kafka_plan *plan, const struct event *event, struct error *err);
int plan_flush (struct kafka_plan *plan, struct error *err);
int plan_get_shard (struct kafka_plan *plan, const char *job_id, uint32_t index,
                    struct shard *shard, struct error *err);
int plan_list_shards (struct kafka_plan *plan, const char *job_id,
                      void (*each) (void *context, uint32_t index), void *context,
                      struct error *err);
int plan_replay (struct kafka_plan *plan, const char *job_id, uint32_t generation,
                 const uint32_t *indexes, size_t count, struct error *err);
void plan_release (struct kafka_plan *plan);

#endif
