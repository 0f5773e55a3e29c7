#include "producer/window.h"

#include "bus/follower.h"
#include "bus/settings.h"
#include "bus/shard_list.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "producer/shard_set.h"
#include "producer/shares.h"
#include "result/frozen_plan.h"

#include <string.h>
#include <sys/queue.h>

enum
{
  JOBS_MAX = 100,       /* that go on */
  READERS_MAX = 500,    /* each job has one of its own */
  KEEP_EVERY_MS = 2000, /* a fraction of any sensible lease */
  EVENTS_TURN = 1000,   /* read of one job before it is the next one's turn */
  SHARDS_TURN = 250,    /* likewise published, and then flushed */
  AGAIN_MS = 1000,      /* pause after a plan that couldn't be read */
  SHARDS_MAX = 1 << 27, /* of a job */
};

/* How a job stands after a turn. */
enum turn
{
  TURN_OVER, /* it isn't ours any more */
  TURN_GOES_ON,
  TURN_WAITS, /* for what happens */
};

struct window
{
  TAILQ_ENTRY (window) links;
  struct delivery *delivery;
  struct follower *follower;
  struct frozen_plan *plan; /* NULL: PLANNED wasn't read yet */
  int64_t shards;
  struct shard_set settled;
  struct shard_set published;
  int64_t open;       /* shards that are published and not settled */
  int64_t next;       /* all before it are published */
  bool unsure;        /* which shards are published has to be asked first */
  bool caught_up;     /* the events were read to their end once */
  bool ended;         /* nothing more is to be published */
  int32_t top;        /* the highest priority of the jobs that this one is measured by */
  int64_t kept;       /* boot ms */
  int64_t not_before; /* likewise */
};

TAILQ_HEAD (window_list, window);

struct windows
{
  struct bus *bus;
  const struct producer_options *options;
  struct window_list list;
  size_t count;
  int64_t control; /* position */
  struct settings *settings;
};

/* ---- windows ---------------------------------------------------------------------------- */

static void
window_free (struct window *window)
{
  follower_close (window->follower);
  frozen_plan_free (window->plan);
  delivery_free (window->delivery);
  shard_set_release (&window->settled);
  shard_set_release (&window->published);
  free (window);
}

static void
windows_drop (struct windows *windows, struct window *window)
{
  TAILQ_REMOVE (&windows->list, window, links);
  windows->count--;
  window_free (window);
}

struct windows *
windows_new (struct bus *bus, const struct producer_options *options)
{
  struct windows *windows = xcalloc (1, sizeof *windows);
  windows->bus = bus;
  windows->options = options;
  windows->settings = settings_new ();
  TAILQ_INIT (&windows->list);
  return windows;
}

void
windows_free (struct windows *windows)
{
  struct window *window = NULL;
  if (windows == NULL)
    return;
  while ((window = TAILQ_FIRST (&windows->list)) != NULL)
    {
      (void) bus_release (windows->bus, window->delivery, NULL);
      windows_drop (windows, window);
    }
  settings_free (windows->settings);
  free (windows);
}

size_t
windows_count (const struct windows *windows)
{
  return windows->count;
}

/* Jobs that are paused don't keep others out, as long as there are readers for them. */
bool
windows_have_room (const struct windows *windows)
{
  const struct window *window = NULL;
  size_t paused = 0;
  TAILQ_FOREACH (window, &windows->list, links)
    paused += settings_of (windows->settings, window->delivery->job).paused ? 1 : 0;
  return windows->count - paused < JOBS_MAX && windows->count < READERS_MAX;
}

/* ---- what happened ---------------------------------------------------------------------- */

static void
window_settle_shard (struct window *window, int64_t index)
{
  if (index < SHARDS_MAX && shard_set_add (&window->settled, index)
      && shard_set_has (&window->published, index))
    window->open--;
}

static void
window_note_published (struct window *window, int64_t index)
{
  if (shard_set_add (&window->published, index) && !shard_set_has (&window->settled, index))
    window->open++;
}

