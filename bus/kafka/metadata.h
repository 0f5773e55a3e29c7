/* metadata.h — what the brokers say of topics: partitions, leaders, offsets by time. */
#ifndef SHOAL_BUS_KAFKA_METADATA_H
#define SHOAL_BUS_KAFKA_METADATA_H

#include "bus/kafka/producer.h"

enum
{
  NO_OFFSET = -1000,
};

/* Waits TIMEOUT_MS (-1: for ever) for METADATA of all topics, less where we are refused. */
int metadata_query (struct kafka_producer *producer, int64_t timeout_ms,
                    const struct rd_kafka_metadata **metadata, struct error *err);

/* How many partitions the topic NAME has; 0: there is none. */
int32_t metadata_partitions (const struct rd_kafka_metadata *metadata, const char *name);

/* Notes how many partitions TOPICS have. What METADATA lacks, as those of a broker that has just
 * begun do, keeps the number that was known. The first topic that is missing; -1: none. */
int metadata_note_partitions (struct kafka_topics *topics,
                              const struct rd_kafka_metadata *metadata);

/* " --queue NAME" for the commands that we tell people, "" for the default queue. The caller
 * frees. */
char *metadata_queue_option (const struct kafka_topics *topics, int topic);

/* Reads the numbers of partitions; ERROR_USER when a topic is missing, ERROR_TRANSIENT when nobody
 * answers within TIMEOUT_MS. */
int kafka_look_up_topics (struct kafka_producer *producer, int timeout_ms, struct error *err);

/* Asks any broker who leads TOPIC's partitions; false when none answers. */
bool kafka_look_for_leaders (struct kafka_producer *producer, int topic, int timeout_ms);

/* The first offset at TIME (broker's clock, ms) or later; the end when there is none; -1. */
int64_t metadata_find_time (struct kafka_producer *producer, int topic, int32_t partition,
                            int64_t time, struct error *err);

/* Whether CODE is of those that pass by themselves: a leader or a coordinator that is just
 * changing. */
bool kafka_may_pass (rd_kafka_resp_err_t code);

/* The offset at TIME, which may be one of the protocol's own: RD_KAFKA_OFFSET_BEGINNING and _END;
 * RD_KAFKA_OFFSET_END: nothing is that new; NO_OFFSET with ERR: no answer in the time that a
 * question may take. */
int64_t metadata_find_offset (struct kafka_producer *producer, int topic, int32_t partition,
                              int64_t time, struct error *err);

/* Reads where each of COUNT partitions of TOPIC ends, by one question; -1 where that isn't known
 * now. */
int metadata_find_ends (struct kafka_producer *producer, int topic, int64_t *ends, int32_t count,
                        struct error *err);

#endif
