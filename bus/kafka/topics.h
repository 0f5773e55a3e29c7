/* topics.h — the bus's topics on Kafka: made and checked by `shoal topics`, never by the way.
 *
 *     jobs     one partition: which of two submissions with one id is the job is a matter of order
 *     shards   what workers take           claims   the same partitions: who runs what
 *     shards.Q, claims.Q                   the same of the queue Q; those without a name are
 *                                          "default"
 *     leases   one partition: who plans a job, who follows which events
 *     events   by job; its number of partitions stays as it was made
 *     control  one partition                status   compacted, by job          dead     letters
 */
#ifndef SHOAL_BUS_KAFKA_TOPICS_H
#define SHOAL_BUS_KAFKA_TOPICS_H

#include "bus/bus.h"

struct topics_options
{
  const struct strlist *queues; /* further ones than "default"; NULL: none */
  int shard_partitions;         /* 0: 24 */
  int event_partitions;         /* 0: 8 */
  int replication;              /* 0: 3, or the number of brokers when there are fewer */
  int64_t retention_ms; /* of jobs, shards, claims, events, dead; 0: 30 days, -1: for ever */
  int64_t lease_ms;     /* the longest lease of any worker; 0: 30 s */
  bool created;         /* by topics_create just now: a broker may still have to hear of it */
};

/* Makes the topics that are missing; adds partitions to shards and claims where more are asked for:
 * to those of the queues that are named, else to those of "default". Claims that have fewer than
 * their shards get as many, asked for or not. Copies aren't added. SAY is called with a line for
 * each topic. URL and OPTIONS as for bus_open. */
int topics_create (const char *url, const struct bus_options *bus,
                   const struct topics_options *options,
                   void (*say) (void *context, const char *line), void *context, struct error *err);

/* What is wrong with the topics, those of all queues that there are, a line each by SAY: how many
 * things, or -1. With DESCRIBE all settings that matter are told, right or wrong. */
int topics_check (const char *url, const struct bus_options *bus,
                  const struct topics_options *options, bool describe,
                  void (*say) (void *context, const char *line), void *context, struct error *err);

#endif