static void
window_apply (struct window *window, const struct event *event)
{
  switch (event->kind)
    {
    case EVENT_PLANNED: /* the first one counts */
      if (window->plan != NULL)
        return;
      window->plan = frozen_plan_new (window->delivery->job, event->starts);
      window->shards = event->shards;
      return;
    case EVENT_FINISHED:
      if (event->shard_kind == SHARD_MAP && event->generation == 1
          && (event->report.final || event->report.outcome == OUTCOME_SUCCEEDED))
        window_settle_shard (window, event->index);
      return;
    case EVENT_CANCELLED:
    case EVENT_FAILED:
    case EVENT_REOPENED: /* a replay brings what it wants itself */
      window->ended = true;
      return;
    case EVENT_STARTED:
    case EVENT_REMERGE:
    case EVENT_UNKNOWN:
      return;
    }
}

/* Reads some events: 1 when there may be more, 0 or -1. */
static int
window_read (struct window *window, struct error *err)
{
  for (int i = 0; i < EVENTS_TURN; i++)
    {
      auto_event struct event event = { 0 };
      int got = follower_next (window->follower, &event, err);
      window->caught_up = window->caught_up || got == 0;
      if (got <= 0)
        return got;
      window_apply (window, &event);
    }
  return 1;
}

/* 1 while the job is ours, 0 or -1. */
static int
window_keep (struct windows *windows, struct window *window, struct error *err)
{
  int64_t now = clock_boot_ms ();
  if (now - window->kept < KEEP_EVERY_MS)
    return 1;
  int ours = bus_keep (windows->bus, window->delivery, err);
  window->kept = ours == 1 ? now : window->kept;
  if (ours == 0)
    log_warn ("window_lease_lost", "job=%s", window->delivery->job->id);
  return ours;
}

static void
windows_cancel (struct windows *windows, const char *job_id)
{
  struct window *window = NULL;
  TAILQ_FOREACH (window, &windows->list, links)
    if (strcmp (window->delivery->job->id, job_id) == 0)
      window->ended = true;
}

static int
windows_read_control (struct windows *windows, struct error *err)
{
  for (;;)
    {
      auto_control struct control control = { 0 };
      int got = bus_next_control (windows->bus, &windows->control, &control, err);
      if (got <= 0)
        return got;
      if (control.kind == CONTROL_CANCEL)
        windows_cancel (windows, control.job_id);
      settings_apply (windows->settings, &control);
    }
}

/* ---- how much of each ------------------------------------------------------------------- */

/* The highest priority in QUEUE, as other queues have other slots. Whose shards are all published
 * needs no window any more, and has none. */
static int32_t
windows_top (const struct windows *windows, const char *queue)
{
  const struct window *window = NULL;
  int32_t top = INT32_MIN;
  TAILQ_FOREACH (window, &windows->list, links)
    {
      const struct job_settings settings = settings_of (windows->settings, window->delivery->job);
      if (!window->ended && settings.priority > top
          && text_same (window->delivery->job->queue, queue)
          && shares_leads (windows->options->window, &settings))
        top = settings.priority;
    }
  return top;
}

/* Queues are few, jobs may be many. */
static void
windows_measure (struct windows *windows)
{
  struct window *window = NULL;
  TAILQ_FOREACH (window, &windows->list, links)
    {
      const char *queue = window->delivery->job->queue;
      const struct window *first = TAILQ_FIRST (&windows->list);
      while (first != window && !text_same (first->delivery->job->queue, queue))
        first = TAILQ_NEXT (first, links);
      window->top = first == window ? windows_top (windows, queue) : first->top;
    }
}

int
windows_limit (struct windows *windows, const struct job *job, int64_t *limit, struct error *err)
{
  *limit = 0;
  if (job->results == NULL || windows->options->job_id != NULL)
    return 0;
  if (windows_read_control (windows, err) != 0)
    return -1;
  const struct job_settings settings = settings_of (windows->settings, job);
  /* Of a job that is paused the first one tells other producers that its plan was begun. */
  *limit = settings.paused ? 1
                           : shares_window (windows->options->window, &settings,
                                            windows_top (windows, job->queue));
  return 0;
}

