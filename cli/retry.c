/* shoal retry: failed or named shards again, as a new generation, and the result assembled anew. */
#include "cli/amend.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/job_options.h"
#include "cli/pack_attempts.h"
#include "cli/reopen.h"
#include "cli/restore.h"
#include "cli/run_options.h"
#include "cli/session.h"
#include "cli/split.h"
#include "cli/storage_options.h"
#include "cli/supervise.h"
#include "cli/watch.h"
#include "cli/words.h"
#include "common/memory.h"
#include "common/text.h"

#include <stdio.h>

static int
retry_set_shard (void *context, const char *value, struct error *err)
{
  struct reopen_choice *choice = context;
  return words_ranges (value, &choice->named, &choice->named_count, err);
}

static int
set_failed (void *context, const char *value, struct error *err)
{
  (void) value;
  (void) err;
  ((struct reopen_choice *) context)->failed = true;
  return 0;
}

static const struct option_spec retry_options[] = {
  { 0, "shard", NULL, "K", "only these shards, e.g. 3,5-9; repeatable", GROUP_OTHER, false,
    retry_set_shard },
  { 0, "failed", NULL, NULL, "all failed shards (the default)", GROUP_OTHER, false, set_failed },
  { 0 },
};

struct retry_args
{
  struct reopen_choice choice;
  struct split_args split;
};

enum retry_opened
{
  RETRY_NOTHING, /* is to be done */
  RETRY_RUNS,
  RETRY_MERGES, /* runs nothing */
};

/* Opens the job of SESSION again as ARGS say: an enum retry_opened, or -1. */
static int
retry_reopen (struct session *session, const struct retry_args *args, struct error *err)
{
  const struct split_args *split = &args->split;
  int made = split->how == SPLIT_NOT && !split->quarantine
                 ? SPLIT_NONE
                 : split_plan (session, &args->choice, split, err);
  if (made == SPLIT_NONE)
    return reopen_shards (session, &args->choice, err);
  return made < 0 ? -1 : made == SPLIT_MERGES ? RETRY_MERGES : RETRY_RUNS;
}

/* Whether inputs that failed are still to be narrowed down or left out: 1, 0 or -1. A job that was
 * cancelled, or ran out of time, has shards that never ended: it isn't begun again unasked. */
static int
retry_goes_on (const struct session *session, const struct retry_args *args, int code,
               struct error *err)
{
  auto_job_status struct job_status status = { 0 };
  if (code != EXIT_JOB_FAILED || !args->split.quarantine || args->split.how == SPLIT_NOT)
    return 0;
  if (session_status (session, &status, err) != 0)
    return -1;
  return status.state == JOB_FAILED && status.failed > 0
         && status.succeeded + status.failed == status.shards;
}

/* Runs what retry_reopen OPENED; with --split and --quarantine round after round, as long as there
 * is something to cut or to leave out. */
static int
retry_rounds (struct session *session, struct retry_args *args, int opened,
              const struct run_options *options, struct error *err)
{
  for (;;)
    {
      int code = supervise_and_report (session, options, opened == RETRY_MERGES, err);
      int goes_on = retry_goes_on (session, args, code, err);
      if (goes_on <= 0)
        return goes_on < 0 ? -1 : code;
      args->choice.named_count = 0;
      int made = split_plan (session, &args->choice, &args->split, err);
      if (made < 0 || made == SPLIT_NONE)
        return made < 0 ? -1 : code;
      opened = made == SPLIT_MERGES ? RETRY_MERGES : RETRY_RUNS;
    }
}

static int
retry_run_args (struct retry_args *retry, int argc, char **argv, struct error *err)
{
  struct run_options options = { 0 };
  auto_job_args struct job_args args;
  amend_init (&args);
  auto_bus_args struct bus_args bus;
  bus_args_init (&bus);
  const struct option_set sets[] = {
    { retry_options, &retry->choice }, { split_options, &retry->split }, { amend_options, &args },
    { run_options, &options },         { supervise_options, &options },  { bus_options, &bus },
    { storage_options, NULL }
  };
  int first = options_operands (sets, 7, argc, argv, 1, 1, command_retry.synopsis, err);
  if (first < 0)
    return first;
  auto_session struct session session = SESSION_INIT;
  if (bus_args_finish (&bus, err) != 0 || session_open (&session, argv[first], &bus, err) != 0
      || (!session.fleet
          && (session_lock (&session, err) != 0 || restore_check_left (&session, err) != 0
              || pack_attempts_check (&session, err) != 0)))
    return -1;
  auto_job struct job amended = { 0 };
  int amends = amend_make (&session, &args, options.images, &amended, err);
  if (amends == 1) /* it is kept with the new plan, or with what is opened again of the old one */
    {
      job_release (&session.job);
      job_copy (&session.job, &amended);
      retry->choice.amended = &session.job;
    }
  int reopened = amends < 0 ? -1 : retry_reopen (&session, retry, err);
  if (reopened < 0)
    return -1;
  if (reopened == 0)
    {
      if (!options.quiet)
        (void) fputs ("shoal: nothing to do, no shard has failed\n", stderr);
      return EXIT_DONE;
    }
  return session.fleet ? watch_job (&session, options.progress, options.quiet, err)
                       : retry_rounds (&session, retry, reopened, &options, err);
}

static int
retry_run (int argc, char **argv, struct error *err)
{
  struct retry_args args = { 0 };
  int result = retry_run_args (&args, argc, argv, err);
  free (args.choice.named);
  return result;
}

const struct command command_retry = {
  .name = "retry",
  .synopsis = "retry [--shard K]… [--failed] [--split[=HOW]] [--quarantine] [options] RESULT|JOB",
  .summary = "run failed or selected shards again and rebuild the result",
  .help =
      "Other finished shards are kept. The old result stays in place until the new one is "
      "complete.\n"
      "Shards that never ran because the job was cancelled or failed early run as well. Limits,\n"
      "variables and the image given here replace the job's, for the shards that run from now on.\n"
      "Finished shards that another image made are kept only if --image is given twice;\n"
      "manifest.json has the image's id of each shard.\n"
      "With --split and --quarantine together, failed shards are cut until the bad inputs are\n"
      "found, and the job is done without them.\n"
      "\n"
      "  shoal retry resized --shard 3,7-9\n"
      "  shoal retry resized --split=each --quarantine\n",
  .options = { retry_options, split_options, amend_options, run_options, supervise_options,
               bus_options, storage_options },
  .run = retry_run,
};
