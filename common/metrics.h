/* metrics.h — numbers that a service counts, for others to read: Prometheus' text format.
 *
 *     struct metric *done = metrics_counter (metrics, "shoal_shards_total", "Shards that were
 *     settled.",
 *                                            LABELS ("queue", "default", "outcome", "succeeded"));
 *     metric_add (done, 1);
 *
 * A metric is one series: a name with its labels. It is made once, is the registry's and lives as
 * long; an update is a few atomic instructions, from any thread, without allocating or locking.
 * Functions that make and write metrics may be called from any thread as well. Everything takes
 * NULL for "nobody counts" and does nothing then.
 */
#ifndef SHOAL_COMMON_METRICS_H
#define SHOAL_COMMON_METRICS_H

#include "common/auto.h"
#include "common/buffer.h"

#include <stdint.h>

struct metrics;
struct metric;

/* Name, value, name, value …; or NULL for none. */
#define LABELS(...) ((const char *const[]){ __VA_ARGS__, NULL })

struct metrics *metrics_new (void);
void metrics_free (struct metrics *metrics);

static inline void
auto_metrics_ (struct metrics **metrics)
{
  metrics_free (*metrics);
}
#define auto_metrics AUTO (auto_metrics_)

/* The series NAME with LABELS; made when there is none yet, 0 at first. HELP says in a sentence
 * what it is and in which unit; like NAME it isn't copied. One name has one kind: another one is a
 * bug and ends the process. */
struct metric *metrics_counter (struct metrics *metrics, const char *name, const char *help,
                                const char *const *labels);
struct metric *metrics_gauge (struct metrics *metrics, const char *name, const char *help,
                              const char *const *labels);

/* A gauge whose value is the number of seconds since the moment that it was set to (clock_boot_ms);
 * 0 when it was set to 0. */
struct metric *metrics_age (struct metrics *metrics, const char *name, const char *help,
                            const char *const *labels);

/* Seconds, in buckets from 5 ms to a day. */
struct metric *metrics_seconds (struct metrics *metrics, const char *name, const char *help,
                                const char *const *labels);

void metric_add (struct metric *metric, int64_t n);     /* of a counter; N isn't negative */
void metric_set (struct metric *metric, int64_t value); /* of a gauge; of an age boot ms */
#define METRIC_UNKNOWN INT64_MIN /* a gauge that has no value now: its series isn't there */
void metric_observe (struct metric *metric, int64_t ms); /* of a histogram; negative counts as 0 */
int64_t metric_value (const struct metric *metric);      /* as added or set; observations */

/* Appends all of them: names in the order in which they were made first, their series likewise. */
void metrics_write (struct metrics *metrics, struct buffer *out);

#endif
