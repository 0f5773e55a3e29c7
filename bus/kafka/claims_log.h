/* claims_log.h — the claims as they are read: into the fold, and on to those they concern. */
#ifndef SHOAL_BUS_KAFKA_CLAIMS_LOG_H
#define SHOAL_BUS_KAFKA_CLAIMS_LOG_H

#include "bus/kafka/config.h"
#include "bus/kafka/inflight.h"
#include "bus/kafka/layout.h"
#include "bus/kafka/partition.h"

struct kafka_claims_log
{
  struct kafka_inflight *inflight;
  struct kafka_queues *queues;
  struct kafka_config *config;
  struct kafka_layout *layout;
  struct kafka_dead_letters *dead_letters;
  bool whole; /* of leases: of jobs, too, that are settled, as we take jobs */
};

/* Reads what has come, of claims first. */
void claims_pump_partition (struct kafka_claims_log *log, struct partition *partition);

/* Reads the claims to where they end now. */
int claims_sync_partition (struct kafka_claims_log *log, struct partition *partition,
                           struct error *err);

/* Takes a record of CURSOR into CLAIMS and tells the work of PARTITION. */
void claims_take_in (struct kafka_claims_log *log, struct cursor *cursor, struct claims *claims,
                     struct partition *partition, const rd_kafka_message_t *message);

/* All that have come, without waiting. */
void claims_pump (struct kafka_claims_log *log, struct cursor *cursor, struct claims *claims,
                  struct partition *partition);

#endif
