/* partitions.h — all partitions of a queue: opened where they were committed, committed, counted.
 */
#ifndef SHOAL_BUS_KAFKA_PARTITIONS_H
#define SHOAL_BUS_KAFKA_PARTITIONS_H

#include "bus/kafka/partition.h"

enum
{
  PARTITIONS_COMMIT_MS = 1000, /* between two commits, and for the last one */
};

/* Opens what isn't open of the partitions that are known. */
int partitions_open (struct partition_set *set, struct error *err);

/* Commits how far each is settled: now and then, without waiting; or now, waiting for up to
 * WAIT_MS. */
void partitions_commit (struct partition_set *set, int wait_ms);
void partitions_close (struct partition_set *set);

#endif
