#include "merger/merger.h"

#include "common/bus/bus.h"
#include "common/log.h"
#include "common/memory.h"
#include "merger/merge_job.h"

#include <string.h>

enum
{
  WAIT_MS = 100,   /* a job's timers are looked at this often */
  RETRY_MS = 1000, /* after the machine failed us */
  TRIES_MAX = 5,
};

struct merger
{
  struct bus *bus;
  struct follower *events;
  const char *only; /* the one job, NULL: all */
  struct merge_job **jobs;
  size_t job_count;
  int64_t control; /* position */
  int64_t seen;    /* position of the last event */
};

static void
drop_jobs (struct merger *merger)
{
  for (size_t i = 0; i < merger->job_count; i++)
    merge_job_close (merger->jobs[i]);
  free (merger->jobs);
  merger->jobs = NULL;
  merger->job_count = 0;
}

static struct merge_job *
find_job (const struct merger *merger, const char *id)
{
  for (size_t i = 0; i < merger->job_count; i++)
    if (strcmp (merge_job_id (merger->jobs[i]), id) == 0)
      return merger->jobs[i];
  return NULL;
}

/* Takes ID up with all its events up to POSITION. */
static struct merge_job *
add_job (struct merger *merger, const char *id, int64_t position, struct error *err)
{
  struct merge_job *merge = merge_job_open (merger->bus, id, position, err);
  if (merge == NULL)
    return NULL;
  merger->jobs = xrealloc (merger->jobs, merger->job_count + 1, sizeof (struct merge_job *));
  merger->jobs[merger->job_count++] = merge;
  return merge;
}

static int
take_in (struct merger *merger, const struct event *event, struct error *err)
{
  merger->seen = event->position;
  struct merge_job *merge = find_job (merger, event->job_id);
  if (merge != NULL)
    return merge_job_apply (merge, event, err);
  struct error problem = ERROR_INIT;
  if (add_job (merger, event->job_id, event->position, &problem) != NULL)
    return 0;
  if (problem.class == ERROR_USER)
    {
      log_warn ("event_of_unknown_job", "job=%s", event->job_id);
      return 0;
    }
  *err = problem;
  return -1;
}

static int
read_events (struct merger *merger, struct error *err)
{
  for (;;)
    {
      auto_event struct event event = { 0 };
      int found = follower_next (merger->events, &event, err);
      if (found <= 0)
        return found;
      if (take_in (merger, &event, err) != 0)
        return -1;
    }
}

static int
read_control (struct merger *merger, struct error *err)
{
  for (;;)
    {
      auto_control struct control control = { 0 };
      int found = bus_next_control (merger->bus, &merger->control, &control, err);
      if (found <= 0)
        return found;
      bool ours = merger->only == NULL || strcmp (merger->only, control.job_id) == 0;
      if (control.kind != CONTROL_CANCEL || !ours)
        continue;
      struct merge_job *merge = find_job (merger, control.job_id);
      if (merge == NULL) /* no event of it yet: there is nothing to wait for */
        merge = add_job (merger, control.job_id, merger->seen, NULL);
      const char *reason = control.reason != NULL ? control.reason : "cancelled";
      if (merge != NULL && merge_job_cancel (merge, reason, err) != 0)
        return -1;
    }
}

static bool
holds (void *context)
{
  const struct merger *merger = context;
  return follower_holds (merger->events, NULL);
}

/* Below this position no unfinished job needs an event. */
static int
commit (struct merger *merger, struct error *err)
{
  int64_t oldest = merger->seen + 1;
  for (size_t i = 0; i < merger->job_count; i++)
    if (!merge_job_is_done (merger->jobs[i]) && merge_job_first (merger->jobs[i]) < oldest)
      oldest = merge_job_first (merger->jobs[i]);
  return follower_commit (merger->events, oldest, err);
}

static int
tick (struct merger *merger, struct error *err)
{
  bool ended = false;
  for (size_t i = 0; i < merger->job_count; i++)
    {
      struct merge_job *merge = merger->jobs[i];
      bool was_done = merge_job_is_done (merge);
      if (merge_job_tick (merge, holds, merger, err) != 0)
        return error_wrap (err, "job %s", merge_job_id (merge));
      ended = ended || (!was_done && merge_job_is_done (merge));
    }
  return ended ? commit (merger, err) : 0;
}

static int
step (struct merger *merger, struct error *err)
{
  if (read_events (merger, err) != 0 || read_control (merger, err) != 0)
    return -1;
  return tick (merger, err);
}

/* The one job is ended: its status is final, and no event of it is left. */
static bool
only_job_is_done (const struct merger *merger)
{
  if (merger->only == NULL)
    return false;
  const struct merge_job *merge = find_job (merger, merger->only);
  return merge != NULL && merge_job_is_done (merge);
}

/* After a failure: what was built is dropped, the events are read again. */
static int
start_over (struct merger *merger, struct error *err)
{
  drop_jobs (merger);
  merger->control = 0;
  merger->seen = 0;
  return follower_rewind (merger->events, err);
}

static int
run (struct merger *merger, const struct merger_options *options, struct error *err)
{
  int failures = 0;
  while (*options->stop == 0 && !only_job_is_done (merger))
    {
      if (step (merger, err) == 0)
        {
          failures = 0;
          if (merger->job_count > 0 && !follower_holds (merger->events, err)
              && start_over (merger, err) != 0)
            return -1;
          if (!only_job_is_done (merger))
            (void) bus_poll (merger->bus, NULL, 0, WAIT_MS);
          continue;
        }
      if (err->class == ERROR_FATAL || ++failures >= TRIES_MAX)
        return -1;
      log_warn ("merger_retries", "reason=\"%s\"", err->message);
      error_clear (err);
      if (start_over (merger, err) != 0)
        return -1;
      (void) bus_poll (merger->bus, NULL, 0, RETRY_MS);
    }
  return 0;
}

int
merger_run (const struct merger_options *options, struct error *err)
{
  const struct bus_options bus_options = { .client = "merger" };
  auto_bus struct bus *bus = bus_open (options->bus_url, &bus_options, err);
  if (bus == NULL)
    return -1;
  auto_follower struct follower *events = bus_follow (bus, "merger", options->job_id, err);
  if (events == NULL)
    return -1;
  struct merger merger = { .bus = bus, .events = events, .only = options->job_id };
  int outcome = run (&merger, options, err);
  drop_jobs (&merger);
  return outcome;
}
