/* shoal retry: failed or named shards again, as a new generation, and the result assembled anew. */
#include "cli/retry.h"
#include "cli/commands.h"
#include "cli/job_options.h"
#include "cli/restore.h"
#include "cli/run_options.h"
#include "cli/session.h"
#include "cli/storage_options.h"
#include "cli/summary.h"
#include "cli/supervise.h"
#include "cli/watch.h"
#include "cli/words.h"
#include "common/memory.h"
#include "common/text.h"

#include <stdio.h>

static int
set_shard (void *context, const char *value, struct error *err)
{
  struct retry_args *args = context;
  return words_ranges (value, &args->named, &args->named_count, err);
}

static int
set_failed (void *context, const char *value, struct error *err)
{
  (void) value;
  (void) err;
  ((struct retry_args *) context)->failed = true;
  return 0;
}

static const struct option_spec retry_options[] = {
  { 0, "shard", NULL, "K", "only these shards, e.g. 3,5-9; repeatable", GROUP_OTHER, false,
    set_shard },
  { 0, "failed", NULL, NULL, "all failed shards (the default)", GROUP_OTHER, false, set_failed },
  { 0 },
};

/* ---- which shards ----------------------------------------------------------------------- */

struct selection
{
  uint32_t *indexes;
  size_t count;
};

static void
select_one (struct selection *selection, bool *chosen, uint32_t index)
{
  if (chosen[index])
    return;
  chosen[index] = true;
  selection->indexes[selection->count++] = index;
}

/* Shards that never ended are always among them: without them the job can't end. */
static int
choose (const struct retry_args *args, const struct fold *fold, struct selection *selection,
        struct error *err)
{
  int64_t shards = fold_shards (fold);
  if (shards < 0)
    return error_set (err, ERROR_USER,
                      "the job ended before it was planned: run it again with another --results");
  selection->indexes = xcalloc ((size_t) shards, sizeof *selection->indexes);
  auto_free bool *chosen = xcalloc ((size_t) shards, sizeof *chosen);
  for (size_t i = 0; i < args->named_count; i++)
    {
      if (args->named[i] >= shards)
        return error_set (err, ERROR_USER, "no shard %u: the job has shards 0 to %lld",
                          args->named[i], (long long) shards - 1);
      select_one (selection, chosen, args->named[i]);
    }
  bool failed = args->failed || (args->named_count == 0 && !args->reduce);
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

/* ---- the command ------------------------------------------------------------------------ */

int
retry_reopen (struct session *session, const struct retry_args *args, struct error *err)
{
  auto_tally struct tally tally = { 0 };
  auto_job_status struct job_status status = { 0 };
  struct selection selection = { 0 };
  if (session_status (session, &status, err) != 0 || summary_read (session, &tally, err) != 0)
    return -1;
  auto_free char *place = text_word (session->place);
  if (!job_state_is_terminal (status.state))
    return error_set (err, ERROR_USER, "%s: the job has not ended yet%s%s%s",
                      session_name (session), session->fleet ? "" : ": `shoal resume ",
                      session->fleet ? "" : place, session->fleet ? "" : "` continues it");
  int result = choose (args, tally.fold, &selection, err);
  uint32_t generation = tally.counts.generation + 1;
  /* Without any shard of its own the job is only reopened, and its reduce container runs again. */
  if (result == 0 && (selection.count > 0 || args->reduce || reduce_failed (tally.fold)))
    result = bus_replay (session->bus, session->job.id, generation, selection.indexes,
                         selection.count, err)
                     == 0
                 ? 1
                 : -1;
  free (selection.indexes);
  return result;
}

static int
run_with (struct retry_args *args, int argc, char **argv, struct error *err)
{
  struct run_options options = { 0 };
  auto_bus_args struct bus_args bus;
  bus_args_init (&bus);
  const struct option_set sets[] = { { retry_options, args },
                                     { run_options, &options },
                                     { bus_options, &bus },
                                     { storage_options, NULL } };
  int first = options_operands (sets, 4, argc, argv, 1, 1, command_retry.synopsis, err);
  if (first < 0)
    return first;
  auto_session struct session session = SESSION_INIT;
  if (bus_args_finish (&bus, err) != 0 || session_open (&session, argv[first], &bus, err) != 0
      || (!session.fleet
          && (session_lock (&session, err) != 0 || restore_check_left (&session, err) != 0
              || job_pin_images (&session.job, options.images, err) != 0)))
    return -1;
  int reopened = retry_reopen (&session, args, err);
  if (reopened < 0)
    return -1;
  if (reopened == 0)
    {
      if (!options.quiet)
        (void) fputs ("shoal: nothing to do, no shard has failed\n", stderr);
      return EXIT_DONE;
    }
  return session.fleet ? watch_job (&session, options.progress, options.quiet, err)
                       : supervise_and_tell (&session, &options, false, err);
}

static int
run (int argc, char **argv, struct error *err)
{
  struct retry_args args = { 0 };
  int result = run_with (&args, argc, argv, err);
  free (args.named);
  return result;
}

const struct command command_retry = {
  .name = "retry",
  .synopsis = "retry [--shard K]… [--failed] [options] RESULT|JOB",
  .summary = "run failed or selected shards again and rebuild the result",
  .help = "Other finished shards are kept. The old result stays in place until the new one is "
          "complete.\n"
          "Shards that never ran because the job was cancelled or failed early run as well.\n"
          "\n"
          "  shoal retry resized --shard 3,7-9\n",
  .options = { retry_options, run_options, bus_options, storage_options },
  .run = run,
};
