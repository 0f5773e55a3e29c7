#include "merger/fold.h"

#include "common/memory.h"
#include "merger/reasons.h"
#include "result/result.h"

#include <string.h>

enum
{
  CHUNK = 1024, /* records that are allocated together: growing never copies them */
};

struct fold
{
  struct shard_record **chunks;
  size_t chunk_count;
  int64_t known;
  struct shard_record reduce; /* generation 0: not heard of */
  uint32_t reduce_index;
  uint32_t generation;
  struct fold_counts counts;
  struct reasons *reasons;

  bool planned;
  struct fold_plan plan;

  bool failed;
  char *failure;
  char *failure_class;

  uint32_t cancelled; /* the highest generation that was cancelled; 0: none */
  bool given_up;
  char *cancel_reason;
  int64_t cancel_time;

  char *problem;
  int64_t problem_shard; /* the lowest that has one; -1: it is the plan's */

  bool remerged;
  enum on_conflict on_conflict;

  int64_t begun;
  int64_t since;  /* when its present run began, by the bus's clock; 0: not known */
  int64_t latest; /* of its events, likewise */
  int64_t ended;
  int64_t basis;
};

struct fold *
fold_new (void)
{
  struct fold *fold = xcalloc (1, sizeof *fold);
  fold->generation = 1;
  fold->reasons = reasons_new ();
  return fold;
}

void
fold_free (struct fold *fold)
{
  if (fold == NULL)
    return;
  for (size_t i = 0; i < fold->chunk_count; i++)
    free (fold->chunks[i]);
  free (fold->chunks);
  reasons_free (fold->reasons);
  free (fold->plan.left_out);
  strlist_release (&fold->plan.volume_pins);
  free (fold->failure);
  free (fold->failure_class);
  free (fold->cancel_reason);
  free (fold->problem);
  free (fold);
}

/* ---- records ---------------------------------------------------------------------------- */

static struct shard_record *
need_record (struct fold *fold, uint32_t index)
{
  size_t chunk = index / CHUNK;
  if (chunk >= fold->chunk_count)
    {
      size_t count = chunk + 1 > 2 * fold->chunk_count ? chunk + 1 : 2 * fold->chunk_count;
      fold->chunks = xrealloc (fold->chunks, count, sizeof *fold->chunks);
      memset (fold->chunks + fold->chunk_count, 0,
              (count - fold->chunk_count) * sizeof *fold->chunks);
      fold->chunk_count = count;
    }
  if (fold->chunks[chunk] == NULL)
    fold->chunks[chunk] = xcalloc (CHUNK, sizeof **fold->chunks);
  if ((int64_t) index >= fold->known)
    fold->known = (int64_t) index + 1;
  return &fold->chunks[chunk][index % CHUNK];
}

const struct shard_record *
fold_shard (const struct fold *fold, uint32_t index)
{
  static const struct shard_record waiting = { .exit_code = -1 };
  size_t chunk = index / CHUNK;
  if (chunk >= fold->chunk_count || fold->chunks[chunk] == NULL)
    return &waiting;
  return &fold->chunks[chunk][index % CHUNK];
}

/* Adds RECORD to the counts, or with SIGN -1 takes it out. */
static void
fold_count_record (struct fold *fold, const struct shard_record *record, int sign)
{
  switch ((enum shard_state) record->state)
    {
    case SHARD_WAITING:
      return;
    case SHARD_RUNNING:
      fold->counts.running += sign;
      return;
    case SHARD_SUCCEEDED:
      fold->counts.succeeded += sign;
      fold->counts.atoms_done += sign * (int64_t) record->atoms;
      return;
    case SHARD_FAILED:
      if (record->outcome == OUTCOME_CANCELLED)
        fold->counts.stopped += sign;
      else
        fold->counts.failed += sign;
      return;
    }
}

static bool
fold_is_settled (const struct shard_record *record)
{
  return record->state == SHARD_SUCCEEDED || record->state == SHARD_FAILED;
}

/* The message is that of the lowest shard, so that it doesn't depend on which was heard of
 * first. */
static void
set_problem (struct fold *fold, int64_t shard, char *problem)
{
  if (fold->problem != NULL && fold->problem_shard <= shard)
    {
      free (problem);
      return;
    }
  free (fold->problem);
  fold->problem = problem;
  fold->problem_shard = shard;
}

/* ---- attempts --------------------------------------------------------------------------- */

