#include "merger/merge_job.h"

#include "bus/follower.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "merger/assemble.h"
#include "merger/cancel.h"
#include "merger/foreign.h"
#include "merger/manifest.h"
#include "merger/publish.h"
#include "merger/reduce.h"
#include "merger/sweep.h"
#include "merger/verdict.h"
#include "policy/policy_check.h"
#include "result/result.h"
#include "result/result_store.h"
#include "schemas/job_check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* class_name of the CANCELLED event of a job that was given up, and not cancelled by somebody. */
#define CLASS_LIMIT "limit"

enum
{
  STATUS_MS = 250, /* between two statuses of a running job */
  CANCEL_GRACE_MS =
      45000, /* a cancelled job's attempts are waited for so long: a lease and the time to stop */
  SET_BACK_MS = 250,       /* doubled each time … */
  SET_BACK_MAX_MS = 30000, /* … up to this */
};

struct merge_job
{
  struct bus *bus;
  const struct heartbeat *heartbeat;
  const struct policy *policy;
  struct job job;
  char *refusal; /* why nothing is made of the job; NULL: it is merged */
  struct fold *fold;
  int folder_fd;             /* the result's folder; -1 until needed */
  struct assembly *assembly; /* NULL until something has to be assembled */
  struct foreign *foreign;   /* what isn't ours in the result; NULL until the tree is complete */
  int64_t first;             /* position of the event it was taken up with */
  int64_t taken_up;          /* boot ms … */
  int64_t wall;              /* … and UTC ms then */
  int64_t cancel_seen;       /* boot ms at which it was first seen to be cancelled; 0: it isn't */
  int64_t stop_seen;         /* likewise, that a shard was stopped and it isn't cancelled */
  int64_t told;              /* boot ms of the last status */
  bool news;                 /* something changed since */
  bool reduce_published;     /* in this generation, by this process */
  bool workers_told;         /* likewise, that the job was given up */
  bool older_stands;         /* where the result is kept, an older one that is complete */
  bool merging;              /* all of its shards have ended */
  bool done;
  int set_backs;      /* in a row */
  char *trouble;      /* why it was last set back; NULL: nothing is wrong */
  int64_t not_before; /* boot ms at which it goes on */
};

/* ---- taking up -------------------------------------------------------------------------- */

static int
merge_job_fold (struct merge_job *merge, const struct event *event, struct error *err)
{
  enum fold_change change = fold_apply (merge->fold, event);
  merge->news = merge->news || change != FOLD_NOTHING;
  if (change == FOLD_REOPENED)
    {
      merge->merging = false;
      merge->done = false;
      merge->reduce_published = false;
      merge->workers_told = false;
      assembly_close (take (&merge->assembly));
    }
  if (change != FOLD_SUCCEEDED || merge->assembly == NULL)
    return 0;
  return assembly_add (merge->assembly, merge->fold, event->index, err);
}

/* Reads what stands before POSITION. Nothing is assembled meanwhile. */
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
      if (event.position >= position)
        return 0;
      if (merge_job_fold (merge, &event, err) != 0)
        return -1;
    }
}

static bool
is_revival (const struct event *event)
{
  return event->kind == EVENT_REOPENED || event->kind == EVENT_REMERGE;
}

/* Whether a merger had the job before (*KNOWN), and is done with it. */
static int
read_status (struct bus *bus, const char *job_id, bool *known, bool *done, struct error *err)
{
  auto_job_status struct job_status status = { 0 };
  int found = bus_get_status (bus, job_id, &status, err);
  *known = found == 1;
  *done = found == 1 && job_state_is_terminal (status.state);
  return found < 0 ? -1 : 0;
}

/* Whoever may write to the bus can have put the job there. What is wrong with it; NULL: nothing.
 * The caller frees. */
static char *
refusal_of (const struct policy *policy, struct job *job)
{
  struct error err = ERROR_INIT;
  const char *field = NULL;
  if (job_check (job, &field, &err) == 0 && policy_check_ends (policy, job, &field, &err) == 0)
    return NULL;
  return xasprintf ("%s: %s", field, err.message);
}

