#include "producer/planning.h"

#include "common/clock.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/sys.h"
#include "common/text.h"
#include "policy/policy_check.h"
#include "producer/admit.h"
#include "producer/by_size.h"
#include "producer/shard_set.h"
#include "producer/slicer.h"
#include "producer/slicer_internal.h"
#include "result/frozen_plan.h"
#include "result/result.h"
#include "result/result_store.h"
#include "storage/local_pin.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum
{
  TRIES = 5,            /* how often a job is sliced when the machine fails us */
  STARTS_MAX = 20,      /* how often producers may be lost over one job */
  KEEP_EVERY_MS = 2000, /* a fraction of any sensible lease */
  LOOK_EVERY_MS = 200,  /* for control records, and to flush what was published */
  FLUSH_SHARDS = 1000,  /* that aren't safe yet, at most */
};

/* Why the slicer was told to end. */
enum ending
{
  ENDING_LOST = 1, /* the delivery isn't ours any more */
  ENDING_CANCELLED,
  ENDING_STOPPED,
  ENDING_LIMITED, /* by a limit that was set meanwhile: the job is sliced again, and kept */
};

struct planning
{
  struct bus *bus;
  struct delivery *delivery;
  const struct job *job;
  const struct producer_options *options;
  struct windows *windows;    /* NULL: none */
  int64_t limit;              /* shards that are published now, the others later; 0: all */
  bool freezes;               /* there was a limit */
  int64_t published;          /* so many of the first shards, and maybe others */
  struct frozen_plan *frozen; /* NULL: none */
  struct by_size *by_size;    /* where they are published when all are there; NULL: none */
  bool begun;                 /* shards were published by an earlier try, or another producer */
  int plan_fd;
  struct shard_set there; /* shards that were published before this try */

  int64_t kept; /* boot ms */
  int64_t looked;
  int64_t unflushed; /* shards */
  int64_t control;   /* position */
  char *cancel_reason;
  struct left_out left_out;
  struct strlist volume_pins; /* of the last try's shards */
};

/* ---- while the slicer runs ------------------------------------------------------------- */

/* Whether a control record cancels the job: 1, 0 or -1. */
static int
planning_read_control (struct planning *planning, struct error *err)
{
  for (;;)
    {
      auto_control struct control control = { 0 };
      int got = bus_next_control (planning->bus, &planning->control, &control, err);
      if (got <= 0)
        return got;
      if (control.kind == CONTROL_CANCEL && strcmp (control.job_id, planning->job->id) == 0)
        {
          free (planning->cancel_reason);
          planning->cancel_reason = xstrdup (control.reason);
          return 1;
        }
    }
}

static int
planning_flush (struct planning *planning, struct error *err)
{
  if (planning->unflushed == 0)
    return 0;
  planning->unflushed = 0;
  return bus_flush (planning->bus, err);
}

/* Trouble of the bus shows again when planning goes on. */
static void
planning_tend_windows (const struct planning *planning)
{
  struct error err = ERROR_INIT;
  if (planning->windows != NULL && windows_tend (planning->windows, &err) < 0)
    log_failure (LOG_WARN, "bus_error", &err, NULL);
}

/* How much may be published now: 0, or -1. */
static int
planning_read_limit (struct planning *planning, struct error *err)
{
  if (planning->windows == NULL)
    return 0;
  if (windows_limit (planning->windows, planning->job, &planning->limit, err) != 0)
    return -1;
  planning->freezes = planning->freezes || planning->limit > 0;
  return 0;
}

/* 0 to go on, an enum ending, or -1. */
static int
on_alive (void *context, struct error *err)
{
  struct planning *planning = context;
  const struct producer_options *options = planning->options;
  health_turn (options->health);
  if (options->stop != NULL && *options->stop != 0)
    return ENDING_STOPPED;
  int64_t now = clock_boot_ms ();
  if (now - planning->looked >= LOOK_EVERY_MS)
    {
      planning->looked = now;
      int cancelled = planning_read_control (planning, err);
      if (cancelled != 0)
        return cancelled < 0 ? -1 : ENDING_CANCELLED;
      if (planning_flush (planning, err) != 0)
        return -1;
      planning_tend_windows (planning);
      if (planning_read_limit (planning, err) != 0)
        return -1;
    }
  if (now - planning->kept >= KEEP_EVERY_MS)
    {
      planning->kept = now;
      int ours = bus_keep (planning->bus, planning->delivery, err);
      if (ours <= 0)
        return ours < 0 ? -1 : ENDING_LOST;
    }
  return 0;
}

