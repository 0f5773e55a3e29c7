/* kafka.h — the bus on Apache Kafka, of its parts.
 *
 * No consumer groups: what is read and what may be started is decided by the claims alone
 * (docs/claims.md), so there is no rebalance that could disturb anything.
 */
#ifndef SHOAL_BUS_KAFKA_KAFKA_H
#define SHOAL_BUS_KAFKA_KAFKA_H

#include "bus/bus_ops.h"
#include "bus/kafka/follow.h"
#include "bus/kafka/plan.h"
#include "bus/kafka/take.h"

struct kafka_bus
{
  struct bus bus;
  struct kafka_client client;
  struct kafka_producer producer;
  struct kafka_queues queues;
  struct kafka_config config;
  struct kafka_layout layout;
  struct kafka_reader *reader; /* of the tables and the leases */
  struct kafka_dead_letters dead_letters;
  struct kafka_tables tables;
  struct kafka_inflight inflight;
  struct kafka_leases leases;
  struct kafka_work work;
  struct kafka_take take;
  struct kafka_plan plan;

  bool away;        /* the brokers were asked, and none answered */
  int64_t asked_at; /* boot ms */
  int64_t complained_at;
};

#endif
