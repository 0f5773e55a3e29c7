#include "merger/backlog.h"

#include "common/memory.h"

#include <string.h>

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

void
backlog_init (struct backlog *backlog, struct metrics *metrics)
{
  *backlog = (struct backlog){ .metrics = metrics };
  (void) need (backlog, "default");
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
      backlog->queues[i].open = 0;
      backlog->queues[i].running = 0;
    }
}

void
backlog_add (struct backlog *backlog, const char *queue, int64_t open, int64_t running)
{
  struct backlog_queue *of = need (backlog, queue);
  of->open += open;
  of->running += running;
}

void
backlog_show (const struct backlog *backlog)
{
  for (size_t i = 0; i < backlog->count; i++)
    {
      const struct backlog_queue *queue = &backlog->queues[i];
      metric_set (queue->shown_queued, queue->open - queue->running);
      metric_set (queue->shown_running, queue->running);
    }
}
