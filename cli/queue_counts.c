#include "cli/queue_counts.h"

#include "bus/follower.h"
#include "bus/queue_list.h"
#include "bus/settings.h"
#include "common/clock.h"
#include "common/hash.h"
#include "common/memory.h"
#include "merger/backlog.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum
{
  EVENTS_MAX = 10000, /* of one call */
  QUEUES_MS = 5000,   /* between two looks for queues */
  BUCKETS = 1024,
};

/* A job that hasn't ended, as far as is known. */
struct open_job
{
  LIST_ENTRY (open_job) links;
  struct job job;
  struct fold *fold;
};

LIST_HEAD (open_jobs, open_job);

struct queue_counts
{
  struct bus *bus;
  struct follower *events; /* NULL before the first call */
  struct open_jobs jobs[BUCKETS];
  char *listed;         /* the job that was listed last; NULL: none */
  struct event held;    /* one that was read, and failed to be taken in … */
  bool holds;           /* … if there is one */
  struct strlist names; /* of the queues … */
  int64_t named;        /* … at boot ms */
};

struct queue_counts *
queue_counts_new (struct bus *bus)
{
  struct queue_counts *counts = xcalloc (1, sizeof *counts);
  counts->bus = bus;
  return counts;
}

static void
open_job_free (struct open_job *open)
{
  if (open == NULL)
    return;
  fold_free (open->fold);
  job_release (&open->job);
  free (open);
}

void
queue_counts_free (struct queue_counts *counts)
{
  if (counts == NULL)
    return;
  for (size_t i = 0; i < BUCKETS; i++)
    while (!LIST_EMPTY (&counts->jobs[i]))
      {
        struct open_job *open = LIST_FIRST (&counts->jobs[i]);
        LIST_REMOVE (open, links);
        open_job_free (open);
      }
  follower_close (counts->events);
  if (counts->holds)
    event_release (&counts->held);
  strlist_release (&counts->names);
  free (counts->listed);
  free (counts);
}

/* ---- jobs ------------------------------------------------------------------------------- */

static struct open_jobs *
queue_counts_bucket (struct queue_counts *counts, const char *id)
{
  return &counts->jobs[hash_bytes (id, strlen (id)) % BUCKETS];
}

static void
queue_counts_insert (struct queue_counts *counts, struct open_job *open)
{
  struct open_jobs *bucket = queue_counts_bucket (counts, open->job.id);
  LIST_INSERT_HEAD (bucket, open, links);
}

static struct open_job *
queue_counts_find (struct queue_counts *counts, const char *id)
{
  struct open_job *open = NULL;
  LIST_FOREACH (open, queue_counts_bucket (counts, id), links)
    if (strcmp (open->job.id, id) == 0)
      return open;
  return NULL;
}

/* What is counted of JOB, which is the caller's. */
static struct open_job *
open_job_new (const struct job *job)
{
  struct open_job *open = xcalloc (1, sizeof *open);
  open->fold = fold_new ();
  open->job.id = xstrdup (job->id);
  open->job.queue = xstrdup (job->queue);
  open->job.reduce_image = xstrdup (job->reduce_image);
  open->job.min_success = job->min_success;
  open->job.submitted = job->submitted;
  return open;
}

/* Whether the job ID has ended (*ENDED), as far as its events up to GENERATION go: 1, 0 when nobody
 * has said anything of it, or -1. */
static int
queue_counts_look (struct queue_counts *counts, const char *id, uint32_t generation, bool *ended,
                   struct error *err)
{
  auto_job_status struct job_status status = { 0 };
  int found = bus_get_status (counts->bus, id, &status, err);
  *ended = found == 1 && job_state_is_terminal (status.state) && status.generation >= generation;
  return found;
}

/* Reads what stands before POSITION of a job that had been let go. */
static int
open_job_read_history (struct open_job *open, struct bus *bus, int64_t position, struct error *err)
{
  auto_follower struct follower *history = bus_follow (bus, NULL, open->job.id, err);
  if (history == NULL)
    return -1;
  for (;;)
    {
      auto_event struct event event = { 0 };
      int found = follower_next (history, &event, err);
      if (found <= 0 || event.position >= position)
        return found < 0 ? -1 : 0;
      (void) fold_apply (open->fold, &event);
    }
}

/* The job of EVENT, opened if it hasn't ended: 1, 0 when there is nothing to count, or -1. */
static int
queue_counts_open (struct queue_counts *counts, const struct event *event, struct open_job **found,
                   struct error *err)
{
  auto_job struct job job = { 0 };
  bool ended = false;
  *found = queue_counts_find (counts, event->job_id);
  if (*found != NULL)
    return 1;
  int known = queue_counts_look (counts, event->job_id, event->generation, &ended, err);
  if (known < 0 || ended)
    return known < 0 ? -1 : 0;
  int there = bus_get_job (counts->bus, event->job_id, &job, err);
  if (there <= 0)
    return there;
  struct open_job *open = open_job_new (&job);
  /* It may have ended before, and its events been passed by. */
  if (known == 1 && open_job_read_history (open, counts->bus, event->position, err) != 0)
    {
      open_job_free (open);
      return -1;
    }
  queue_counts_insert (counts, open);
  *found = open;
  return 1;
}

static int
queue_counts_apply (struct queue_counts *counts, const struct event *event, struct error *err)
{
  struct open_job *open = NULL;
  int found = queue_counts_open (counts, event, &open, err);
  if (found == 1)
    (void) fold_apply (open->fold, event);
  return found < 0 ? -1 : 0;
}

struct queue_listing
{
  struct queue_counts *counts;
  struct error *err;
};

