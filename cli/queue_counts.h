/* queue_counts.h — what there is to do in each queue of a bus, for the whole fleet: a fold over all
 * of its events, so that everyone who has read them has the same numbers, with no worker and no
 * merger there.
 *
 *     jobs ──┐
 *     events ┼─► open jobs, each with its fold ─► waiting, running, planning, since when
 *     status ┘   (a job whose status is final is let go)
 *
 * Belongs to the thread of its bus, which outlives it. Memory: 64 bytes for each shard of the jobs
 * that haven't ended.
 */
#ifndef SHOAL_CLI_QUEUE_COUNTS_H
#define SHOAL_CLI_QUEUE_COUNTS_H

#include "bus/bus.h"
#include "common/auto.h"

struct queue_count
{
  char *name;
  int64_t waiting;  /* shards that nobody runs yet, retries included */
  int64_t running;  /* shards */
  int64_t planning; /* jobs whose shards aren't all known yet */
  int64_t oldest;   /* ms since the oldest job that has to wait came; -1: none has */
};

struct queue_counts;

struct queue_counts *queue_counts_new (struct bus *bus);
void queue_counts_free (struct queue_counts *counts);

static inline void
auto_queue_counts_ (struct queue_counts **counts)
{
  queue_counts_free (*counts);
}
#define auto_queue_counts AUTO (auto_queue_counts_)

/* Reads what is new: 1 when that was all there is, 0 when there is more, -1 with ERR: to be called
 * again, nothing that was read is lost. */
int queue_counts_read (struct queue_counts *counts, struct error *err);

/* The COUNT queues that the bus has, by name, after queue_counts_read gave 1: 0 or -1. The caller
 * frees them with queue_counts_release. */
int queue_counts_take (struct queue_counts *counts, struct queue_count **queues, size_t *count,
                       struct error *err);
void queue_counts_release (struct queue_count *queues, size_t count);

#endif
