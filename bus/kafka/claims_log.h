/* claims_log.h — the claims as they are read: into the fold, and on to those they concern.
 */
#ifndef SHOAL_BUS_KAFKA_CLAIMS_LOG_H
#define SHOAL_BUS_KAFKA_CLAIMS_LOG_H

#include "bus/kafka/partition.h"

struct kafka_bus;

/* Reads what has come, of claims first. */
void partition_pump (struct partition *partition);

/* Reads the claims to where they end now. */
int partition_sync (struct partition *partition, struct error *err);

/* Takes a record of CURSOR into CLAIMS and tells the work of LOT. */
void claims_take_in (struct kafka_bus *bus, struct cursor *cursor, struct claims *claims,
                     struct partition *partition, const rd_kafka_message_t *message);

/* All that have come, without waiting. */
void claims_pump (struct kafka_bus *bus, struct cursor *cursor, struct claims *claims,
                  struct partition *partition);

#endif
