/* kafka_place.h — new buses on the real broker that SHOAL_TEST_KAFKA (HOST:PORT) names. */
#ifndef SHOAL_TESTS_LIB_KAFKA_PLACE_H
#define SHOAL_TESTS_LIB_KAFKA_PLACE_H

/* URL of a new bus with topics of its own; the caller frees. Ends the program with a word of help
 * when there is no broker. */
char *kafka_place_ordered (void);          /* one partition of shards, one of events */
char *kafka_place_spread (void);           /* four and two */
char *kafka_place_events (int partitions); /* of events */

/* Adds partitions of shards, until there are so many. */
void kafka_place_grow (const char *url, int partitions);
void kafka_place_discard (char *url);

#endif
