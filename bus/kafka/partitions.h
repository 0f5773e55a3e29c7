/* partitions.h — all partitions of a queue: opened where they were committed, committed, counted.
 */
#ifndef SHOAL_BUS_KAFKA_PARTITIONS_H
#define SHOAL_BUS_KAFKA_PARTITIONS_H

#include "bus/kafka/partition.h"

enum
{
  PARTITIONS_COMMIT_MS = 1000, /* between two commits, and for the last one */
};

/* How many partitions there are, as far as it is known. Of jobs only the first is read: their order
 * decides. */
int32_t partitions_known (const struct partition_set *set);

/* Opens what isn't open of the first COUNT partitions and is WANTED (NULL: all are). */
int partitions_open (struct partition_set *set, const bool *wanted, int32_t count,
                     struct error *err);

/* The open partition of that NUMBER; NULL: it isn't. */
struct partition *partitions_find (const struct partition_set *set, int32_t number);

/* Closes PARTITION, which nothing refers to any more, and commits what is owed of it. */
void partitions_close_one (struct partition_set *set, struct partition *partition);

/* Reads where each of COUNT partitions is committed, -1: nowhere. */
int partitions_read_offsets (const struct partition_set *set, int64_t *offsets, int32_t count,
                             struct error *err);

/* Commits how far each is settled: now and then, without waiting; or now, waiting for up to
 * WAIT_MS. */
void partitions_commit (struct partition_set *set, int wait_ms);
void partitions_close (struct partition_set *set);

#endif