static void
clear_record (struct shard_record *record, uint32_t generation)
{
  *record =
      (struct shard_record){ .generation = generation, .digest = record->digest, .exit_code = -1 };
}

static uint64_t
attempt_key (const struct event *event)
{
  return (uint64_t) event->attempt << 32 | event->starts;
}

/* A folder's name is never taken from a message: it is made from the numbers, and must be the
 * same. */
static bool
fold_has_folder (const struct event *event)
{
  if (event->report.folder == NULL)
    return false;
  auto_free char *name =
      result_attempt_name (event->index, event->generation, event->attempt, event->starts);
  return strcmp (name, event->report.folder) == 0;
}

static bool
apply_started (struct shard_record *record, const struct event *event)
{
  if (attempt_key (event) <= record->started_key)
    return false;
  record->started_key = attempt_key (event);
  if (record->state == SHARD_WAITING && record->started_key > record->ended_key)
    record->state = SHARD_RUNNING;
  return true;
}

static bool
apply_finished (struct fold *fold, struct shard_record *record, const struct event *event)
{
  const struct attempt_report *report = &event->report;
  bool success = report->outcome == OUTCOME_SUCCEEDED;
  uint64_t key = attempt_key (event);
  if (record->state == SHARD_SUCCEEDED || (!success && key <= record->ended_key))
    return false;
  record->ended_key = key;
  record->folder_key = fold_has_folder (event) ? key : 0;
  record->event = event->position;
  record->outcome = (uint8_t) report->outcome;
  record->exit_code = (int16_t) report->exit_code;
  record->atoms = event->atoms > 0 ? (uint32_t) event->atoms : 0;
  if (success)
    record->state = SHARD_SUCCEEDED;
  else if (report->final || record->state == SHARD_FAILED)
    record->state = SHARD_FAILED;
  else
    record->state = record->started_key > key ? SHARD_RUNNING : SHARD_WAITING;
  bool told_here = record->state == SHARD_FAILED && record->folder_key == 0;
  record->reason = told_here ? reasons_add (fold->reasons, report->reason) : 0;
  return true;
}

static void
check_digest (struct fold *fold, struct shard_record *record, const struct event *event)
{
  uint64_t digest = 0;
  memcpy (&digest, event->digest, sizeof digest);
  if (digest == 0 || event->shard_kind != SHARD_MAP)
    return;
  if (record->digest == 0)
    record->digest = digest;
  else if (record->digest != digest)
    set_problem (fold, event->index,
                 xasprintf ("shard %u ran with other input files than before: the inputs changed "
                            "while the job was planned",
                            event->index));
}

static void
raise_generation (struct fold *fold, uint32_t generation)
{
  if (generation <= fold->generation)
    return;
  fold->generation = generation;
  if (fold->reduce.generation < generation)
    fold->reduce = (struct shard_record){ 0 };
}

static enum fold_change
apply_attempt (struct fold *fold, const struct event *event)
{
  bool map = event->shard_kind == SHARD_MAP;
  struct shard_record *record = map ? need_record (fold, event->index) : &fold->reduce;
  if (event->generation < record->generation || event->generation == 0
      || (!map && event->generation < fold->generation))
    return FOLD_NOTHING;
  bool reopened = event->generation > record->generation && fold_is_settled (record);
  check_digest (fold, record, event);
  if (map)
    fold_count_record (fold, record, -1);
  else
    fold->reduce_index = event->index;
  if (event->generation > record->generation)
    clear_record (record, event->generation);
  bool changed = event->kind == EVENT_STARTED ? apply_started (record, event)
                                              : apply_finished (fold, record, event);
  if (map)
    fold_count_record (fold, record, +1);
  raise_generation (fold, event->generation);
  if (reopened)
    return FOLD_REOPENED;
  if (!changed)
    return FOLD_NOTHING;
  bool succeeded = event->kind == EVENT_FINISHED && record->state == SHARD_SUCCEEDED;
  return map && succeeded ? FOLD_SUCCEEDED : FOLD_CHANGED;
}

/* ---- the job ---------------------------------------------------------------------------- */

static void
fold_check_range (struct fold *fold)
{
  if (fold->planned && fold->known > fold->plan.shards)
    set_problem (
        fold, INT64_MAX,
        xasprintf ("there are more shards than the %lld planned", (long long) fold->plan.shards));
}

