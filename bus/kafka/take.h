/* take.h — what is taken next: chosen, claimed, handed out. */
#ifndef SHOAL_BUS_KAFKA_TAKE_H
#define SHOAL_BUS_KAFKA_TAKE_H

#include "bus/kafka/work.h"

/* A job whose shards are left to others for a while. */
struct shunned
{
  char *job_id;
  int64_t until; /* boot ms */
};

struct kafka_take
{
  struct kafka_work *work;
  int slots;             /* deliveries that the caller can hold at once */
  int64_t partitions_at; /* boot ms: new partitions were looked for */
  unsigned int turns;    /* shards that were looked for */
  struct shunned *shunned;
  size_t shunned_count;
};

int take_delivery (struct kafka_take *take, enum bus_queue queue, const char *job_id,
                   struct delivery **delivery, struct error *err);
void take_shun (struct kafka_take *take, const char *job_id, int64_t ms);

void take_release (struct kafka_take *take);

#endif
