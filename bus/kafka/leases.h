/* leases.h — the claims that aren't on shards: on jobs, and on the partitions that groups follow.
 */
#ifndef SHOAL_BUS_KAFKA_LEASES_H
#define SHOAL_BUS_KAFKA_LEASES_H

#include "bus/kafka/claims_log.h"

struct kafka_leases
{
  struct kafka_claims_log log;
  struct kafka_producer *producer;
  struct kafka_reader *reader;
  struct kafka_queues *queues;
  struct partition_set *jobs;
  struct claims *claims; /* NULL until they are read */
  struct cursor cursor;
  bool read; /* to their end once, since the cursor was opened */
};

/* The claims on jobs and groups, read to their end as it is now. */
int leases_sync (struct kafka_leases *leases, struct error *err);
void leases_pump (struct kafka_leases *leases);

/* The leases tell where a job's events are (layout.h): whoever reads or writes those must have read
 * them once. A service says it where nobody has. */
int leases_need_layout (struct kafka_leases *leases, struct error *err);

/* The same, for whoever takes jobs and must know which are settled. */
int leases_sync_whole (struct kafka_leases *leases, struct error *err);

/* leases_sync, with the log's clock moved to now. */
int leases_query_time (struct kafka_leases *leases, struct error *err);

int leases_queue_served (struct kafka_leases *leases, const char *queue, int64_t *since,
                         struct error *err);

#endif
