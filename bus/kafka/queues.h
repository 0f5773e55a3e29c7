/* queues.h — the queues: their topics, and word of the workers that serve them. */
#ifndef SHOAL_BUS_KAFKA_QUEUES_H
#define SHOAL_BUS_KAFKA_QUEUES_H

#include "bus/kafka/producer.h"
#include "schemas/messages.h"

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

struct kafka_queues
{
  struct kafka_producer *producer;
  struct kafka_queue items[QUEUES_MAX]; /* those that were needed so far; the first is "default" */
  int count;
  struct kafka_queue *served[QUEUES_MAX]; /* by this handle, in order of preference */
  int served_count;
};

/* There is "default". */
void queues_init (struct kafka_queues *queues, struct kafka_producer *producer);
void queues_release (struct kafka_queues *queues);

/* Names the topics of a further queue, without looking whether they are there; NULL with ERR when
 * there are too many. */
struct kafka_queue *queues_add (struct kafka_queues *queues, const char *name, struct error *err);
struct kafka_queue *queues_find (struct kafka_queues *queues, const char *name);

/* The queue NAME, whose topics are looked up when it wasn't needed before. NULL with ERR:
 * ERROR_USER when it has none. */
struct kafka_queue *queues_need (struct kafka_queues *queues, const char *name, struct error *err);

/* A record of the leases, which may be word of somebody who serves a queue. */
void queues_take_in (struct kafka_queues *queues, const char *key, const struct claim *claim,
                     int64_t time);

/* Says of each queue that this handle serves that it does, when nobody else did so lately. */
void queues_pump (struct kafka_queues *queues);

#endif