int32_t
windows_priority (const struct windows *windows, const struct job *job)
{
  return settings_of (windows->settings, job).priority;
}

/* ---- taking a job up -------------------------------------------------------------------- */

int
windows_add (struct windows *windows, struct delivery *delivery, int64_t published,
             struct error *err)
{
  struct window *window = xcalloc (1, sizeof *window);
  window->delivery = delivery;
  window->kept = clock_boot_ms ();
  window->follower = bus_follow (windows->bus, NULL, delivery->job->id, err);
  int got = window->follower == NULL ? -1 : 1;
  while (got == 1 && window->plan == NULL && !window->ended)
    {
      got = window_read (window, err);
      int ours = got < 0 ? -1 : window_keep (windows, window, err);
      got = ours <= 0 ? -1 : got;
    }
  if (got < 0 || window->plan == NULL)
    {
      window->delivery = NULL; /* the caller's */
      window_free (window);
      return got < 0 ? -1 : 0;
    }
  for (int64_t i = 0; i < published; i++)
    window_note_published (window, i);
  window->next = published < 0 ? 0 : published;
  window->unsure = published < 0;
  TAILQ_INSERT_TAIL (&windows->list, window, links);
  windows->count++;
  windows->control = 0; /* what is there may be about this job */
  log_info ("window_opened", "job=%s shards=%lld published=%lld", delivery->job->id,
            (long long) window->shards, (long long) published);
  return 1;
}

static void
window_note_there (void *context, uint32_t index)
{
  struct window *window = context;
  if (index < window->shards)
    window_note_published (window, index);
}

/* Which shards are published: 1 when that is known, 0 when the job isn't ours any more, or -1. */
static int
window_probe (struct windows *windows, struct window *window, struct error *err)
{
  if (bus_list_shards (windows->bus, window->delivery->job->id, window_note_there, window, err)
      != 0)
    return -1;
  int ours = window_keep (windows, window, err);
  window->unsure = ours != 1;
  return ours;
}

/* ---- publishing ------------------------------------------------------------------------- */

static int
window_fail (struct windows *windows, struct window *window, const struct error *why,
             struct error *err)
{
  auto_free char *writer = xstrdup (bus_writer (windows->bus));
  const struct event event = { .kind = EVENT_FAILED,
                               .job_id = window->delivery->job->id,
                               .time = clock_wall_ms (),
                               .writer = writer,
                               .generation = 1,
                               .attempt = 1,
                               .shards = -1,
                               .atoms = -1,
                               .bytes = -1,
                               .reason = (char *) (uintptr_t) why->message,
                               .class_name = (char *) (uintptr_t) error_class_name (why->class) };
  log_failure (LOG_ERROR, "window_failed", why, "job=%s", window->delivery->job->id);
  return bus_settle_wait (windows->bus, window->delivery, &event, NULL, err) < 0 ? -1 : TURN_OVER;
}

/* The plan couldn't be read: the job waits for a moment, or for ever. */
static int
window_complain (struct windows *windows, struct window *window, const struct error *why,
                 struct error *err)
{
  if (why->class != ERROR_TRANSIENT)
    return window_fail (windows, window, why, err);
  log_failure (LOG_WARN, "frozen_plan_unreadable", why, "job=%s", window->delivery->job->id);
  window->not_before = clock_boot_ms () + AGAIN_MS;
  return TURN_WAITS;
}

/* What the producer before this one published last leaves nothing to do, paused or not. */
static void
window_step (struct window *window)
{
  while (window->next < window->shards
         && (shard_set_has (&window->published, window->next)
             || shard_set_has (&window->settled, window->next)))
    window->next++;
}