static enum fold_change
apply_planned (struct fold *fold, const struct event *event)
{
  struct fold_plan plan = { .shards = event->shards, .atoms = event->atoms, .bytes = event->bytes };
  memcpy (plan.digest, event->digest, DIGEST_SIZE);
  if (plan.shards < 0 || plan.shards > UINT32_MAX)
    {
      set_problem (fold, -1, xstrdup ("the plan has an impossible number of shards"));
      return FOLD_CHANGED;
    }
  if (!fold->planned)
    {
      fold->planned = true;
      fold->plan = plan;
      fold->plan.frozen = event->starts;
      fold->plan.left_out = event->reason == NULL ? NULL : xstrdup (event->reason);
      strlist_extend (&fold->plan.volume_pins, &event->volume_pins);
      return FOLD_CHANGED;
    }
  if (plan.shards != fold->plan.shards || memcmp (plan.digest, fold->plan.digest, DIGEST_SIZE) != 0)
    set_problem (fold, -1, xstrdup ("the job was planned twice, with different results"));
  return FOLD_NOTHING;
}

static enum fold_change
apply_reopened (struct fold *fold, const struct event *event)
{
  bool changed = event->generation > fold->generation;
  for (size_t i = 0; i < event->index_count; i++)
    {
      struct shard_record *record = need_record (fold, event->indexes[i]);
      if (record->generation >= event->generation)
        continue;
      fold_count_record (fold, record, -1);
      clear_record (record, event->generation);
      changed = true;
    }
  raise_generation (fold, event->generation);
  if (event->time > fold->cancel_time)
    fold->cancel_time = event->time;
  if (changed)
    fold->since = event->logged;
  return changed ? FOLD_REOPENED : FOLD_NOTHING;
}

static enum fold_change
apply_cancelled (struct fold *fold, const struct event *event)
{
  uint32_t generation = event->generation != 0 ? event->generation : fold->generation;
  if (event->time > fold->cancel_time)
    fold->cancel_time = event->time;
  if (generation <= fold->cancelled)
    return FOLD_NOTHING;
  fold->cancelled = generation;
  fold->given_up = event->class_name != NULL;
  free (fold->cancel_reason);
  fold->cancel_reason = xstrdup (event->reason);
  return FOLD_CHANGED;
}

static enum fold_change
apply_failed (struct fold *fold, const struct event *event)
{
  if (fold->failed)
    return FOLD_NOTHING;
  fold->failed = true;
  fold->failure = xstrdup (event->reason != NULL ? event->reason : "planning failed");
  fold->failure_class = xstrdup (event->class_name);
  return FOLD_CHANGED;
}

static enum fold_change
apply_remerge (struct fold *fold, const struct event *event)
{
  fold->remerged = true;
  fold->on_conflict = event->on_conflict;
  return FOLD_REOPENED;
}

static enum fold_change
fold_apply_known (struct fold *fold, const struct event *event)
{
  switch (event->kind)
    {
    case EVENT_STARTED:
    case EVENT_FINISHED:
      return apply_attempt (fold, event);
    case EVENT_PLANNED:
      return apply_planned (fold, event);
    case EVENT_REOPENED:
      return apply_reopened (fold, event);
    case EVENT_CANCELLED:
      return apply_cancelled (fold, event);
    case EVENT_FAILED:
      return apply_failed (fold, event);
    case EVENT_REMERGE:
      return apply_remerge (fold, event);
    case EVENT_UNKNOWN:
      break;
    }
  return FOLD_NOTHING;
}

enum fold_change
fold_apply (struct fold *fold, const struct event *event)
{
  enum fold_change change = fold_apply_known (fold, event);
  fold_check_range (fold);
  if (event->time > 0 && (fold->begun == 0 || event->time < fold->begun))
    fold->begun = event->time;
  if (event->logged > 0 && (fold->since == 0 || event->logged < fold->since))
    fold->since = event->logged;
  if (event->logged > fold->latest)
    fold->latest = event->logged;
  if (change == FOLD_NOTHING || event->kind == EVENT_STARTED)
    return change;
  if (event->kind != EVENT_REMERGE && event->time > fold->ended)
    fold->ended = event->time;
  if (event->position > fold->basis)
    fold->basis = event->position;
  return change;
}

/* ---- what it comes to ------------------------------------------------------------------- */

bool
fold_planned (const struct fold *fold)
{
  return fold->planned;
}

