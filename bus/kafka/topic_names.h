/* topic_names.h — the topics by name, the keys of their records: pure, knows no broker. */
#ifndef SHOAL_BUS_KAFKA_TOPIC_NAMES_H
#define SHOAL_BUS_KAFKA_TOPIC_NAMES_H

#include "bus/dead_letter.h"
#include "schemas/messages.h"

#include <stdbool.h>
#include <stdint.h>

enum topic
{
  TOPIC_JOBS,
  TOPIC_SHARDS,
  TOPIC_CLAIMS, /* of shards, partition by partition */
  TOPIC_LEASES, /* claims on jobs, and on the partitions that groups follow */
  TOPIC_EVENTS,
  TOPIC_CONTROL,
  TOPIC_STATUS,
  TOPIC_DEAD,
  TOPICS,
};

/* Bytes. A letter is a record with headers of ours; the producer's limit, message.max.bytes, is the
 * larger one. */
enum
{
  RECORD_MAX = 9000000,
  DEAD_LETTER_MAX = 10000000,
};

enum
{
  QUEUES_MAX = 32,
  TOPICS_MAX = TOPICS + 2 * QUEUES_MAX, /* TOPICS, then two for each further queue */
};

/* The topics of a bus: TOPICS, then two for each queue beside "default". */
struct kafka_topics
{
  int count;
  char *names[TOPICS_MAX];
  int32_t partitions[TOPICS_MAX]; /* 0: not known yet */
  int32_t spread; /* over so many of the events' partitions jobs are spread, by the leases' word; 0:
                     none is known (layout.h) */
};

char *kafka_topic_name (const char *prefix, enum topic topic);

/* TOPIC itself, or TOPIC_SHARDS or TOPIC_CLAIMS for those of further queues. */
enum topic kafka_topic_kind (int topic);

/* Over how many partitions of TOPIC jobs are spread. */
int32_t kafka_spread (const struct kafka_topics *topics, int topic);

/* The partition of an event or a status: by its job, always the same. */
int32_t kafka_partition_of_job (const struct kafka_topics *topics, int topic, const char *job_id);

/* Whether records of TOPIC travel in a schema registry's frame, where there is one: claims are ours
 * alone, what is dead stays as it was. */
bool kafka_is_packed (int topic);

/* "JOB/map/1/42/1": under which a shard's message and its claims stand. The caller frees. */
char *shard_key (const struct shard *shard);

/* The parts of KEY; false when it is no such key. JOB is its first *JOB_SIZE bytes. */
bool shard_key_parse (const char *key, size_t *job_size, uint32_t *generation, uint32_t *attempt);

/* "reader/QUEUE/WORKER": in the leases, that a worker reads a queue. The caller frees. */
char *reader_key (const char *queue, const char *worker);

/* The worker's name in KEY when it is such a key of QUEUE; NULL when it isn't. */
const char *reader_key_worker (const char *key, const char *queue);

#endif