/* Publishes up to SHARDS_TURN of the next shards as long as there is room; how many, or -1. WHY: of
 * the plan. */
static int
window_publish (struct windows *windows, struct window *window, struct error *why,
                struct error *err)
{
  const struct job_settings settings = settings_of (windows->settings, window->delivery->job);
  int64_t limit = shares_window (windows->options->window, &settings, window->top);
  int64_t room = (limit == 0 ? window->shards : limit) - window->open;
  room = settings.paused ? 0 : room;
  window_step (window);
  int64_t at = window->next;
  int count = 0;
  for (; at < window->shards && count < room && count < SHARDS_TURN; at++)
    {
      if (shard_set_has (&window->published, at) || shard_set_has (&window->settled, at))
        continue;
      auto_shard struct shard shard = { 0 };
      int got = frozen_plan_get (window->plan, (uint32_t) at, &shard, why);
      if (got == 0)
        (void) error_set (why, ERROR_USER, "the frozen plan has no shard %lld", (long long) at);
      if (got < 0)
        (void) error_wrap (why, "the frozen plan");
      if (got <= 0)
        break;
      window->unsure = true; /* until it is known to be safe */
      if (bus_publish_shard (windows->bus, &shard, err) != 0)
        return -1;
      count++;
    }
  if (count > 0 && bus_flush (windows->bus, err) != 0)
    return -1;
  for (; window->next < at; window->next++)
    window_note_published (window, window->next);
  window->unsure = false;
  return count;
}

/* All is published, or nothing more is to be. */
static int
window_close (struct windows *windows, struct window *window, struct error *err)
{
  const struct job *job = window->delivery->job;
  int settled = bus_settle_wait (windows->bus, window->delivery, NULL, NULL, err);
  if (settled < 0)
    return -1;
  log_info ("window_closed", "job=%s published=%lld shards=%lld", job->id, (long long) window->next,
            (long long) window->shards);
  struct error why = ERROR_INIT;
  if (settled == 1 && !window->ended && frozen_plan_remove (job, &why) != 0)
    log_failure (LOG_WARN, "frozen_plan_not_removed", &why, "job=%s", job->id);
  return TURN_OVER;
}

/* An enum turn, or -1 when the bus fails. */
static int
window_turn (struct windows *windows, struct window *window, struct error *err)
{
  int ours = window_keep (windows, window, err);
  int more = ours == 1 ? window_read (window, err) : ours;
  if (ours <= 0 || more < 0)
    return ours == 0 ? TURN_OVER : -1;
  /* Behind the events: what makes room after an order to cancel brings no shard. */
  if (windows_read_control (windows, err) != 0)
    return -1;
  if (window->ended)
    return window_close (windows, window, err);
  if (!window->caught_up)
    return TURN_GOES_ON;
  if (clock_boot_ms () < window->not_before)
    return TURN_WAITS;
  int probed = window->unsure ? window_probe (windows, window, err) : 1;
  if (probed <= 0)
    return probed == 0 ? TURN_OVER : -1;
  struct error why = ERROR_INIT;
  int count = window_publish (windows, window, &why, err);
  if (count < 0)
    return -1;
  if (why.class != ERROR_NONE)
    return window_complain (windows, window, &why, err);
  if (window->next == window->shards)
    return window_close (windows, window, err);
  return more == 1 || count == SHARDS_TURN ? TURN_GOES_ON : TURN_WAITS;
}

int
windows_tend (struct windows *windows, struct error *err)
{
  struct window *window = NULL;
  struct window *next = NULL;
  int more = 0;
  if (windows->count == 0)
    return 0;
  windows_measure (windows);
  for (window = TAILQ_FIRST (&windows->list); window != NULL; window = next)
    {
      next = TAILQ_NEXT (window, links);
      int turn = window_turn (windows, window, err);
      if (turn < 0)
        return -1;
      if (turn == TURN_OVER)
        windows_drop (windows, window);
      more = more || turn == TURN_GOES_ON;
    }
  return more;
}
