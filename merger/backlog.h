/* backlog.h — what there is to do in each queue, as metrics for autoscalers: all mergers' numbers
 * together are the fleet's.
 */
#ifndef SHOAL_MERGER_BACKLOG_H
#define SHOAL_MERGER_BACKLOG_H

#include "common/metrics.h"

#include <stddef.h>
#include <stdint.h>

struct backlog_queue
{
  char *name;
  int64_t open; /* of them … */
  int64_t running;
  struct metric *shown_queued;
  struct metric *shown_running;
};

/* A queue stays once it was seen: without jobs it shows 0. */
struct backlog
{
  struct metrics *metrics; /* NULL: nobody asks */
  struct backlog_queue *queues;
  size_t count;
};

void backlog_init (struct backlog *backlog, struct metrics *metrics);
void backlog_release (struct backlog *backlog);

/* A round: start, each job's shards that are still to end, show. */
void backlog_start (struct backlog *backlog);
void backlog_add (struct backlog *backlog, const char *queue, int64_t open, int64_t running);
void backlog_show (const struct backlog *backlog);

#endif
