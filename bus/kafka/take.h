/* take.h — what is taken next: claimed, handed out. */
#ifndef SHOAL_BUS_KAFKA_TAKE_H
#define SHOAL_BUS_KAFKA_TAKE_H

#include "bus/kafka/choice.h"
#include "bus/kafka/readership.h"

struct kafka_take
{
  struct kafka_work *work;
  struct kafka_choice choice;
  int slots;                             /* deliveries that the caller can hold at once */
  int64_t partitions_at;                 /* boot ms: new partitions were looked for */
  struct readership readers[QUEUES_MAX]; /* of the queues that are served, in their order */
};

void take_release (struct kafka_take *take);

int take_delivery (struct kafka_take *take, enum bus_queue queue, const char *job_id,
                   struct delivery **delivery, struct error *err);

#endif
