/* delivery.h — a job or a shard that was taken, for as long as the taker has it. */
#ifndef SHOAL_BUS_DELIVERY_H
#define SHOAL_BUS_DELIVERY_H

#include "schemas/messages.h"

enum bus_queue
{
  BUS_JOBS,
  BUS_SHARDS,
};

struct delivery
{
  enum bus_queue queue;
  struct job *job;    /* owned; for a shard too: the job it is of */
  struct shard shard; /* BUS_SHARDS */
  uint32_t starts;    /* how often it was taken, this time included: 1 unless a taker was lost */
  uint32_t lost;      /* how many of the takers before count as lost, see bus_forget_losses */
  int64_t waited_ms;  /* since it could have been taken; -1: not known */
  int64_t ticket;     /* the bus's own name for it */
};

void delivery_free (struct delivery *delivery);

static inline void
auto_delivery_ (struct delivery **delivery)
{
  delivery_free (*delivery);
}
#define auto_delivery AUTO (auto_delivery_)

#endif
