/* kafka.h — the bus on Apache Kafka: what its parts share.
 *
 * No consumer groups: what is read and what may be started is decided by the claims alone
 * (docs/claims.md), so there is no rebalance that could disturb anything.
 */
#ifndef SHOAL_BUS_KAFKA_KAFKA_H
#define SHOAL_BUS_KAFKA_KAFKA_H

#include "bus/bus_ops.h"
#include "bus/kafka/dead_letters.h"
#include "bus/kafka/inflight.h"
#include "bus/kafka/partition.h"
#include "bus/kafka/plan.h"
#include "bus/kafka/producer.h"
#include "bus/kafka/queues.h"
#include "bus/kafka/reader.h"
#include "bus/kafka/tables.h"
#include "bus/kafka/take.h"

#include <pthread.h>

struct kafka_bus
{
  struct bus bus;
  char *brokers;
  char *prefix;
  char *url; /* for messages */
  char *writer;
  int64_t lease_ms;
  int slots;
  struct strlist properties; /* librdkafka's: name, value, … */
  bool quiesced;
  /* a member of a group makes dead letters of events, statuses and control records that nobody can
     read */
  bool keeps_dead;
  bool more;   /* something was left unread: don't wait */
  int wake_fd; /* written by librdkafka when there is something to read */

  struct kafka_topics topics;
  struct kafka_queue queues[QUEUES_MAX]; /* those that were needed so far; the first is "default" */
  int queue_count;
  struct registry *registry; /* of schemas; NULL: none */
  struct keyring *keyring;   /* that signs and verifies records; NULL: none is signed, all count */
  bool others_sign;          /* without a keyring: there are signed records */
  rd_kafka_t *producer;
  rd_kafka_queue_t *reports; /* the producer's main queue */
  rd_kafka_topic_t *outgoing[TOPICS_MAX];
  unsigned int epoch; /* how many producers there were before this one */
  bool unwritable;    /* the producer was given up because we mayn't write to any topic */
  struct delivery_report published;    /* shards and events between two flushes */
  struct delivery_report quiet;        /* records that nobody waits for */
  struct delivery_report letters;      /* commits wait for these … */
  struct unconfirmed_list unconfirmed; /* … which the brokers may not have yet */
  int64_t written_again;               /* boot ms */
  struct kafka_reader *reader;         /* of the tables and the leases */
  struct kafka_reader *work_reader;    /* of work; NULL until something is taken */

  struct metrics *metrics; /* NULL: nobody counts */
  char *settings;          /* of members of groups; NULL: nothing is compared */
  char *config;            /* what all services should have in common; NULL: none is a service */
  int64_t config_say_at;   /* boot ms */
  struct strlist config_told;
  struct kafka_tables tables;
  struct claims *leases;
  struct cursor leases_cursor;
  bool leases_whole; /* of jobs, too, that are settled: we take jobs */
  struct partition_set jobs;
  struct partition_set
      shards[QUEUES_MAX]; /* of the queues that this handle serves, in order of preference */
  int served_count;
  struct kafka_queue *served[QUEUES_MAX];
  int64_t partitions_at; /* boot ms: new partitions were looked for */
  unsigned int turns;    /* shards that were looked for */
  char *placed_job;      /* whose queue was looked up last … */
  int placed_queue;      /* … and its index */
  struct inflight_list inflight;
  int held; /* how many these are */
  struct shunned *shunned;
  size_t shunned_count;
  int64_t next_ticket;
  int64_t pace_ms; /* how long the caller has a delivery, on average; -1: not known */
  struct scan *scan;

  bool away;        /* the brokers were asked, and none answered */
  int64_t asked_at; /* boot ms */
  int64_t complained_at;

  pthread_mutex_t lock; /* of what librdkafka's threads write: */
  char trouble[1024];   /* the last error, "" when all is well */
  int64_t trouble_at;   /* boot ms of it; 0: never */
  int told;             /* how much it tells; 0: it is no known one */
  bool doubted; /* whether anybody answers: something took too long, or all connections are down */
  bool refused; /* it is one that waiting doesn't mend */
};

#endif
