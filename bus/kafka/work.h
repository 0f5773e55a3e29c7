/* work.h — work in hand: kept, settled, given back, and published to its end.
 */
#ifndef SHOAL_BUS_KAFKA_WORK_H
#define SHOAL_BUS_KAFKA_WORK_H

#include "bus/bus.h"

struct kafka_bus;

void work_init (struct kafka_bus *bus);

/* Names the queues that are served, in order of preference; NULL: "default". */
int work_serve (struct kafka_bus *bus, const struct strlist *queues, struct error *err);
void work_release (struct kafka_bus *bus); /* gives back what is held */
void work_pump (struct kafka_bus *bus);

/* Waits for what was settled to be published. */
int work_flush (struct kafka_bus *bus, struct error *err);

int kafka_keep (struct bus *bus, struct delivery *delivery, struct error *err);
int kafka_settle (struct bus *bus, struct delivery *delivery, const struct event *event,
                  const struct shard *retry, struct error *err);
int kafka_give_back (struct bus *bus, struct delivery *delivery, struct error *err);
void kafka_quiesce (struct bus *bus);

#endif
