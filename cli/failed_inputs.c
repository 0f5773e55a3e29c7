#include "cli/failed_inputs.h"

#include "common/auto.h"
#include "common/memory.h"
#include "producer/slicer.h"
#include "schemas/codec.h"
#include "worker/atoms.h"
#include "worker/reason.h"

bool
failed_inputs_blamed (const struct shard_record *record, const struct attempt_report *report)
{
  if (record->state != SHARD_FAILED)
    return false;
  if (record->outcome == OUTCOME_FAILED && record->exit_code < 0)
    return report != NULL && report->reason != NULL && reason_is_of_inputs (report->reason);
  return record->outcome == OUTCOME_FAILED || record->outcome == OUTCOME_OOM
         || record->outcome == OUTCOME_TIMEOUT;
}

int
failed_inputs_shard (const struct session *session, uint32_t index, struct shard *shard,
                     struct error *err)
{
  int found = bus_get_shard (session->bus, session->job.id, index, shard, err);
  if (found > 0)
    return 0;
  return found < 0 ? -1 : error_set (err, ERROR_USER, "shard %u isn't in the plan any more", index);
}

char *
failed_inputs_only (const struct session *session, const struct shard *shard, struct error *err)
{
  auto_buffer struct buffer store = { 0 };
  struct bytes list = { 0 };
  struct atom atom = { 0 };
  if (atoms_load (shard, &session->job, session->folder_fd, NULL, &store, &list, err) != 0)
    return NULL;
  auto_atom_cursor struct atom_cursor cursor = atom_cursor_start (list);
  int got = atom_cursor_next (&cursor, &atom, err);
  if (got == 1 && atom.volume < session->job.volume_count)
    return slicer_atom_path (&session->job, &atom);
  if (got >= 0)
    (void) error_set (err, ERROR_USER, "shard %u has no input", shard->index);
  return NULL;
}

/* What is known of the failures, by shard. The caller frees. */
static const struct attempt_report **
failed_inputs_reports (const struct counters *counters)
{
  int64_t shards = fold_shards (counters->fold);
  const struct attempt_report **reports =
      xcalloc (shards > 0 ? (size_t) shards : 1, sizeof *reports);
  for (size_t i = 0; i < counters->failure_count; i++)
    {
      const struct counters_failure *failure = &counters->failures[i];
      if (failure->kind == SHARD_MAP && failure->index < shards)
        reports[failure->index] = &failure->report;
    }
  return reports;
}

int64_t
failed_inputs_alone (const struct session *session, const struct counters *counters, size_t most,
                     struct strlist *paths, bool *several, struct error *err)
{
  int64_t alone = 0;
  auto_free const struct attempt_report **reports = failed_inputs_reports (counters);
  *several = false;
  for (int64_t i = 0; session->job.glob != NULL && i < fold_shards (counters->fold); i++)
    {
      auto_shard struct shard shard = { 0 };
      if (!failed_inputs_blamed (fold_shard (counters->fold, (uint32_t) i), reports[i]))
        continue;
      if (failed_inputs_shard (session, (uint32_t) i, &shard, err) != 0)
        return -1;
      *several = *several || shard.atom_count > 1;
      if (shard.atom_count != 1 || alone++ >= (int64_t) most)
        continue;
      char *path = failed_inputs_only (session, &shard, err);
      if (path == NULL)
        return -1;
      strlist_take (paths, path);
    }
  return alone;
}