/* Shards may have been published by an earlier try or another producer, and a worker may have run
 * them already. */
static int
was_begun (struct planning *planning, struct error *err)
{
  auto_shard struct shard first = { 0 };
  return bus_get_shard (planning->bus, planning->job->id, 0, &first, err);
}

/* Each machine may have a copy of a volume's file. */
static bool
planning_same_pins (const struct strlist *one, const struct strlist *other)
{
  bool same = one->count == other->count;
  for (size_t i = 0; same && i < one->count; i++)
    same = local_pin_same (one->items[i], other->items[i]);
  return same;
}

/* The shard that was published under SHARD's name must be the same: 1; 0 when there is none. What
 * wasn't there when the try began isn't asked for: nobody else publishes the plan meanwhile. */
static int
compare_published (struct planning *planning, const struct shard *shard, struct error *err)
{
  auto_shard struct shard published = { 0 };
  if (!shard_set_has (&planning->there, shard->index))
    return 0;
  int got = bus_get_shard (planning->bus, shard->job_id, shard->index, &published, err);
  if (got <= 0)
    return got;
  bool pinned = published.volume_pins.count > 0; /* by an older producer: not */
  if (memcmp (published.digest, shard->digest, DIGEST_SIZE) != 0
      || (pinned && !planning_same_pins (&published.volume_pins, &shard->volume_pins)))
    return error_set (
        err, ERROR_USER,
        "the inputs changed since planning began: shard %u differs from what was published",
        shard->index);
  return 1;
}

/* Workers don't see our plan file: the shard's list goes to where the result will be. */
static int
planning_put_plan (const struct planning *planning, const struct shard *shard, struct error *err)
{
  auto_buffer struct buffer list = { 0 };
  auto_result_store struct result_store *store =
      result_store_open (planning->job->results, planning->job->credentials, err);
  if (store == NULL)
    return -1;
  if (fs_read_at (planning->plan_fd, &list, (size_t) shard->plan_length, shard->plan_offset,
                  "the plan file", err)
      != 0)
    return -1;
  return result_store_put_plan (store, shard->plan_offset, buffer_bytes (&list), err);
}

/* Whether the job got its first limit since this try began. */
static bool
planning_must_freeze (const struct planning *planning)
{
  return planning->freezes && planning->frozen == NULL;
}

static int
planning_publish (void *context, const struct shard *shard, struct error *err)
{
  struct planning *planning = context;
  if (planning->by_size != NULL && planning_must_freeze (planning))
    return ENDING_LIMITED;
  bool next = planning->by_size != NULL || shard->index == planning->published;
  int published = compare_published (planning, shard, err);
  if (published == 0 && shard->plan_length >= 0 && result_is_remote (planning->job->results))
    published = planning_put_plan (planning, shard, err);
  /* The limit may grow, but the shards before this one come first. Where some went out by size, the
     window counts what is there. */
  bool scattered = planning->begun && planning->job->order == ORDER_SIZE;
  bool room = planning->by_size != NULL || planning->limit == 0
              || (shard->index < planning->limit && !scattered);
  bool now = published == 0 && next && room;
  if (now)
    published = bus_publish_shard (planning->bus, shard, err) == 0 ? 1 : -1;
  if (published == 1 && next)
    planning->published++;
  if (published < 0
      || (planning->frozen != NULL && frozen_plan_add (planning->frozen, shard, err) != 0))
    return -1;
  planning->unflushed += now ? 1 : 0;
  /* Where any shard is there is the first one, by which another producer sees that we were here. */
  bool first = shard->index == 0;
  if ((first || planning->unflushed >= FLUSH_SHARDS) && planning_flush (planning, err) != 0)
    return -1;
  return on_alive (planning, err);
}

