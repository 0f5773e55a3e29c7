#include "merger/merger.h"

#include "bus/bus.h"
#include "bus/follower.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "merger/backlog.h"
#include "merger/merge_job.h"
#include "merger/webhook.h"

#include <string.h>

enum
{
  WAIT_MS = 100, /* jobs' timers are looked at this often */
  RENEW_MS =
      2000, /* how often the membership is renewed during long work, and while nothing happens */
  RETRY_MS = 100,       /* after the machine failed us; doubled each time … */
  RETRY_MAX_MS = 10000, /* … up to this */
  ONE_JOB_MS = 20000,   /* a webhook is tried, where one job is waited for */
  TRIES_MAX = 6,        /* in a row, where one job is waited for */
  EVENTS_MAX = 4096,    /* read before the jobs are looked at again */
};

struct merger
{
  struct bus *bus;
  struct follower *events;
  const struct merger_options *options;
  struct heartbeat heartbeat;
  struct merge_job **jobs;
  size_t job_count;
  struct metric *jobs_open;
  struct metric *set_backs;
  struct metric *merge_seconds;
  struct backlog backlog;
  struct webhooks *webhooks;
  int64_t control;     /* position in the control records */
  int64_t renewed;     /* boot ms at which the membership was last known to be ours */
  int64_t holds_since; /* boot ms since which it holds events, as far as was known then; 0: it
                        * doesn't */
};

/* ---- membership ------------------------------------------------------------------------- */

static int
confirm (void *context, struct error *err)
{
  struct merger *merger = context;
  struct error why = ERROR_INIT;
  if (!follower_holds (merger->events, NULL, &why))
    merger->holds_since = 0;
  else
    {
      if (merger->holds_since == 0)
        merger->holds_since = clock_boot_ms ();
      merger->renewed = clock_boot_ms ();
      return 0;
    }
  if (!error_is_set (&why))
    return error_set (err, ERROR_TRANSIENT, "another merger has taken over");
  if (err != NULL)
    *err = why;
  return -1;
}

static int
merger_renew (void *context, struct error *err)
{
  const struct merger *merger = context;
  health_turn (merger->options->health);
  return clock_boot_ms () - merger->renewed < RENEW_MS ? 0 : confirm (context, err);
}

/* ---- jobs ------------------------------------------------------------------------------- */

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
merger_find_job (const struct merger *merger, const char *id)
{
  for (size_t i = 0; i < merger->job_count; i++)
    if (strcmp (merge_job_id (merger->jobs[i]), id) == 0)
      return merger->jobs[i];
  return NULL;
}

/* ERR came of the work for MERGE. Where the bus is well and its events are still ours, it is this
 * job's own trouble, its store's mostly: it is set back, the others go on. Who waits for it alone
 * is told. */
static int
set_back (struct merger *merger, struct merge_job *merge, struct error *err)
{
  if (err->class == ERROR_FATAL || merger->options->job_id != NULL || confirm (merger, NULL) != 0)
    return error_wrap (err, "job %s", merge_job_id (merge));
  merge_job_set_back (merge, err);
  metric_add (merger->set_backs, 1);
  error_clear (err);
  return 0;
}

static int
merger_apply (struct merger *merger, const struct event *event, struct error *err)
{
  struct merge_job *merge = merger_find_job (merger, event->job_id);
  if (merge != NULL)
    return merge_job_apply (merge, event, err) == 0 ? 0 : set_back (merger, merge, err);
  int opened =
      merge_job_open (merger->bus, event, &merger->heartbeat, merger->options->policy, &merge, err);
  if (opened == 0)
    return webhooks_recall (merger->webhooks, event->job_id, event->position, err);
  if (opened < 0)
    return -1;
  merger->jobs = xrealloc (merger->jobs, merger->job_count + 1, sizeof (struct merge_job *));
  merger->jobs[merger->job_count++] = merge;
  return 0;
}

/* 1 when all that there is has been read, 0 when there may be more, -1. */
static int
merger_read_events (struct merger *merger, struct error *err)
{
  for (int i = 0; i < EVENTS_MAX; i++)
    {
      auto_event struct event event = { 0 };
      int found = follower_next (merger->events, &event, err);
      if (found <= 0)
        return found < 0 ? -1 : 1;
      if (merger_apply (merger, &event, err) != 0)
        return -1;
    }
  return 0;
}

/* A job of which there is no event yet may have no producer that could end it. */
static int
cancel_unseen (struct merger *merger, const struct control *control, struct error *err)
{
  auto_job_status struct job_status status = { 0 };
  auto_job struct job job = { 0 };
  int known = bus_get_status (merger->bus, control->job_id, &status, err);
  if (known < 0 || (known == 1 && job_state_is_terminal (status.state)))
    return known < 0 ? -1 : 0;
  int found = bus_get_job (merger->bus, control->job_id, &job, err);
  if (found <= 0 || !follower_holds (merger->events, control->job_id, NULL))
    return found < 0 ? -1 : 0;
  const struct event event = { .kind = EVENT_CANCELLED,
                               .job_id = control->job_id,
                               .time = control->time,
                               .writer = (char *) (uintptr_t) bus_writer (merger->bus),
                               .generation = 1,
                               .reason = control->reason };
  if (bus_publish_event (merger->bus, &event, err) != 0)
    return -1;
  return bus_flush (merger->bus, err);
}

