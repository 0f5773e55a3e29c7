#include "merger/merge_job.h"

#include "common/clock.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/result.h"
#include "merger/assemble.h"
#include "merger/manifest.h"
#include "merger/reduce.h"
#include "merger/sweep.h"
#include "merger/verdict.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum
{
  STATUS_MS = 250,         /* between two statuses of a running job */
  CANCEL_GRACE_MS = 35000, /* a cancelled job's attempts are waited for so long: a lease and some */
};

struct merge_job
{
  struct bus *bus;
  struct job job;
  struct fold *fold;
  int folder_fd;             /* the result's folder; -1 until needed */
  struct assembly *assembly; /* NULL until the first success */
  enum on_conflict on_conflict;
  uint8_t plan_digest[DIGEST_SIZE];
  int64_t plan_bytes;
  char *class_name;  /* of a job that can't be planned */
  int64_t first;     /* position of its first event */
  int64_t started;   /* UTC ms of its first event */
  int64_t cancelled; /* boot ms at which it was seen to be cancelled; 0: it isn't */
  int64_t told;      /* boot ms of the last status */
  bool news;         /* something changed since */
  bool done;
};

/* ---- taking up -------------------------------------------------------------------------- */

/* A status that is final means that all events so far are dealt with: who reopens a job takes it back. */
static int
is_done_already (struct merge_job *merge, struct error *err)
{
  auto_job_status struct job_status status = { 0 };
  int found = bus_get_status (merge->bus, merge->job.id, &status, err);
  return found < 0 ? -1 : found == 1 && job_state_is_terminal (status.state);
}

/* Reads the history without building a tree: what counts now is linked at the end of it. */
static int
read_history (struct merge_job *merge, int64_t position, struct error *err)
{
  auto_follower struct follower *history = bus_follow (merge->bus, NULL, merge->job.id, err);
  if (history == NULL)
    return -1;
  for (;;)
    {
      auto_event struct event event = { 0 };
      int found = follower_next (history, &event, err);
      if (found <= 0)
        return found;
      if (event.position > position)
        return 0;
      if (merge_job_apply (merge, &event, err) != 0)
        return -1;
    }
}

static int
link_all (struct merge_job *merge, struct error *err)
{
  for (uint32_t i = 0; i < fold_known (merge->fold); i++)
    if (fold_shard (merge->fold, i)->state == SHARD_SUCCEEDED
        && assembly_add (merge->assembly, merge->fold, i, err) != 0)
      return -1;
  return 0;
}

/* The tree in the making, begun anew when there is none. */
static int
need_assembly (struct merge_job *merge, struct error *err)
{
  if (merge->assembly != NULL)
    return 0;
  if (merge->folder_fd < 0)
    merge->folder_fd = result_open (merge->job.results, err);
  if (merge->folder_fd < 0)
    return -1;
  merge->assembly = assembly_open (merge->folder_fd, &merge->job, err);
  return merge->assembly == NULL ? -1 : link_all (merge, err);
}

static void
drop_assembly (struct merge_job *merge)
{
  assembly_close (merge->assembly);
  merge->assembly = NULL;
}

struct merge_job *
merge_job_open (struct bus *bus, const char *id, int64_t position, struct error *err)
{
  struct merge_job *merge = xcalloc (1, sizeof *merge);
  merge->bus = bus;
  merge->folder_fd = -1;
  merge->fold = fold_new ();
  int found = bus_get_job (bus, id, &merge->job, err);
  if (found == 0)
    (void) error_set (err, ERROR_USER, "the bus has no job %s", id);
  merge->on_conflict = merge->job.on_conflict;
  if (found == 1)
    {
      int done = is_done_already (merge, err);
      if (done >= 0 && read_history (merge, position, err) == 0)
        {
          merge->done = done == 1;
          return merge;
        }
    }
  merge_job_close (merge);
  return NULL;
}

void
merge_job_close (struct merge_job *merge)
{
  if (merge == NULL)
    return;
  drop_assembly (merge);
  auto_fd_ (&merge->folder_fd);
  fold_free (merge->fold);
  job_release (&merge->job);
  free (merge->class_name);
  free (merge);
}

const char *
merge_job_id (const struct merge_job *merge)
{
  return merge->job.id;
}

bool
merge_job_is_done (const struct merge_job *merge)
{
  return merge->done;
}

