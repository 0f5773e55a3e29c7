#include "cli/reopen.h"

#include "bus/amend.h"
#include "bus/settings.h"
#include "cli/changes.h"
#include "cli/summary.h"
#include "common/clock.h"
#include "common/memory.h"
#include "common/text.h"
#include "producer/shard_set.h"
#include "result/frozen_plan.h"

int
reopen_merge (struct session *session, enum on_conflict policy, struct job_status *status,
              struct error *err)
{
  auto_free char *writer = xstrdup (bus_writer (session->bus));
  const struct event event = { .kind = EVENT_REMERGE,
                               .job_id = session->job.id,
                               .time = clock_wall_ms (),
                               .writer = writer,
                               .on_conflict = policy };
  if (bus_publish_event (session->bus, &event, err) != 0 || bus_flush (session->bus, err) != 0)
    return -1;
  /* Behind the event: a merger that finds the job open must find the event as well. */
  status->state = JOB_MERGING;
  return bus_put_status (session->bus, status, err);
}

static void
select_one (struct reopen_selection *selection, bool *chosen, uint32_t index)
{
  if (chosen[index])
    return;
  chosen[index] = true;
  selection->indexes[selection->count++] = index;
}

/* Shards that never ended are always among them: without them the job can't end. */
int
reopen_choose (const struct reopen_choice *choice, const struct fold *fold,
               struct reopen_selection *selection, struct error *err)
{
  int64_t shards = fold_shards (fold);
  if (shards < 0)
    return error_set (err, ERROR_USER,
                      "the job ended before it was planned: submit it again, with another --id "
                      "and --results");
  selection->indexes = xcalloc ((size_t) shards, sizeof *selection->indexes);
  auto_free bool *chosen = xcalloc ((size_t) shards, sizeof *chosen);
  for (size_t i = 0; i < choice->named_count; i++)
    {
      if (choice->named[i] >= shards)
        return error_set (err, ERROR_USER, "no shard %u: the job has shards 0 to %lld",
                          choice->named[i], (long long) shards - 1);
      select_one (selection, chosen, choice->named[i]);
    }
  bool failed = choice->failed || (choice->named_count == 0 && !choice->reduce);
  for (uint32_t i = 0; i < shards; i++)
    {
      const struct shard_record *record = fold_shard (fold, i);
      bool ended = record->state == SHARD_FAILED && record->outcome != OUTCOME_CANCELLED;
      if (record->state == SHARD_SUCCEEDED || (ended && !failed))
        continue;
      select_one (selection, chosen, i);
    }
  return 0;
}

static bool
reduce_failed (const struct fold *fold)
{
  const struct shard_record *reduce = fold_reduce (fold);
  return reduce != NULL && reduce->state == SHARD_FAILED;
}

/* ---- shards of a job that ended before they were published --------------------------------- */

/* Publishes those of SELECTION that weren't. They are of a generation that is closed: nobody runs
 * them, and bus_replay finds them. */
static int
reopen_publish (struct session *session, uint32_t starts, const struct reopen_selection *selection,
                struct error *err)
{
  if (starts == 0)
    return 0;
  struct job job = session->job;
  job.credentials = (char *) (uintptr_t) session_credentials (session);
  auto_frozen_plan struct frozen_plan *frozen = frozen_plan_new (&job, starts);
  auto_shard_set struct shard_set published = { 0 };
  if (shard_set_read (&published, session->bus, job.id, err) != 0)
    return -1;
  for (size_t i = 0; i < selection->count; i++)
    {
      auto_shard struct shard shard = { 0 };
      uint32_t index = selection->indexes[i];
      if (shard_set_has (&published, index))
        continue;
      int got = frozen_plan_get (frozen, index, &shard, err);
      if (got == 0)
        return error_set (err, ERROR_USER, "shard %u was never published, and isn't in the plan",
                          index);
      if (got < 0 || bus_publish_shard (session->bus, &shard, err) != 0)
        return -1;
    }
  return bus_flush (session->bus, err);
}

static int
reopen_by_index (const void *a, const void *b)
{
  uint32_t one = *(const uint32_t *) a;
  uint32_t other = *(const uint32_t *) b;
  return one < other ? -1 : one > other;
}

int
reopen_check_ended (const struct session *session, struct error *err)
{
  auto_job_status struct job_status status = { 0 };
  if (session_status (session, &status, err) != 0)
    return -1;
  if (job_state_is_terminal (status.state))
    return 0;
  auto_free char *location = text_word (session->location);
  return error_set (err, ERROR_USER, "%s: the job has not ended yet%s%s%s", session_name (session),
                    session->fleet ? "" : ": `shoal resume ", session->fleet ? "" : location,
                    session->fleet ? "" : "` continues it");
}

/* What is replayed is published at once, in no window. */
static int
reopen_check_parallel (const struct session *session, const struct reopen_selection *selection,
                       struct error *err)
{
  if (!session->fleet || selection->count == 0)
    return 0;
  auto_settings struct settings *known = settings_read (session->bus, err);
  if (known == NULL)
    return -1;
  int64_t most = settings_of (known, &session->job).max_parallel;
  if (most < 0 || (int64_t) selection->count <= most)
    return 0;
  auto_free char *id = text_word (session->job.id);
  return error_set (err, ERROR_USER,
                    "%s: %zu shards would run again at the same time, and the job's --max-parallel "
                    "is %lld: name as many with --shard, several times, or lift the limit: `shoal "
                    "set --max-parallel none %s`",
                    session_name (session), selection->count, (long long) most, id);
}

static int
reopen_replay (struct session *session, const struct reopen_choice *choice, uint32_t generation,
               const struct reopen_selection *selection, struct error *err)
{
  if (!session->fleet && changes_check_pins (session, err) != 0)
    return -1;
  return choice->amended != NULL ? bus_amend_replay (session->bus, choice->amended, generation,
                                                     selection->indexes, selection->count, err)
                                 : bus_replay (session->bus, session->job.id, generation,
                                               selection->indexes, selection->count, err);
}

int
reopen_shards (struct session *session, const struct reopen_choice *choice, struct error *err)
{
  auto_counters struct counters counters = { 0 };
  struct reopen_selection selection = { 0 };
  if (reopen_check_ended (session, err) != 0 || summary_read (session, &counters, err) != 0)
    return -1;
  int result = reopen_choose (choice, counters.fold, &selection, err);
  if (result == 0)
    result = reopen_check_parallel (session, &selection, err);
  if (result == 0)
    {
      qsort (selection.indexes, selection.count, sizeof *selection.indexes, reopen_by_index);
      result = reopen_publish (session, fold_frozen (counters.fold), &selection, err);
    }
  uint32_t generation = counters.counts.generation + 1;
  /* Without any shard of its own the job is only reopened, and its reduce container runs again. */
  if (result == 0 && (selection.count > 0 || choice->reduce || reduce_failed (counters.fold)))
    result = reopen_replay (session, choice, generation, &selection, err) == 0 ? 1 : -1;
  free (selection.indexes);
  return result;
}