/* A job that nobody has planned yet has neither an event nor a status. */
static int
queue_counts_add (void *context, const struct job *job)
{
  const struct queue_listing *listing = context;
  struct queue_counts *counts = listing->counts;
  bool ended = false;
  int known = queue_counts_look (counts, job->id, 0, &ended, listing->err);
  if (known < 0)
    return -1;
  free (counts->listed);
  counts->listed = xstrdup (job->id);
  if (known == 0 && queue_counts_find (counts, job->id) == NULL)
    queue_counts_insert (counts, open_job_new (job));
  return 0;
}

static int
queue_counts_list (struct queue_counts *counts, struct error *err)
{
  struct queue_listing listing = { counts, err };
  int result = bus_list_jobs (counts->bus, counts->listed, queue_counts_add, &listing, err);
  if (result == 0 || counts->listed == NULL || err->class != ERROR_USER)
    return result;
  /* The one that was listed last is no longer kept. */
  error_clear (err);
  free (take (&counts->listed));
  return bus_list_jobs (counts->bus, NULL, queue_counts_add, &listing, err);
}

/* Lets go of jobs that have ended. */
static int
queue_counts_sweep (struct queue_counts *counts, struct error *err)
{
  for (size_t i = 0; i < BUCKETS; i++)
    for (struct open_job *open = LIST_FIRST (&counts->jobs[i]); open != NULL;)
      {
        struct open_job *next = LIST_NEXT (open, links);
        bool ended = false;
        if (queue_counts_look (counts, open->job.id, fold_generation (open->fold), &ended, err) < 0)
          return -1;
        if (ended)
          {
            LIST_REMOVE (open, links);
            open_job_free (open);
          }
        open = next;
      }
  return 0;
}

/* ---- reading ---------------------------------------------------------------------------- */

/* 1, 0 when there is none, or -1. */
static int
queue_counts_next (struct queue_counts *counts, struct error *err)
{
  if (counts->holds)
    return 1;
  int found = follower_next (counts->events, &counts->held, err);
  counts->holds = found == 1;
  return found;
}

int
queue_counts_read (struct queue_counts *counts, struct error *err)
{
  if (counts->events == NULL)
    counts->events = bus_follow (counts->bus, NULL, NULL, err);
  if (counts->events == NULL)
    return -1;
  for (int i = 0; i < EVENTS_MAX; i++)
    {
      int found = queue_counts_next (counts, err);
      if (found <= 0)
        return found < 0 ? -1 : 1;
      if (queue_counts_apply (counts, &counts->held, err) != 0)
        return -1;
      event_release (&counts->held);
      counts->held = (struct event){ 0 };
      counts->holds = false;
    }
  return 0;
}

/* ---- the numbers ------------------------------------------------------------------------ */

static int
compare_counts (const void *one, const void *other)
{
  const struct queue_count *a = one;
  const struct queue_count *b = other;
  return strcmp (a->name, b->name);
}

static int
queue_counts_name (struct queue_counts *counts, struct error *err)
{
  if (counts->named != 0 && clock_boot_ms () - counts->named < QUEUES_MS)
    return 0;
  auto_strlist struct strlist names = { 0 };
  if (bus_list_queues (counts->bus, &names, err) != 0)
    return -1;
  strlist_release (&counts->names);
  counts->names = names;
  names = (struct strlist){ 0 };
  counts->named = clock_boot_ms ();
  return 0;
}

static void
queue_count_add (struct queue_count *queue, const struct open_job *open, bool paused, int64_t now)
{
  struct backlog_shards left = backlog_of (&open->job, open->fold);
  if (paused) /* no worker could do anything for it */
    {
      left.waiting = 0;
      left.planning = false;
    }
  queue->waiting += left.waiting;
  queue->running += left.running;
  queue->planning += left.planning ? 1 : 0;
  if (left.waiting == 0 && !left.planning)
    return;
  int64_t since = now - open->job.submitted;
  int64_t age = fold_begun (open->fold) != 0 ? fold_age (open->fold, now) : since > 0 ? since : 0;
  queue->oldest = age > queue->oldest ? age : queue->oldest;
}

/* A queue whose topics were made a moment ago may have a job before it was listed. */
static struct queue_count *
queue_count_need (struct queue_count **queues, size_t *count, const char *name)
{
  for (size_t i = 0; i < *count; i++)
    if (strcmp ((*queues)[i].name, name) == 0)
      return &(*queues)[i];
  *queues = xrealloc (*queues, *count + 1, sizeof **queues);
  (*queues)[*count] = (struct queue_count){ .name = xstrdup (name), .oldest = -1 };
  return &(*queues)[(*count)++];
}

int
queue_counts_take (struct queue_counts *counts, struct queue_count **queues, size_t *count,
                   struct error *err)
{
  if (queue_counts_list (counts, err) != 0 || queue_counts_sweep (counts, err) != 0
      || queue_counts_name (counts, err) != 0)
    return -1;
  auto_settings struct settings *known = settings_read (counts->bus, err);
  if (known == NULL)
    return -1;
  int64_t now = clock_wall_ms ();
  struct open_job *open = NULL;
  *queues = NULL;
  *count = 0;
  for (size_t i = 0; i < counts->names.count; i++)
    (void) queue_count_need (queues, count, counts->names.items[i]);
  for (size_t i = 0; i < BUCKETS; i++)
    LIST_FOREACH (open, &counts->jobs[i], links)
      queue_count_add (queue_count_need (queues, count, open->job.queue), open,
                       settings_of (known, &open->job).paused, now);
  if (*count > 0)
    qsort (*queues, *count, sizeof **queues, compare_counts);
  return 0;
}

void
queue_counts_release (struct queue_count *queues, size_t count)
{
  for (size_t i = 0; i < count; i++)
    free (queues[i].name);
  free (queues);
}