int
merge_job_open (struct bus *bus, const struct event *event, const struct heartbeat *heartbeat,
                const struct policy *policy, struct merge_job **merge, struct error *err)
{
  bool known = false;
  bool done = false;
  if (read_status (bus, event->job_id, &known, &done, err) != 0)
    return -1;
  if (done && !is_revival (event))
    return 0;
  auto_merge_job struct merge_job *opened = xcalloc (1, sizeof *opened);
  opened->bus = bus;
  opened->heartbeat = heartbeat;
  opened->folder_fd = -1;
  opened->first = event->position;
  opened->taken_up = clock_boot_ms ();
  opened->wall = clock_wall_ms ();
  opened->fold = fold_new ();
  int found = bus_get_job (bus, event->job_id, &opened->job, err);
  if (found <= 0)
    return found;
  opened->policy = policy;
  opened->refusal = refusal_of (policy, &opened->job);
  policy_apply_to_job (policy, &opened->job);
  if (known && read_history (opened, event->position, err) != 0)
    return -1;
  if (merge_job_fold (opened, event, err) != 0)
    return -1;
  opened->news = true;
  *merge = take (&opened);
  return 1;
}

void
merge_job_close (struct merge_job *merge)
{
  if (merge == NULL)
    return;
  assembly_close (merge->assembly);
  foreign_close (merge->foreign);
  auto_fd_ (&merge->folder_fd);
  fold_free (merge->fold);
  job_release (&merge->job);
  free (merge->trouble);
  free (merge->refusal);
  free (merge);
}

const char *
merge_job_id (const struct merge_job *merge)
{
  return merge->job.id;
}

const char *
merge_job_queue (const struct merge_job *merge)
{
  return merge->job.queue;
}

bool
merge_job_is_done (const struct merge_job *merge)
{
  return merge->done;
}

struct backlog_shards
merge_job_backlog (const struct merge_job *merge)
{
  return backlog_of (&merge->job, merge->fold);
}

int64_t
merge_job_first (const struct merge_job *merge)
{
  return merge->first;
}

int
merge_job_apply (struct merge_job *merge, const struct event *event, struct error *err)
{
  if (merge->done && is_revival (event))
    merge->first = event->position;
  return merge_job_fold (merge, event, err);
}

/* ---- cancelling ------------------------------------------------------------------------- */

int
merge_job_cancel (struct merge_job *merge, const struct control *control, struct error *err)
{
  if (merge->done || fold_cancelled (merge->fold) || cancel_is_history (merge->fold, control))
    return 0;
  return cancel_publish (merge->bus, &merge->job, merge->fold, control->reason, NULL, control->time,
                         err);
}

static int
merge_job_check_limits (struct merge_job *merge, struct error *err)
{
  /* A wall clock that is set meanwhile gives nobody more time, or less. */
  int64_t now = merge->wall + clock_boot_ms () - merge->taken_up;
  auto_free char *reason = verdict_give_up (&merge->job, merge->fold, fold_age (merge->fold, now));
  if (reason == NULL)
    return 0;
  auto_free char *quoted = text_log (reason);
  log_warn ("job_stopped", "job=%s reason=%s", merge->job.id, quoted);
  return cancel_publish (merge->bus, &merge->job, merge->fold, reason, CLASS_LIMIT,
                         clock_wall_ms (), err);
}

/* The workers of a job that was given up are told once the event says so; by each merger that takes
 * it up, because the one that wrote the event may have died behind it. */
static int
stop_workers (struct merge_job *merge, struct error *err)
{
  if (merge->workers_told || !fold_given_up (merge->fold))
    return 0;
  merge->workers_told = true;
  const char *reason = fold_cancel_reason (merge->fold);
  const struct control control = { .kind = CONTROL_CANCEL,
                                   .job_id = merge->job.id,
                                   .time = fold_cancel_time (merge->fold),
                                   .reason = (char *) (uintptr_t) reason };
  return bus_publish_control (merge->bus, &control, err);
}

/* ---- status ----------------------------------------------------------------------------- */