static int
planning_on_shard (void *context, const struct shard *shard, struct error *err)
{
  struct planning *planning = context;
  if (planning_must_freeze (planning))
    return ENDING_LIMITED;
  if (policy_check_shards (planning->options->policy, (int64_t) shard->index + 1, err) != 0)
    return -1;
  if (shard->index == 0)
    {
      strlist_release (&planning->volume_pins);
      strlist_extend (&planning->volume_pins, &shard->volume_pins);
    }
  if (planning->by_size == NULL)
    return planning_publish (planning, shard, err);
  return by_size_add (planning->by_size, shard, err) != 0 ? -1 : on_alive (planning, err);
}

/* ---- the plan file --------------------------------------------------------------------- */

/* Workers may be reading the file that an earlier producer wrote: it is written over with the same
 * bytes, never emptied. */
static int
open_plan (struct planning *planning, struct error *err)
{
  const struct job *job = planning->job;
  if (job->glob == NULL || job->results == NULL)
    return 0;
  auto_fd int folder = result_open (job->results, err);
  if (folder < 0)
    return -1;
  planning->plan_fd = fs_open_beneath (folder, RESULT_PLAN, O_RDWR | O_CREAT, 0644, err);
  return planning->plan_fd < 0 ? error_wrap (err, "the plan file") : 0;
}

/* Cuts off what a longer plan left behind, and makes the rest safe. */
static int
finish_plan (struct planning *planning, struct error *err)
{
  if (planning->plan_fd < 0)
    return 0;
  off_t end = lseek (planning->plan_fd, 0, SEEK_CUR);
  if (end < 0 || ftruncate (planning->plan_fd, end) != 0 || sys_fsync (planning->plan_fd) != 0)
    return error_errno (err, errno, "the plan file");
  return 0;
}

static void
close_plan (struct planning *planning)
{
  if (planning->plan_fd >= 0)
    (void) close (planning->plan_fd);
  planning->plan_fd = -1;
}

/* ---- where the inputs are ---------------------------------------------------------------- */

static int
planning_check_followed (void *context, const char *location, struct error *err)
{
  return policy_check_location (context, POLICY_INPUT, location, err);
}

/* What is listed is what was opened: the policy is asked of that again. */
static struct storage *
planning_open_source (void *context, const struct job *job, size_t index, struct error *err)
{
  const struct planning *planning = context;
  auto_storage struct storage *storage =
      storage_open_as (job->volumes[index].source, job->credentials, err);
  const char *local = storage == NULL ? NULL : storage_local_path (storage);
  if (local != NULL
      && policy_check_location (planning->options->policy, POLICY_INPUT, local, err) != 0)
    return NULL;
  const struct storage_boundary boundary = { .context = (void *) planning->options->policy,
                                             .check = planning_check_followed };
  if (local != NULL)
    storage_set_boundary (storage, boundary);
  return take (&storage);
}

/* ---- slicing and settling -------------------------------------------------------------- */

/* Whether some shards are still to be published. */
static bool
planning_is_frozen (const struct planning *planning, const struct plan *plan)
{
  return planning->frozen != NULL && plan->shards > planning->published;
}

/* Whether the job was submitted with a priority that only a producer with a window could keep, and
 * nobody took it back. */
static bool
planning_wants_window (const struct planning *planning)
{
  return planning->job->priority != 0 && planning->options->window == 0
         && planning->options->job_id == NULL
         && (planning->windows == NULL || windows_priority (planning->windows, planning->job) != 0);
}

