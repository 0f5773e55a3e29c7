/* window.h — jobs that are published bit by bit: of each so many shards at a time, the next ones
 * when earlier ones are settled (docs/scheduling.md).
 *
 * Their plans are frozen (result/frozen_plan.h) and closed by PLANNED; their deliveries are held
 * here until the last shard is published. State: none of its own; where a job stands is read from
 * its events and from what was published.
 */
#ifndef SHOAL_PRODUCER_WINDOW_H
#define SHOAL_PRODUCER_WINDOW_H

#include "bus/bus.h"
#include "producer/producer.h"

struct windows;

/* BUS and OPTIONS outlive it. */
struct windows *windows_new (struct bus *bus, const struct producer_options *options);

/* Gives all jobs back. */
void windows_free (struct windows *windows);

static inline void
auto_windows_ (struct windows **windows)
{
  windows_free (*windows);
}
#define auto_windows AUTO (auto_windows_)

/* How many jobs there are, and whether there is room for another. */
size_t windows_count (const struct windows *windows);
bool windows_have_room (const struct windows *windows);

/* How many shards of JOB may be published and not settled, by what was set of it so far: no more
 * than may run at the same time, so that no worker has to count what others run. *LIMIT, 0: all.
 * 0, or -1 with ERR. */
int windows_limit (struct windows *windows, const struct job *job, int64_t *limit,
                   struct error *err);

/* The priority of JOB, by what windows_limit knew last. */
int32_t windows_priority (const struct windows *windows, const struct job *job);

/* Goes on with DELIVERY's job if its PLANNED is among its events: 1, and the delivery is the
 * windows'; 0 when it isn't planned, or -1. PUBLISHED: so many of its first shards are published
 * and no others; -1: they are looked for. */
int windows_add (struct windows *windows, struct delivery *delivery, int64_t published,
                 struct error *err);

/* Keeps the jobs, reads what happened and publishes what there is room for: 1 when there is more to
 * do at once, 0, or -1 when the bus fails. A job whose plan can't be read fails. */
int windows_tend (struct windows *windows, struct error *err);

#endif
