/* leases.h — the claims that aren't on shards: on jobs, and on the partitions that groups follow.
 */
#ifndef SHOAL_BUS_KAFKA_LEASES_H
#define SHOAL_BUS_KAFKA_LEASES_H

#include "bus/bus.h"

struct kafka_bus;

/* The claims on jobs and groups, read to their end as it is now. */
int leases_sync (struct kafka_bus *bus, struct error *err);
void leases_pump (struct kafka_bus *bus);

/* The same, for whoever takes jobs and must know which are settled. */
int leases_sync_whole (struct kafka_bus *bus, struct error *err);

/* leases_sync, with the log's clock moved to now. */
int leases_ask_time (struct kafka_bus *bus, struct error *err);

int kafka_queue_served (struct bus *bus, const char *queue, int64_t *since, struct error *err);

#endif
