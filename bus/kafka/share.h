/* share.h — which partitions of a queue each of its workers reads: pure, no Kafka in it.
 *
 * Each pair of a worker and a partition has a weight, a hash of the worker's name and the number.
 * A partition is read by the two workers that weigh most for it, and each worker reads the two
 * partitions that it weighs most for besides. So each partition has two readers where there are two
 * workers, each worker has two partitions where there are two, and a worker that comes or goes
 * changes only what it reads itself and who reads that with it.
 */
#ifndef SHOAL_BUS_KAFKA_SHARE_H
#define SHOAL_BUS_KAFKA_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum
{
  SHARE_READERS = 2,    /* of each partition */
  SHARE_PARTITIONS = 2, /* of each worker */
};

/* Fills READS, one for each of COUNT partitions: whether the worker SELF reads it where the others
 * are OTHERS, of which one may be SELF. */
void share_choose (const char *self, const char *const *others, size_t others_count, bool *reads,
                   int32_t count);

/* The last steps of splitmix64: each bit of VALUE changes half of the result's. For whatever is
 * shared out by hash. */
uint64_t share_mix (uint64_t value);

#endif