int64_t
merge_job_first (const struct merge_job *merge)
{
  return merge->first;
}

/* ---- events ----------------------------------------------------------------------------- */

static void
note_plan (struct merge_job *merge, const struct event *event)
{
  memcpy (merge->plan_digest, event->digest, sizeof merge->plan_digest);
  merge->plan_bytes = event->bytes;
}

static void
note_failure (struct merge_job *merge, const struct event *event)
{
  free (merge->class_name);
  merge->class_name = xstrdup (event->class_name);
}

int
merge_job_apply (struct merge_job *merge, const struct event *event, struct error *err)
{
  if (merge->first == 0)
    {
      merge->first = event->position;
      merge->started = event->time;
    }
  if (event->kind == EVENT_PLANNED)
    note_plan (merge, event);
  if (event->kind == EVENT_FAILED)
    note_failure (merge, event);
  if (event->kind == EVENT_REMERGE)
    {
      merge->on_conflict = event->on_conflict;
      merge->done = false;
      drop_assembly (merge);
    }
  enum fold_change change = fold_apply (merge->fold, event);
  merge->news = merge->news || change != FOLD_NOTHING;
  if (change == FOLD_REOPENED)
    {
      merge->done = false;
      merge->cancelled = 0;
      drop_assembly (merge);
    }
  if (change != FOLD_SUCCEEDED || event->shard_kind == SHARD_REDUCE || merge->assembly == NULL)
    return 0;
  if (assembly_add (merge->assembly, merge->fold, event->index, err) != 0)
    return -1;
  return assembly_advance (merge->assembly, merge->fold, err);
}

int
merge_job_cancel (struct merge_job *merge, const char *reason, struct error *err)
{
  if (merge->done || fold_cancelled (merge->fold))
    return 0;
  struct event event = { .kind = EVENT_CANCELLED,
                         .job_id = merge->job.id,
                         .time = clock_wall_ms (),
                         .reason = (char *) (uintptr_t) reason };
  if (bus_publish_event (merge->bus, &event, err) != 0)
    return -1;
  return bus_flush (merge->bus, err);
}

/* ---- giving up -------------------------------------------------------------------------- */

static int
give_up (struct merge_job *merge, const char *reason, struct error *err)
{
  const struct control control = { .kind = CONTROL_CANCEL,
                                   .job_id = merge->job.id,
                                   .time = clock_wall_ms (),
                                   .reason = (char *) (uintptr_t) reason };
  log_warn ("job_gives_up", "job=%s reason=\"%s\"", merge->job.id, reason);
  if (bus_publish_control (merge->bus, &control, err) != 0)
    return -1;
  return merge_job_cancel (merge, reason, err);
}

static int
check_limits (struct merge_job *merge, struct error *err)
{
  if (fold_cancelled (merge->fold) || fold_settled (merge->fold))
    return 0;
  struct job_status counts = { 0 };
  fold_counts (merge->fold, &counts);
  auto_free char *reason = verdict_give_up (&merge->job, &counts);
  if (reason == NULL && fold_problem (merge->fold) != NULL)
    reason = xstrdup (fold_problem (merge->fold));
  if (reason == NULL && merge->job.job_timeout_ms > 0 && merge->started > 0
      && clock_wall_ms () - merge->started > merge->job.job_timeout_ms)
    {
      char text[UNITS_TEXT_SIZE];
      reason = xasprintf ("the job took longer than --job-timeout %s",
                          units_format_duration (merge->job.job_timeout_ms, text));
    }
  return reason == NULL ? 0 : give_up (merge, reason, err);
}

/* ---- the end ---------------------------------------------------------------------------- */

static int
put_status (struct merge_job *merge, enum job_state state, const char *reason, struct error *err)
{
  struct job_status status = { .job_id = merge->job.id,
                               .state = state,
                               .updated = clock_wall_ms (),
                               .reason = (char *) (uintptr_t) reason,
                               .class_name = state == JOB_FAILED ? merge->class_name : NULL };
  fold_counts (merge->fold, &status);
  auto_free char *result = NULL;
  if (job_state_is_terminal (state))
    result = result_folder (merge->job.results, NULL);
  status.result = result;
  merge->told = clock_boot_ms ();
  merge->news = false;
  return bus_put_status (merge->bus, &status, err);
}

