/* kafka_place.h — new buses on the real broker that SHOAL_TEST_KAFKA (HOST:PORT) names. */
#ifndef SHOAL_TESTS_LIB_KAFKA_PLACE_H
#define SHOAL_TESTS_LIB_KAFKA_PLACE_H

#include "bus/kafka/kafka.h"

/* URL of a new bus with topics of its own; the caller frees. Ends the program with a word of help
 * when there is no broker. */
char *kafka_place_ordered (void);          /* one partition of shards, one of events */
char *kafka_place_spread (void);           /* four and two */
char *kafka_place_events (int partitions); /* of events */

/* Adds partitions of shards, until there are so many. */
void kafka_place_grow (const char *url, int partitions);
void kafka_place_discard (char *url);

/* Waits for the broker's answer to a request of an administrator, which is to be a good one, and
 * ends ANSWERS. */
void kafka_place_await (rd_kafka_queue_t *answers);

/* Removes the records of TOPIC's first partition before OFFSET, as retention does. */
void kafka_place_delete_below (struct kafka_bus *bus, enum topic topic, int64_t offset);

#endif