int64_t
fold_shards (const struct fold *fold)
{
  return fold->planned ? fold->plan.shards : -1;
}

uint32_t
fold_frozen (const struct fold *fold)
{
  return fold->plan.frozen;
}

int64_t
fold_known (const struct fold *fold)
{
  return fold->planned && fold->plan.shards > fold->known ? fold->plan.shards : fold->known;
}

uint32_t
fold_generation (const struct fold *fold)
{
  return fold->generation;
}

const struct shard_record *
fold_reduce (const struct fold *fold)
{
  return fold->reduce.generation == 0 ? NULL : &fold->reduce;
}

const char *
fold_reason (const struct fold *fold, const struct shard_record *record)
{
  return reasons_text (fold->reasons, record->reason);
}

struct fold_counts
fold_counts (const struct fold *fold)
{
  return fold->counts;
}

void
fold_fill_status (const struct fold *fold, struct job_status *status)
{
  status->shards = fold_shards (fold);
  status->atoms = fold->planned ? fold->plan.atoms : -1;
  status->succeeded = fold->counts.succeeded;
  status->failed = fold->counts.failed;
  status->running = fold->counts.running;
  status->atoms_done = fold->counts.atoms_done;
  status->generation = fold->generation;
}

bool
fold_complete (const struct fold *fold)
{
  return fold->planned && fold->counts.succeeded + fold->counts.failed >= fold->plan.shards;
}

/* After a cancel only what runs, or was sent back after it, can still come to an end. */
static bool
is_open_after_cancel (const struct fold *fold, const struct shard_record *record, bool impatient)
{
  if (record->state == SHARD_WAITING)
    return record->generation > fold->cancelled;
  return record->state == SHARD_RUNNING && (!impatient || record->generation > fold->cancelled);
}

bool
fold_settled (const struct fold *fold, bool impatient)
{
  if (fold->failed)
    return true;
  if (!fold->planned && !fold_cancelled (fold))
    return false;
  if (fold->planned
      && fold->counts.succeeded + fold->counts.failed + fold->counts.stopped >= fold->plan.shards)
    return true;
  if (fold->cancelled == 0)
    return false;
  for (int64_t index = 0; index < fold->known; index++)
    if (is_open_after_cancel (fold, fold_shard (fold, (uint32_t) index), impatient))
      return false;
  return true;
}

const struct fold_plan *
fold_plan (const struct fold *fold)
{
  return fold->planned ? &fold->plan : NULL;
}

bool
fold_cancelled (const struct fold *fold)
{
  return fold->cancelled >= fold->generation;
}

bool
fold_given_up (const struct fold *fold)
{
  return fold_cancelled (fold) && fold->given_up;
}

const char *
fold_cancel_reason (const struct fold *fold)
{
  return fold_cancelled (fold) ? fold->cancel_reason : NULL;
}

int64_t
fold_cancel_time (const struct fold *fold)
{
  return fold->cancel_time;
}

const char *
fold_left_out (const struct fold *fold)
{
  return fold->plan.left_out;
}

const char *
fold_failure (const struct fold *fold, const char **class_name)
{
  if (class_name != NULL)
    *class_name = fold->failure_class;
  return fold->failure;
}

const char *
fold_problem (const struct fold *fold)
{
  return fold->problem;
}

enum on_conflict
fold_on_conflict (const struct fold *fold, enum on_conflict fallback)
{
  return fold->remerged ? fold->on_conflict : fallback;
}

int64_t
fold_age (const struct fold *fold, int64_t now)
{
  now = fold->latest > now ? fold->latest : now;
  return fold->since == 0 || now < fold->since ? 0 : now - fold->since;
}

int64_t
fold_begun (const struct fold *fold)
{
  return fold->begun;
}

int64_t
fold_ended (const struct fold *fold)
{
  return fold->ended;
}

int64_t
fold_basis (const struct fold *fold)
{
  return fold->basis;
}

static char *
record_folder_name (const struct shard_record *record, uint32_t index)
{
  if (record->folder_key == 0)
    return NULL;
  return result_attempt_name (index, record->generation, (uint32_t) (record->folder_key >> 32),
                              (uint32_t) record->folder_key);
}

char *
fold_folder_name (const struct fold *fold, uint32_t index)
{
  return record_folder_name (fold_shard (fold, index), index);
}

char *
fold_reduce_folder_name (const struct fold *fold)
{
  return record_folder_name (&fold->reduce, fold->reduce_index);
}