/* One try: 0 with PLAN, an enum ending, or -1. */
static int
slice (struct planning *planning, struct plan *plan, struct error *err)
{
  struct job *job = planning->delivery->job;
  const char *field = NULL;
  if (job->pilot > 0 && planning->options->job_id == NULL)
    return error_set (err, ERROR_USER,
                      "pilot: a fleet runs all shards of a job: submit one over some of the inputs "
                      "first");
  int begun = was_begun (planning, err);
  if (begun < 0)
    return -1;
  planning->begun = begun == 1;
  if (begun == 0 && planning_wants_window (planning))
    return error_set (err, ERROR_USER,
                      "priority: the producer has no window, and publishes jobs one after the "
                      "other: start producers with --window N, or submit without --priority");
  if (admit_job (planning->options->policy, job, &field, err) != 0)
    return error_wrap (err, "%s", field);
  if ((job->results != NULL && result_claim (job->results, job->id, job->credentials, err) != 0)
      || open_plan (planning, err) != 0)
    return -1;
  shard_set_release (&planning->there);
  if (begun == 1 && shard_set_read (&planning->there, planning->bus, job->id, err) != 0)
    return -1;
  frozen_plan_free (planning->frozen); /* likewise */
  planning->frozen =
      planning->freezes ? frozen_plan_new (planning->job, planning->delivery->starts) : NULL;
  planning->published = 0;
  by_size_free (take (&planning->by_size));
  if (job->order == ORDER_SIZE && planning->freezes)
    log_warn ("order_not_kept", "job=%s order=size reason=\"in a window shards go by index\"",
              job->id);
  else if (job->order == ORDER_SIZE && job->results != NULL
           && (planning->by_size = by_size_new (job->results, err)) == NULL)
    return -1;
  const struct slicer_sources sources = { .context = planning, .open = planning_open_source };
  const struct slicer_sink sink = {
    .context = planning,
    .shard = planning_on_shard,
    .plan_fd = planning->plan_fd,
    .left_out = &planning->left_out,
    .alive = on_alive,
  };
  left_out_release (&planning->left_out); /* of an earlier try */
  int result = slicer_run_on (planning->job, &sources, &sink, plan, err);
  if (result == 0)
    result = finish_plan (planning, err);
  if (result == 0 && planning->by_size != NULL)
    result = planning_read_limit (planning, err);
  if (result == 0 && planning->by_size != NULL)
    result = by_size_each (planning->by_size, planning_publish, planning, err);
  if (result == 0 && planning_is_frozen (planning, plan))
    result = frozen_plan_finish (planning->frozen, err);
  if (result == 0)
    result = planning_flush (planning, err);
  return result;
}

/* Waits MS while the delivery is kept: 0, or an enum ending. A bus that fails meanwhile is waited
 * for, too. */
static int
wait_alive (struct planning *planning, int64_t ms)
{
  int64_t until = clock_boot_ms () + ms;
  for (int64_t now = clock_boot_ms (); now < until; now = clock_boot_ms ())
    {
      struct error trouble = ERROR_INIT;
      int result = on_alive (planning, &trouble);
      if (result > 0)
        return result;
      int64_t left = until - now < LOOK_EVERY_MS ? until - now : LOOK_EVERY_MS;
      (void) bus_poll (planning->bus, NULL, 0, (int) left);
    }
  return 0;
}

/* As slice, again and again while the machine fails us. */
static int
slice_stubbornly (struct planning *planning, struct plan *plan, struct error *err)
{
  if (planning->delivery->starts > STARTS_MAX)
    return error_set (err, ERROR_TRANSIENT, "planning was started %u times and never finished",
                      planning->delivery->starts);
  for (int try = 1;;)
    {
      error_clear (err);
      int result = on_alive (planning, err);
      if (result == 0)
        result = slice (planning, plan, err);
      close_plan (planning);
      if (result == ENDING_LIMITED)
        {
          log_info ("planning_again", "job=%s reason=\"it got a limit\"", planning->job->id);
          continue;
        }
      bool away = err->code == BUS_AWAY; /* that is waited for */
      if (result != -1 || err->class != ERROR_TRANSIENT || (try == TRIES && !away))
        return result;
      auto_free char *reason = text_log (err->message);
      log_error ("plan_retry", "job=%s attempt=%d reason=%s", planning->job->id, try, reason);
      result = wait_alive (planning, (int64_t) 250 << try);
      if (result != 0)
        return result;
      try += away ? 0 : 1;
    }
}

/* The plan is closed; what isn't published yet follows in a window. */
static int
planning_hand_over (struct planning *planning, const struct event *event, struct error *err)
{
  int ours = bus_keep (planning->bus, planning->delivery, err);
  if (ours == 0)
    log_warn ("planning_lease_lost", "job=%s", planning->job->id);
  if (ours <= 0)
    return ours;
  if (bus_publish_event (planning->bus, event, err) != 0 || bus_flush (planning->bus, err) != 0)
    return -1;
  int64_t published = planning->begun ? -1 : planning->published;
  int added = windows_add (planning->windows, planning->delivery, published, err);
  if (added == 0)
    return error_set (err, ERROR_TRANSIENT, "job %s: PLANNED isn't among its events yet",
                      planning->job->id);
  return added < 0 ? -1 : PLANNING_WINDOW;
}