static int
put_status (struct merge_job *merge, enum job_state state, const char *reason, struct error *err)
{
  const char *class_name = NULL;
  struct job_status status = { .job_id = merge->job.id,
                               .state = state,
                               .updated = clock_wall_ms (),
                               .reason = (char *) (uintptr_t) reason };
  if (state == JOB_FAILED && fold_failure (merge->fold, &class_name) != NULL)
    status.class_name = (char *) (uintptr_t) class_name;
  if (merge->refusal != NULL)
    status.class_name = (char *) (uintptr_t) error_class_name (ERROR_USER);
  fold_fill_status (merge->fold, &status);
  auto_free char *result = NULL;
  if (job_state_is_terminal (state) && merge->refusal == NULL)
    result = result_shown (merge->job.results, NULL);
  status.result = result;
  char pending[] = "pending";
  if (job_state_is_terminal (state) && merge->job.webhook != NULL && merge->refusal == NULL)
    status.webhook = pending;
  merge->told = clock_boot_ms ();
  merge->news = false;
  return bus_put_status (merge->bus, &status, err);
}

/* Of a job that isn't done. */
static int
put_progress (struct merge_job *merge, struct error *err)
{
  return put_status (merge, merge->merging ? JOB_MERGING : JOB_RUNNING, merge->trouble, err);
}

static int
merge_job_put_progress (struct merge_job *merge, struct error *err)
{
  if (!merge->news || clock_boot_ms () - merge->told < STATUS_MS)
    return 0;
  return put_progress (merge, err);
}

/* ---- assembling ------------------------------------------------------------------------- */

static int
link_all (struct merge_job *merge, struct error *err)
{
  for (uint32_t i = 0; i < fold_known (merge->fold); i++)
    if (fold_shard (merge->fold, i)->state == SHARD_SUCCEEDED
        && assembly_add (merge->assembly, merge->fold, i, err) != 0)
      return -1;
  return 0;
}

/* The result's folder on this machine. What was opened counts, whatever the path has become since
 * it was looked at. */
static int
merge_job_open_folder (struct merge_job *merge, struct error *err)
{
  if (merge->folder_fd < 0)
    merge->folder_fd = result_open (merge->job.results, err);
  if (merge->folder_fd < 0 || result_is_remote (merge->job.results))
    return merge->folder_fd < 0 ? -1 : 0;
  return policy_check_folder (merge->policy, POLICY_RESULT, merge->folder_fd, err);
}

/* The tree in the making, begun anew when there is none. */
static int
need_assembly (struct merge_job *merge, struct error *err)
{
  if (merge->assembly != NULL)
    return 0;
  if (merge_job_open_folder (merge, err) != 0)
    return -1;
  merge->assembly = assembly_open (merge->folder_fd, &merge->job, merge->heartbeat, err);
  return merge->assembly == NULL ? -1 : link_all (merge, err);
}

static int
write_manifest (struct merge_job *merge, struct verdict *verdict, struct error *err)
{
  struct job_status status = { .job_id = merge->job.id,
                               .state = verdict->state,
                               .reason = verdict->reason };
  fold_fill_status (merge->fold, &status);
  const struct manifest manifest = {
    .job = &merge->job,
    .fold = merge->fold,
    .status = &status,
    .on_conflict = fold_on_conflict (merge->fold, merge->job.on_conflict),
    .heartbeat = merge->heartbeat,
  };
  return manifest_write (&manifest, merge->assembly, merge->folder_fd, err);
}

/* Brings what people put into the result that stands. What has no place beside the outputs replaces
 * the verdict, and nothing of it is lost. */
static int
carry_foreign (struct merge_job *merge, struct verdict *verdict, struct error *err)
{
  foreign_close (take (&merge->foreign));
  if (result_is_remote (merge->job.results)) /* the folder is our own */
    return 0;
  bool top = result_state (merge->job.results) == RESULT_COMPLETE;
  auto_free char *problem = NULL;
  int build_fd = assembly_fd (merge->assembly);
  merge->foreign = foreign_open (merge->folder_fd, top, merge->heartbeat, err);
  if (merge->foreign == NULL
      || foreign_carry (merge->foreign, merge->folder_fd, build_fd, &problem, err) != 0)
    return -1;
  if (problem == NULL)
    return 0;
  verdict_release (verdict);
  *verdict = (struct verdict){ .state = JOB_FAILED, .reason = take (&problem) };
  return top ? 0
         : fs_remove_tree (build_fd, "outputs", err) != 0
             ? -1
             : foreign_carry_late (merge->foreign, merge->folder_fd, build_fd, err);
}