static int
write_manifest (struct merge_job *merge, enum job_state state, char *reason, struct error *err)
{
  struct job_status status = { .job_id = merge->job.id, .state = state, .reason = reason };
  fold_counts (merge->fold, &status);
  const struct manifest manifest = {
    .job = &merge->job,
    .fold = merge->fold,
    .status = &status,
    .on_conflict = merge->on_conflict,
    .plan_digest = fold_planned (merge->fold) ? merge->plan_digest : NULL,
    .plan_bytes = merge->plan_bytes,
    .finished = clock_wall_ms (),
  };
  return manifest_write (&manifest, merge->assembly, merge->folder_fd, err);
}

/* One flush of the whole file system instead of one of each of a million files. */
static int
flush_to_disk (const struct merge_job *merge, struct error *err)
{
  return syncfs (merge->folder_fd) == 0 ? 0 : error_errno (err, errno, "syncfs");
}

/* Assembles and publishes. STATE and *REASON are the verdict and may become JOB_CONFLICT's. */
static int
publish (struct merge_job *merge, enum job_state *state, char **reason,
         bool (*holds) (void *context), void *context, struct error *err)
{
  if (merge->assembly != NULL && assembly_is_stale (merge->assembly, merge->fold))
    drop_assembly (merge);
  if (need_assembly (merge, err) != 0)
    return -1;
  char *conflict = NULL;
  int settled = assembly_finish (merge->assembly, merge->fold, merge->on_conflict, &conflict, err);
  if (settled < 0)
    return -1;
  if (settled == 0)
    {
      free (*reason);
      *reason = conflict;
      *state = JOB_CONFLICT;
    }
  if (write_manifest (merge, *state, *reason, err) != 0
      || assembly_clean (merge->assembly, err) != 0 || flush_to_disk (merge, err) != 0)
    return -1;
  if (!holds (context))
    return error_set (err, ERROR_TRANSIENT, "another merger has job %s by now", merge->job.id);
  bool complete = *state == JOB_SUCCEEDED || *state == JOB_PARTIAL;
  if (result_publish (merge->job.results, assembly_name (merge->assembly), complete, err) != 0)
    return -1;
  drop_assembly (merge);
  return sweep_attempts (merge->folder_fd, merge->fold, err);
}

static int
finish (struct merge_job *merge, bool (*holds) (void *context), void *context, struct error *err)
{
  auto_free char *reason = NULL;
  enum job_state state = verdict_state (&merge->job, merge->fold, &reason);
  if (merge->class_name == NULL)
    {
      int outcome = publish (merge, &state, &reason, holds, context, err);
      /* The folder's descriptor may be the old one of an exchange. */
      auto_fd_ (&merge->folder_fd);
      merge->folder_fd = -1;
      if (outcome != 0)
        {
          drop_assembly (merge);
          return -1;
        }
    }
  if (put_status (merge, state, reason, err) != 0)
    return -1;
  merge->done = true;
  log_info ("job_done", "job=%s state=%s", merge->job.id, job_state_name (state));
  return 0;
}

/* Whether nothing more of the job will happen; a cancelled job's attempts are waited for, but not for ever. */
static bool
is_over (struct merge_job *merge)
{
  if (fold_settled (merge->fold))
    return true;
  if (!fold_cancelled (merge->fold))
    return false;
  if (merge->cancelled == 0)
    merge->cancelled = clock_boot_ms ();
  return clock_boot_ms () - merge->cancelled > CANCEL_GRACE_MS;
}

static int
tell (struct merge_job *merge, struct error *err)
{
  if (!merge->news || clock_boot_ms () - merge->told < STATUS_MS)
    return 0;
  return put_status (merge, JOB_RUNNING, NULL, err);
}

int
merge_job_tick (struct merge_job *merge, bool (*holds) (void *context), void *context,
                struct error *err)
{
  if (merge->done)
    return 0;
  if (check_limits (merge, err) != 0)
    return -1;
  if (!is_over (merge))
    {
      if (fold_known (merge->fold) > 0 && need_assembly (merge, err) != 0)
        return -1;
      return tell (merge, err);
    }
  if (!fold_cancelled (merge->fold) && reduce_is_due (&merge->job, merge->fold))
    return reduce_publish (merge->bus, &merge->job, merge->fold, err);
  if (!fold_cancelled (merge->fold) && reduce_is_running (&merge->job, merge->fold))
    return tell (merge, err);
  return finish (merge, holds, context, err);
}