static int
planning_settle (struct planning *planning, int result, const struct plan *plan,
                 const struct error *why, struct error *err)
{
  struct event event = {
    .kind = result == 0  ? EVENT_PLANNED
            : result > 0 ? EVENT_CANCELLED
                         : EVENT_FAILED,
    .job_id = planning->job->id,
    .time = clock_wall_ms (),
    .generation = 1,
    .attempt = 1,
    .shards = plan->shards,
    .atoms = plan->atoms,
    .bytes = plan->bytes,
  };
  auto_free char *writer = xstrdup (bus_writer (planning->bus));
  auto_free char *reason = NULL;
  auto_free char *class_name = NULL;
  event.writer = writer;
  memcpy (event.digest, plan->digest, DIGEST_SIZE);
  if (result == 0)
    {
      reason = left_out_text (&planning->left_out);
      event.volume_pins = planning->volume_pins;
    }
  if (result > 0)
    reason = xstrdup (planning->cancel_reason);
  if (result < 0)
    {
      reason = xstrdup (why->message);
      class_name = xstrdup (error_class_name (why->class));
    }
  event.reason = reason;
  event.class_name = class_name;
  auto_free char *quoted = text_log (reason == NULL ? "" : reason);
  log_info ("planning_finished", "job=%s result=%s shards=%lld atoms=%lld listed=%lld reason=%s",
            planning->job->id, event_kind_name (event.kind), (long long) plan->shards,
            (long long) plan->atoms, (long long) plan->listed, quoted);
  if (result != 0 || !planning_is_frozen (planning, plan))
    return bus_settle_wait (planning->bus, planning->delivery, &event, NULL, err);
  event.starts = planning->delivery->starts;
  return planning_hand_over (planning, &event, err);
}

/* Another producer may have closed the job's plan, whether or not this one has a limit: 1 when it
 * goes on in a window, 0 or -1. */
static int
planning_resume (struct planning *planning, struct error *err)
{
  bool kept = planning->windows != NULL && planning->job->results != NULL;
  int begun = kept ? was_begun (planning, err) : 0;
  return begun <= 0 ? begun : windows_add (planning->windows, planning->delivery, -1, err);
}

int
planning_run (struct bus *bus, struct delivery *delivery, const struct producer_options *options,
              struct windows *windows, struct error *err)
{
  struct planning planning = {
    .windows = windows,
    .bus = bus,
    .delivery = delivery,
    .job = delivery->job,
    .options = options,
    .plan_fd = -1,
    .kept = clock_boot_ms (),
  };
  struct plan plan = { .bytes = -1 };
  struct error why = ERROR_INIT;
  int known = planning_read_limit (&planning, err);
  int32_t priority = windows == NULL ? 0 : windows_priority (windows, planning.job);
  if (known == 0 && priority != 0 && options->window == 0)
    log_warn ("priority_not_kept", "job=%s priority=%d reason=\"this producer has no --window\"",
              planning.job->id, priority);
  int resumed = known < 0 ? -1 : planning_resume (&planning, err);
  if (resumed == 1)
    return PLANNING_WINDOW;
  if (resumed < 0)
    {
      (void) bus_release (bus, delivery, NULL);
      return -1;
    }
  int result = slice_stubbornly (&planning, &plan, &why);
  if (result == -1 && why.class == ERROR_FATAL)
    {
      if (err != NULL)
        *err = why;
      result = error_wrap (err, "job %s", planning.job->id);
    }
  else if (result == ENDING_LOST)
    {
      log_warn ("planning_lease_lost", "job=%s", planning.job->id);
      result = 0;
    }
  else if (result == ENDING_STOPPED)
    result = bus_release (bus, delivery, err) < 0 ? -1 : 0;
  else
    result = planning_settle (&planning, result, &plan, &why, err);
  if (result < 0) /* it is planned again: the same shards */
    (void) bus_release (bus, delivery, NULL);
  free (planning.cancel_reason);
  left_out_release (&planning.left_out);
  strlist_release (&planning.volume_pins);
  frozen_plan_free (planning.frozen);
  by_size_free (planning.by_size);
  shard_set_release (&planning.there);
  return result;
}
