/* backlog.h — what there is to do in each queue, as metrics for autoscalers: all mergers' numbers
 * together are the fleet's. A number that isn't known isn't shown: 0 would end workers.
 */
#ifndef SHOAL_MERGER_BACKLOG_H
#define SHOAL_MERGER_BACKLOG_H

#include "common/metrics.h"
#include "merger/fold.h"

#include <stddef.h>
#include <stdint.h>

/* What a job has for workers. */
struct backlog_shards
{
  int64_t waiting; /* shards that could be taken, retries that wait for their time among them … */
  int64_t running; /* … and those that were */
  bool planning;   /* more are to come: the plan is open */
};

/* That of JOB by its events. After a cancel nothing waits; the reduce shard waits when it is due.
 */
struct backlog_shards backlog_of (const struct job *job, const struct fold *fold);

struct backlog_queue
{
  char *name;
  int64_t waiting;
  int64_t running;
  struct metric *shown_queued;
  struct metric *shown_running;
};

/* A queue stays once it was seen: without jobs it shows 0, at first nothing. */
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
void backlog_add (struct backlog *backlog, const char *queue, const struct backlog_shards *left);
void backlog_show (const struct backlog *backlog);

/* What was shown isn't known any more. */
void backlog_hide (const struct backlog *backlog);

#endif
