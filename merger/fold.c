#include "merger/fold.h"

#include "common/memory.h"
#include "common/result.h"

#include <stdio.h>
#include <string.h>

enum
{
  INDEX_MAX = 100 * 1000 * 1000, /* shards of one job */
  NUMBER_MAX = (1 << 20) - 1,    /* of generation, attempt and starts in a folder's key */
};

/* A shard's record, and what the fold needs of it besides. */
struct entry
{
  struct shard_record record;
  uint64_t digest; /* the first bytes of its atoms' digest; 0: not seen */
  uint32_t atoms;
};

_Static_assert(sizeof (struct entry) <= 64, "a shard costs at most 64 bytes");

struct fold
{
  struct entry *entries;
  int64_t known;
  size_t capacity;
  struct entry reduce;
  bool has_reduce;
  int64_t shards; /* -1 while the plan is open */
  int64_t atoms;
  int64_t counts[SHARD_FAILED + 1];
  int64_t atoms_done;
  uint32_t generation;
  bool cancelled;
  char *problem;
};

struct fold *
fold_new (void)
{
  struct fold *fold = xcalloc (1, sizeof *fold);
  fold->shards = -1;
  fold->atoms = -1;
  fold->generation = 1;
  return fold;
}

void
fold_free (struct fold *fold)
{
  if (fold == NULL)
    return;
  free (fold->entries);
  free (fold->problem);
  free (fold);
}

/* ---- entries ---------------------------------------------------------------------------- */

static void
grow (struct fold *fold, int64_t known)
{
  if (known <= fold->known)
    return;
  if ((size_t) known > fold->capacity)
    {
      size_t capacity = fold->capacity == 0 ? 64 : fold->capacity;
      while (capacity < (size_t) known)
        capacity *= 2;
      fold->entries = xrealloc (fold->entries, capacity, sizeof *fold->entries);
      memset (fold->entries + fold->capacity, 0,
              (capacity - fold->capacity) * sizeof *fold->entries);
      fold->capacity = capacity;
    }
  for (int64_t i = fold->known; i < known; i++)
    fold->entries[i].record.generation = 1;
  fold->counts[SHARD_WAITING] += known - fold->known;
  fold->known = known;
}

static struct entry *
entry_of (struct fold *fold, const struct event *event)
{
  if (event->shard_kind == SHARD_REDUCE)
    {
      if (!fold->has_reduce)
        fold->reduce = (struct entry){ .record = { .generation = fold->generation } };
      fold->has_reduce = true;
      return &fold->reduce;
    }
  if (event->index >= INDEX_MAX)
    return NULL;
  grow (fold, (int64_t) event->index + 1);
  return &fold->entries[event->index];
}

static void
set_state (struct fold *fold, struct entry *entry, enum shard_state state)
{
  if (entry != &fold->reduce)
    {
      bool was_done = entry->record.state == SHARD_SUCCEEDED;
      bool is_done = state == SHARD_SUCCEEDED;
      fold->counts[entry->record.state]--;
      fold->counts[state]++;
      if (was_done != is_done)
        fold->atoms_done += is_done ? (int64_t) entry->atoms : -(int64_t) entry->atoms;
    }
  entry->record.state = (uint8_t) state;
}

static void
set_problem (struct fold *fold, const char *problem)
{
  if (fold->problem == NULL)
    fold->problem = xstrdup (problem);
}

static uint64_t
pack_key (const struct event *event)
{
  return (uint64_t) (event->generation & NUMBER_MAX) << 40
         | (uint64_t) (event->attempt & NUMBER_MAX) << 20 | (event->starts & NUMBER_MAX);
}

/* ---- events ----------------------------------------------------------------------------- */

/* The same shard has the same atoms in all its attempts: else the inputs changed while they were listed again. */
static bool
same_atoms (struct fold *fold, struct entry *entry, const struct event *event)
{
  uint64_t digest = 0;
  memcpy (&digest, event->digest, sizeof digest);
  if (entry->digest == 0)
    entry->digest = digest;
  if (entry->digest == digest || digest == 0)
    return true;
  char problem[128];
  (void) snprintf (problem, sizeof problem,
                   "the inputs changed while the job ran: shard %u has two lists of atoms",
                   event->index);
  set_problem (fold, problem);
  return false;
}

static enum fold_change
apply_started (struct fold *fold, struct entry *entry, const struct event *event)
{
  if (event->generation != entry->record.generation || entry->record.state != SHARD_WAITING)
    return FOLD_NOTHING;
  set_state (fold, entry, SHARD_RUNNING);
  return FOLD_CHANGED;
}

static enum fold_change
apply_finished (struct fold *fold, struct entry *entry, const struct event *event)
{
  const struct attempt_report *report = &event->report;
  struct shard_record *record = &entry->record;
  if (event->generation != record->generation || record->state == SHARD_SUCCEEDED)
    return FOLD_NOTHING;
  bool succeeded = report->outcome == OUTCOME_SUCCEEDED;
  if (record->state == SHARD_FAILED && !succeeded)
    return FOLD_NOTHING;
  if (!same_atoms (fold, entry, event))
    return FOLD_CHANGED;
  if (record->attempts < UINT16_MAX)
    record->attempts++;
  record->outcome = (uint8_t) report->outcome;
  record->exit_code = (int16_t) report->exit_code;
  record->event = event->position;
  entry->atoms = (uint32_t) (event->atoms > 0 ? event->atoms : 0);
  record->folder_key = report->folder != NULL ? pack_key (event) : 0;
  if (succeeded)
    {
      set_state (fold, entry, SHARD_SUCCEEDED);
      return FOLD_SUCCEEDED;
    }
  set_state (fold, entry, report->final ? SHARD_FAILED : SHARD_WAITING);
  return FOLD_CHANGED;
}

