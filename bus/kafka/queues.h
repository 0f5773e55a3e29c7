/* queues.h — the queues: their topics, and word of the workers that serve them.
 */
#ifndef SHOAL_BUS_KAFKA_QUEUES_H
#define SHOAL_BUS_KAFKA_QUEUES_H

#include "bus/bus.h"
#include "bus/kafka/topic_names.h"

struct kafka_bus;

/* Shards are in queues, each with topics of its own: TOPIC_SHARDS and TOPIC_CLAIMS are those of
 * "default". */
struct kafka_queue
{
  char *name;
  int shards; /* the topics, as indexes of names and partitions */
  int claims;
  int64_t
      served; /* UTC ms by the broker's clock when a worker last said that it serves it; 0: never */
  int64_t lease_ms; /* that worker's */
  int64_t say_at;   /* boot ms when it is on us to say so */
};

/* Names the topics of a further queue, without looking whether they are there; NULL with ERR when
 * there are too many. */
struct kafka_queue *queues_add (struct kafka_bus *bus, const char *name, struct error *err);
struct kafka_queue *queues_find (struct kafka_bus *bus, const char *name);

/* The queue NAME, whose topics are looked up when it wasn't needed before. NULL with ERR:
 * ERROR_USER when it has none. */
struct kafka_queue *queues_need (struct kafka_bus *bus, const char *name, struct error *err);

/* A record of the leases, which may be word of somebody who serves a queue. */
void queues_take_in (struct kafka_bus *bus, const char *key, const struct claim *claim,
                     int64_t time);

/* Says of each queue that this handle serves that it does, when nobody else did so lately. */
void queues_pump (struct kafka_bus *bus);

#endif