/* Only when all events are read: then a job that isn't in hand has none that isn't dealt with. */
static int
merger_read_control (struct merger *merger, struct error *err)
{
  const char *only = merger->options->job_id;
  for (;;)
    {
      auto_control struct control control = { 0 };
      int found = bus_next_control (merger->bus, &merger->control, &control, err);
      if (found <= 0)
        return found;
      if (control.kind != CONTROL_CANCEL || (only != NULL && strcmp (only, control.job_id) != 0))
        continue;
      struct merge_job *merge = merger_find_job (merger, control.job_id);
      int outcome = merge != NULL ? merge_job_cancel (merge, &control, err)
                                  : cancel_unseen (merger, &control, err);
      if (outcome != 0)
        return -1;
    }
}

/* Tells the group which events are needed: those of unfinished jobs, and of those whose webhooks
 * are to be told. */
static int
commit (struct merger *merger, struct error *err)
{
  size_t untold = webhooks_count (merger->webhooks);
  auto_free int64_t *needed = xcalloc (merger->job_count + untold + 1, sizeof *needed);
  for (size_t i = 0; i < merger->job_count; i++)
    needed[i] = merge_job_first (merger->jobs[i]);
  for (size_t i = 0; i < untold; i++)
    needed[merger->job_count + i] = webhooks_position (merger->webhooks, i);
  return follower_commit (merger->events, needed, merger->job_count + untold, err);
}

/* Jobs that are done are forgotten: what comes late of them is known by their status. */
static int
merger_turn_jobs (struct merger *merger, bool drained, struct error *err)
{
  bool ended = false;
  for (size_t i = 0; i < merger->job_count; i++)
    {
      int64_t began = clock_boot_ms ();
      if (merge_job_tick (merger->jobs[i], drained, err) != 0
          && set_back (merger, merger->jobs[i], err) != 0)
        return -1;
      if (!merge_job_is_done (merger->jobs[i]))
        continue;
      metric_observe (merger->merge_seconds, clock_boot_ms () - began);
      if (webhooks_note (merger->webhooks, merge_job_id (merger->jobs[i]),
                         merge_job_first (merger->jobs[i]), err)
          != 0)
        return -1;
      merge_job_close (merger->jobs[i]);
      merger->jobs[i--] = merger->jobs[--merger->job_count];
      ended = true;
    }
  int told = webhooks_turn (merger->webhooks, err);
  if (told < 0)
    return -1;
  return ended || told > 0 ? commit (merger, err) : 0;
}

static void
hide_backlog (const struct merger *merger)
{
  metric_set (merger->jobs_open, METRIC_UNKNOWN);
  backlog_hide (&merger->backlog);
}

/* Of jobs whose events this merger has read to their end. One that is about to take over from a
 * dead one has none of them yet, and one that has just taken over doesn't know yet where they end.
 */
static void
show_backlog (struct merger *merger, bool drained)
{
  bool knows = merger->holds_since != 0 && clock_boot_ms () - merger->holds_since >= RENEW_MS;
  if (!knows)
    hide_backlog (merger);
  if (!knows || !drained)
    return;
  backlog_start (&merger->backlog);
  for (size_t i = 0; i < merger->job_count; i++)
    {
      const struct backlog_shards left = merge_job_backlog (merger->jobs[i]);
      backlog_add (&merger->backlog, merge_job_queue (merger->jobs[i]), &left);
    }
  metric_set (merger->jobs_open, (int64_t) merger->job_count);
  backlog_show (&merger->backlog);
}

static void
make_metrics (struct merger *merger)
{
  struct metrics *metrics = health_metrics (merger->options->health);
  merger->jobs_open =
      metrics_gauge (metrics, "shoal_jobs", "Unfinished jobs of this merger.", NULL);
  merger->set_backs = metrics_counter (metrics, "shoal_merge_retries_total",
                                       "Merges that failed and are retried.", NULL);
  merger->merge_seconds =
      metrics_seconds (metrics, "shoal_merge_seconds",
                       "Time between the end of a job's last shard and its result.", NULL);
  backlog_init (&merger->backlog, metrics);
  hide_backlog (merger);
}

/* Whether the one job that is waited for is ended: its status is final, and no event of it is left
 * to be read. 1, 0 or -1. */
static int
merger_is_over (struct merger *merger, struct error *err)
{
  if (merger->options->job_id == NULL || merger->job_count > 0
      || webhooks_count (merger->webhooks) > 0)
    return 0;
  auto_job_status struct job_status status = { 0 };
  int found = bus_get_status (merger->bus, merger->options->job_id, &status, err);
  if (found <= 0 || !job_state_is_terminal (status.state))
    return found < 0 ? -1 : 0;
  /* No event may also mean that another merger has them: what is left is for it then. */
  return follower_holds (merger->events, NULL, NULL) ? 1 : 0;
}

