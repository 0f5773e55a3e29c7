#include "merger/backlog.h"

#include "common/memory.h"
#include "merger/reduce.h"

#include <string.h>

struct backlog_shards
backlog_of (const struct job *job, const struct fold *fold)
{
  const struct fold_counts counts = fold_counts (fold);
  bool ends = fold_cancelled (fold) || (!fold_planned (fold) && fold_settled (fold, false));
  struct backlog_shards left = { .running = counts.running,
                                 .planning = !ends && !fold_planned (fold) };
  if (!ends)
    left.waiting =
        fold_known (fold) - counts.succeeded - counts.failed - counts.stopped - counts.running;
  if (reduce_is_running (fold))
    left.running++;
  else if (!ends && fold_complete (fold) && reduce_is_wanted (job, fold))
    left.waiting++;
  return left;
}

static struct backlog_queue *
need (struct backlog *backlog, const char *name)
{
  static const char metric[] = "shoal_shards";
  static const char help[] =
      "Unfinished shards of this merger's jobs; pending retries count as queued.";
  for (size_t i = 0; i < backlog->count; i++)
    if (strcmp (backlog->queues[i].name, name) == 0)
      return &backlog->queues[i];
  backlog->queues = xrealloc (backlog->queues, backlog->count + 1, sizeof *backlog->queues);
  struct backlog_queue *queue = &backlog->queues[backlog->count++];
  *queue = (struct backlog_queue){
    .name = xstrdup (name),
    .shown_queued =
        metrics_gauge (backlog->metrics, metric, help, LABELS ("queue", name, "state", "queued")),
    .shown_running =
        metrics_gauge (backlog->metrics, metric, help, LABELS ("queue", name, "state", "running")),
  };
  return queue;
}

static void
backlog_set_unknown (const struct backlog_queue *queue)
{
  metric_set (queue->shown_queued, METRIC_UNKNOWN);
  metric_set (queue->shown_running, METRIC_UNKNOWN);
}

void
backlog_hide (const struct backlog *backlog)
{
  for (size_t i = 0; i < backlog->count; i++)
    backlog_set_unknown (&backlog->queues[i]);
}

void
backlog_init (struct backlog *backlog, struct metrics *metrics)
{
  *backlog = (struct backlog){ .metrics = metrics };
  backlog_set_unknown (need (backlog, "default"));
}

void
backlog_release (struct backlog *backlog)
{
  for (size_t i = 0; i < backlog->count; i++)
    free (backlog->queues[i].name);
  free (backlog->queues);
  *backlog = (struct backlog){ 0 };
}

void
backlog_start (struct backlog *backlog)
{
  for (size_t i = 0; i < backlog->count; i++)
    {
      backlog->queues[i].waiting = 0;
      backlog->queues[i].running = 0;
    }
}

void
backlog_add (struct backlog *backlog, const char *queue, const struct backlog_shards *left)
{
  struct backlog_queue *of = need (backlog, queue);
  of->waiting += left->waiting;
  of->running += left->running;
}

void
backlog_show (const struct backlog *backlog)
{
  for (size_t i = 0; i < backlog->count; i++)
    {
      const struct backlog_queue *queue = &backlog->queues[i];
      metric_set (queue->shown_queued, queue->waiting);
      metric_set (queue->shown_running, queue->running);
    }
}
