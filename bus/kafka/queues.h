/* queues.h — the queues: their topics, and word of the workers that serve them. */
#ifndef SHOAL_BUS_KAFKA_QUEUES_H
#define SHOAL_BUS_KAFKA_QUEUES_H

#include "bus/kafka/members.h"
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
  int64_t lease_ms;             /* that worker's */
  int64_t say_at;               /* boot ms when it is on us to say so */
  struct kafka_members members; /* the workers that read it, when this handle serves it */
};

/* That somebody serves a queue which wasn't needed when that was read: it may be later. */
struct queue_word
{
  char *queue;
  int64_t served; /* as above */
  int64_t lease_ms;
};

struct kafka_queues
{
  struct kafka_producer *producer;
  struct kafka_queue items[QUEUES_MAX]; /* those that were needed so far; the first is "default" */
  int count;
  struct kafka_queue *served[QUEUES_MAX]; /* by this handle, in order of preference */
  int served_count;
  struct queue_word *words;
  size_t word_count;
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

/* Adds the names of all queues that have topics to NAMES: 0, or -1 where no broker answers. */
int queues_list (const struct kafka_queues *queues, struct strlist *names, struct error *err);

/* A record of the leases, which may be word of somebody who serves or reads a queue. CLAIM is NULL
 * of one that takes its word back. */
void queues_take_in (struct kafka_queues *queues, const char *key, const struct claim *claim,
                     int64_t time);

/* Says of each queue that this handle serves that it does, when nobody else did so lately, and
 * that it reads it. NOW is what the clock of the leases says. */
void queues_pump (struct kafka_queues *queues, int64_t now);

/* This handle takes nothing any more. */
void queues_leave (struct kafka_queues *queues);

#endif