/* Completes the tree. A conflict, or an output that somebody changed, replaces the verdict. */
static int
assemble (struct merge_job *merge, struct verdict *verdict, struct error *err)
{
  enum on_conflict policy = fold_on_conflict (merge->fold, merge->job.on_conflict);
  if (merge->assembly != NULL && assembly_is_stale (merge->assembly, merge->fold))
    assembly_close (take (&merge->assembly));
  if (need_assembly (merge, err) != 0)
    return -1;
  char *conflict = NULL;
  int settled = assembly_finish (merge->assembly, merge->fold, policy, &conflict, err);
  if (settled < 0)
    return -1;
  if (settled == 0)
    {
      verdict_release (verdict);
      bool damaged = assembly_is_damaged (merge->assembly);
      *verdict =
          (struct verdict){ .state = damaged ? JOB_FAILED : JOB_CONFLICT, .reason = conflict };
    }
  if (manifest_write_quarantined (&merge->job, assembly_fd (merge->assembly), err) != 0
      || carry_foreign (merge, verdict, err) != 0 || write_manifest (merge, verdict, err) != 0
      || assembly_clean (merge->assembly, err) != 0)
    return -1;
  /* One flush of the whole file system instead of one for each of a million files. */
  return syncfs (merge->folder_fd) == 0 ? 0 : error_errno (err, errno, "syncfs");
}

static int
merge_job_publish (struct merge_job *merge, const struct verdict *verdict, struct error *err)
{
  const struct publication publication = { .job = &merge->job,
                                           .folder_fd = merge->folder_fd,
                                           .assembly = merge->assembly,
                                           .foreign = merge->foreign,
                                           .heartbeat = merge->heartbeat,
                                           .done = verdict_is_done (verdict->state) };
  int published = publish_tree (&publication, err);
  if (published < 0)
    return -1;
  merge->older_stands = published == PUBLISH_OLDER_STANDS;
  foreign_close (take (&merge->foreign));
  assembly_close (take (&merge->assembly));
  /* After an exchange the descriptor is that of the old tree. */
  auto_fd_ (&merge->folder_fd);
  merge->folder_fd = -1;
  if (merge_job_open_folder (merge, err) != 0
      || sweep_attempts (merge->folder_fd, merge->fold, err) != 0)
    return -1;
  sweep_store (&merge->job, merge->fold, merge->older_stands, merge->heartbeat);
  return 0;
}

/* ---- setbacks --------------------------------------------------------------------------- */

static void
clear_trouble (struct merge_job *merge)
{
  merge->set_backs = 0;
  free (merge->trouble);
  merge->trouble = NULL;
}

void
merge_job_set_back (struct merge_job *merge, const struct error *why)
{
  int64_t wait = merge->set_backs < 8 ? (int64_t) SET_BACK_MS << merge->set_backs : SET_BACK_MAX_MS;
  merge->set_backs++;
  merge->not_before = clock_boot_ms () + wait;
  free (merge->trouble);
  merge->trouble = xasprintf ("merging failed and is retried: %s", why->message);
  assembly_close (take (&merge->assembly));
  auto_fd_ (&merge->folder_fd);
  merge->folder_fd = -1;
  /* What was on its way when it failed is said again: all of it may be said twice. */
  merge->reduce_published = false;
  merge->workers_told = false;
  if (put_progress (merge, NULL) != 0)
    merge->news = true;
  auto_free char *reason = text_log (why->message);
  log_warn ("merge_retry", "job=%s attempt=%d wait_ms=%lld reason=%s", merge->job.id,
            merge->set_backs, (long long) wait, reason);
}

/* ---- the end ---------------------------------------------------------------------------- */

/* Whether there is a tree to be made. A job that was cancelled before a producer came to it has no
 * folder, and nothing that could be in one. */
static bool
has_result_to_make (const struct merge_job *merge)
{
  const char *results = merge->job.results;
  if (fold_failure (merge->fold, NULL) != NULL)
    return false;
  return fold_planned (merge->fold) || result_is_remote (results)
         || result_state (results) != RESULT_ABSENT;
}