static enum fold_change
apply_reopened (struct fold *fold, const struct event *event)
{
  if (event->generation <= fold->generation)
    return FOLD_NOTHING;
  fold->generation = event->generation;
  fold->cancelled = false;
  fold->has_reduce = false;
  free (fold->problem);
  fold->problem = NULL;
  for (size_t i = 0; i < event->index_count; i++)
    {
      if (event->indexes[i] >= INDEX_MAX)
        continue;
      grow (fold, (int64_t) event->indexes[i] + 1);
      struct entry *entry = &fold->entries[event->indexes[i]];
      set_state (fold, entry, SHARD_WAITING);
      entry->record = (struct shard_record){ .generation = event->generation };
    }
  return FOLD_REOPENED;
}

static enum fold_change
apply_planned (struct fold *fold, const struct event *event)
{
  if (fold->shards >= 0 || event->shards < 0 || event->shards > INDEX_MAX)
    return FOLD_NOTHING;
  fold->shards = event->shards;
  fold->atoms = event->atoms;
  grow (fold, event->shards);
  return FOLD_CHANGED;
}

static enum fold_change
apply_end (struct fold *fold, const struct event *event, const char *unnamed)
{
  if (fold->cancelled || fold->problem != NULL)
    return FOLD_NOTHING;
  fold->cancelled = event->kind == EVENT_CANCELLED;
  set_problem (fold, event->reason != NULL ? event->reason : unnamed);
  return FOLD_CHANGED;
}

enum fold_change
fold_apply (struct fold *fold, const struct event *event)
{
  struct entry *entry = NULL;
  switch (event->kind)
    {
    case EVENT_PLANNED:
      return apply_planned (fold, event);
    case EVENT_STARTED:
      entry = entry_of (fold, event);
      return entry == NULL ? FOLD_NOTHING : apply_started (fold, entry, event);
    case EVENT_FINISHED:
      entry = entry_of (fold, event);
      return entry == NULL ? FOLD_NOTHING : apply_finished (fold, entry, event);
    case EVENT_REOPENED:
      return apply_reopened (fold, event);
    case EVENT_CANCELLED:
      return apply_end (fold, event, "cancelled");
    case EVENT_FAILED:
      return apply_end (fold, event, "the job could not be planned");
    case EVENT_REMERGE: /* says nothing about shards */
    case EVENT_UNKNOWN:
      break;
    }
  return FOLD_NOTHING;
}

/* ---- questions -------------------------------------------------------------------------- */

bool
fold_planned (const struct fold *fold)
{
  return fold->shards >= 0;
}

int64_t
fold_shards (const struct fold *fold)
{
  return fold->shards;
}

int64_t
fold_known (const struct fold *fold)
{
  return fold->known;
}

const struct shard_record *
fold_shard (const struct fold *fold, uint32_t index)
{
  return index < fold->known ? &fold->entries[index].record : NULL;
}

const struct shard_record *
fold_reduce (const struct fold *fold)
{
  return fold->has_reduce ? &fold->reduce.record : NULL;
}

void
fold_counts (const struct fold *fold, struct job_status *counts)
{
  counts->shards = fold->shards;
  counts->atoms = fold->atoms;
  counts->succeeded = fold->counts[SHARD_SUCCEEDED];
  counts->failed = fold->counts[SHARD_FAILED];
  counts->running = fold->counts[SHARD_RUNNING];
  counts->atoms_done = fold->atoms_done;
  counts->generation = fold->generation;
}

bool
fold_settled (const struct fold *fold)
{
  if (fold->cancelled || fold->problem != NULL)
    return fold->counts[SHARD_RUNNING] == 0;
  return fold->shards >= 0 && fold->counts[SHARD_RUNNING] == 0 && fold->counts[SHARD_WAITING] == 0;
}

bool
fold_cancelled (const struct fold *fold)
{
  return fold->cancelled;
}

const char *
fold_problem (const struct fold *fold)
{
  return fold->problem;
}

static char *
folder_name (const struct shard_record *record, uint32_t index)
{
  uint64_t key = record->folder_key;
  if (key == 0)
    return NULL;
  return result_attempt_name (index, (uint32_t) (key >> 40), (uint32_t) (key >> 20) & NUMBER_MAX,
                              (uint32_t) key & NUMBER_MAX);
}

char *
fold_folder_name (const struct fold *fold, uint32_t index)
{
  const struct shard_record *record = fold_shard (fold, index);
  return record == NULL ? NULL : folder_name (record, index);
}

char *
fold_reduce_folder_name (const struct fold *fold)
{
  return fold->has_reduce ? folder_name (&fold->reduce.record, (uint32_t) fold->shards) : NULL;
}
