/* work.h — work in hand: kept, settled, given back, and published to its end. */
#ifndef SHOAL_BUS_KAFKA_WORK_H
#define SHOAL_BUS_KAFKA_WORK_H

#include "bus/kafka/leases.h"

struct kafka_work
{
  struct kafka_producer *producer;
  struct kafka_queues *queues;
  struct kafka_tables *tables;
  struct kafka_leases *leases;
  struct kafka_inflight *inflight;
  struct kafka_reader *reader; /* NULL until something is taken */
  struct partition_set jobs;
  struct partition_set shards[QUEUES_MAX]; /* of the queues that are served, in their order */
  int64_t pace_ms; /* how long the caller has a delivery, on average; -1: not known */
};

void work_init (struct kafka_work *work);

/* Names the queues that are served, in order of preference; NULL: "default". */
int work_serve (struct kafka_work *work, const struct strlist *queues, struct error *err);
void work_release (struct kafka_work *work); /* gives back what is held */
void work_pump (struct kafka_work *work);

/* READER, which goes with WORK, reads all partitions from now on. */
void work_set_reader (struct kafka_work *work, struct kafka_reader *reader);

/* Waits for what was settled to be published. */
int work_flush (struct kafka_work *work, struct error *err);

int work_keep (struct kafka_work *work, struct delivery *delivery, struct error *err);
int work_settle (struct kafka_work *work, struct delivery *delivery, const struct event *event,
                 const struct shard *retry, struct error *err);
int work_give_back (struct kafka_work *work, struct delivery *delivery, struct error *err);
void work_quiesce (struct kafka_work *work);

#endif