static int
merge_job_end (struct merge_job *merge, struct error *err)
{
  auto_verdict struct verdict verdict = verdict_final (&merge->job, merge->fold);
  bool has_result = has_result_to_make (merge);
  merge->merging = has_result;
  if (has_result && put_progress (merge, err) != 0)
    return -1;
  if (has_result
      && (assemble (merge, &verdict, err) != 0 || merge_job_publish (merge, &verdict, err) != 0))
    return -1;
  if (put_status (merge, verdict.state, verdict.reason, err) != 0)
    return -1;
  merge->done = true;
  clear_trouble (merge);
  log_info ("job_done", "job=%s state=%s", merge->job.id, job_state_name (verdict.state));
  return 0;
}

/* For how many ms TRUE_NOW has been so, as seen at SINCE (boot ms, 0: it wasn't); -1: it isn't. */
static int64_t
seen_for (bool true_now, int64_t *since)
{
  int64_t now = clock_boot_ms ();
  *since = !true_now ? 0 : *since == 0 ? now : *since;
  return true_now ? now - *since : -1;
}

/* Whether what runs of a cancelled job has been waited for long enough: its worker may be dead. */
static bool
is_impatient (struct merge_job *merge)
{
  return seen_for (fold_cancelled (merge->fold), &merge->cancel_seen) > CANCEL_GRACE_MS;
}

/* Publishes the reduce container, unless what it would read was edited or made by two images. 1, 0
 * or -1. */
static int
publish_reduce (struct merge_job *merge, struct error *err)
{
  if (need_assembly (merge, err) != 0 || assembly_advance (merge->assembly, merge->fold, err) != 0
      || assembly_check (merge->assembly, merge->fold, err) != 0)
    return -1;
  if (assembly_is_damaged (merge->assembly))
    return 0;
  merge->reduce_published = true;
  return reduce_publish (merge->bus, &merge->job, merge->fold, err) != 0 ? -1 : 1;
}

/* Whether a worker has stopped a shard by an order whose event isn't read yet: the job would count
 * as failed. It is waited for as what runs is: the order may be gone. */
static bool
awaits_cancel (struct merge_job *merge)
{
  bool awaits = fold_counts (merge->fold).stopped > 0 && !fold_cancelled (merge->fold);
  int64_t waited = seen_for (awaits, &merge->stop_seen);
  return waited >= 0 && waited < CANCEL_GRACE_MS;
}

/* Whether the reduce container is still to end; publishes it when it is due. 1, 0 or -1. */
static int
await_reduce (struct merge_job *merge, struct error *err)
{
  if (fold_cancelled (merge->fold) && !reduce_is_running (merge->fold))
    return 0;
  if (is_impatient (merge) || !reduce_is_wanted (&merge->job, merge->fold))
    return 0;
  return merge->reduce_published ? 1 : publish_reduce (merge, err);
}

/* Of a job that nothing is made of all that there is to do is to say so. Its workers see it by its
 * status. */
static int
merge_job_refuse (struct merge_job *merge, struct error *err)
{
  if (put_status (merge, JOB_FAILED, merge->refusal, err) != 0)
    return -1;
  merge->done = true;
  auto_free char *reason = text_log (merge->refusal);
  log_warn ("job_refused", "job=%s reason=%s", merge->job.id, reason);
  return 0;
}

int
merge_job_tick (struct merge_job *merge, bool drained, struct error *err)
{
  if (merge->done)
    return 0;
  if (merge->refusal != NULL)
    return drained ? merge_job_refuse (merge, err) : 0;
  if (!drained || clock_boot_ms () < merge->not_before)
    return merge_job_put_progress (merge, err);
  if (merge_job_check_limits (merge, err) != 0 || stop_workers (merge, err) != 0)
    return -1;
  if (!fold_settled (merge->fold, is_impatient (merge)) || awaits_cancel (merge))
    {
      if (fold_counts (merge->fold).succeeded > 0
          && (need_assembly (merge, err) != 0
              || assembly_advance (merge->assembly, merge->fold, err) != 0))
        return -1;
      clear_trouble (merge);
      return merge_job_put_progress (merge, err);
    }
  int waiting = await_reduce (merge, err);
  if (waiting != 0)
    return waiting < 0 ? -1 : merge_job_put_progress (merge, err);
  return merge_job_end (merge, err);
}