/* ---- the service ------------------------------------------------------------------------ */

/* What was built is dropped, the events are read again. */
static void
start_over (struct merger *merger)
{
  drop_jobs (merger);
  hide_backlog (merger);
  webhooks_drop (merger->webhooks);
  merger->control = 0;
  merger->renewed = 0;
  if (merger->events != NULL)
    follower_rewind (merger->events);
}

static int
merger_follow (struct merger *merger, struct error *err)
{
  merger->events = bus_follow (merger->bus, "merger", merger->options->job_id, err);
  return merger->events == NULL ? -1 : 0;
}

/* 1 when there is nothing left to do, 0, or -1. */
static int
merger_step (struct merger *merger, struct error *err)
{
  health_turn (merger->options->health);
  health_bus (merger->options->health, !bus_is_away (merger->bus));
  if (merger->events == NULL && merger_follow (merger, err) != 0)
    return -1;
  /* A member that was away for too long isn't told so by the events that it doesn't get. */
  if (clock_boot_ms () - merger->renewed >= RENEW_MS && confirm (merger, NULL) != 0)
    {
      start_over (merger);
      merger->renewed = clock_boot_ms ();
    }
  int drained = merger_read_events (merger, err);
  if (drained < 0 || (drained == 1 && merger_read_control (merger, err) != 0)
      || merger_turn_jobs (merger, drained == 1, err) != 0)
    return -1;
  show_backlog (merger, drained == 1);
  if (drained == 0)
    return 0;
  int over = merger_is_over (merger, err);
  if (over != 0)
    return over;
  (void) bus_poll (merger->bus, NULL, 0, WAIT_MS);
  return 0;
}

static bool
merger_is_stopped (const struct merger *merger)
{
  return merger->options->stop != NULL && *merger->options->stop != 0;
}

/* After a failure of the machine: 0 to try again, -1 to end. A service goes on for ever, who waits
 * for one job wants to know. */
static int
recover (struct merger *merger, int failures, struct error *err)
{
  if (err->class == ERROR_FATAL || (merger->options->job_id != NULL && failures >= TRIES_MAX))
    return -1;
  health_bus_error (merger->options->health);
  auto_free char *reason = text_log (err->message);
  log_warn ("merger_retry", "failures=%d reason=%s", failures, reason);
  error_clear (err);
  start_over (merger);
  int64_t wait = failures < 8 ? (int64_t) RETRY_MS << (failures - 1) : RETRY_MAX_MS;
  int64_t until = clock_boot_ms () + wait;
  for (int64_t left = wait; left > 0 && !merger_is_stopped (merger);
       left = until - clock_boot_ms ())
    (void) bus_poll (merger->bus, NULL, 0, (int) left);
  return 0;
}

static int
merger_loop (struct merger *merger, struct error *err)
{
  int failures = 0;
  while (!merger_is_stopped (merger))
    {
      int outcome = merger_step (merger, err);
      if (outcome == 1)
        return 0;
      failures = outcome == 0 ? 0 : failures + 1;
      if (outcome < 0 && recover (merger, failures, err) != 0)
        return -1;
    }
  return 0;
}

int
merger_run (const struct merger_options *options, struct error *err)
{
  struct error ignored = ERROR_INIT;
  if (err == NULL)
    err = &ignored;
  char digest[POLICY_DIGEST_SIZE];
  const char *config = options->policy == NULL || options->job_id != NULL
                           ? NULL
                           : policy_digest (options->policy, digest);
  const struct bus_options bus_options = { .config = config,
                                           .client = "merger",
                                           .role = BUS_ROLE_MERGER,
                                           .lease_ms = options->lease_ms,
                                           .patience_ms = -1,
                                           .stop = options->stop,
                                           .properties = options->bus_properties,
                                           .metrics = health_metrics (options->health),
                                           .settings = options->settings };
  auto_buffer struct buffer secret = { 0 };
  if (webhooks_read_secret (&secret, err) != 0)
    return -1;
  auto_bus struct bus *bus = bus_open (options->bus_url, &bus_options, err);
  if (bus == NULL)
    return options->stop != NULL && *options->stop != 0 ? 0 : error_wrap (err, "merger");
  struct merger merger = { .bus = bus, .options = options };
  make_metrics (&merger);
  /* Who runs one job here gave its webhook's URL himself. */
  const struct webhooks_options webhooks = {
    .secret = secret.data,
    .patience_ms = options->job_id == NULL ? 0 : ONE_JOB_MS,
    .policy = options->policy,
    .private = options->webhook_private || options->job_id != NULL,
    .metrics = health_metrics (options->health)
  };
  merger.webhooks = webhooks_new (bus, &webhooks);
  merger.heartbeat =
      (struct heartbeat){ .renew = merger_renew, .confirm = confirm, .context = &merger };
  int outcome = merger_loop (&merger, err);
  drop_jobs (&merger);
  backlog_release (&merger.backlog);
  webhooks_free (merger.webhooks);
  follower_close (merger.events);
  return outcome == 0 ? 0 : error_wrap (err, "merger");
}
