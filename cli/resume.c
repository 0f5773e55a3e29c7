/* shoal resume: goes on with a run that was interrupted. */
#include "cli/amend.h"
#include "cli/commands.h"
#include "cli/job_options.h"
#include "cli/restore.h"
#include "cli/run_options.h"
#include "cli/run_session.h"
#include "cli/storage_options.h"

static int
resume_run (int argc, char **argv, struct error *err)
{
  struct run_options options = { 0 };
  auto_job_args struct job_args args;
  amend_init (&args);
  const struct option_set sets[] = { { amend_options, &args },
                                     { run_options, &options },
                                     { supervise_options, &options },
                                     { storage_options, NULL } };
  int first = options_operands (sets, 4, argc, argv, 1, 1, command_resume.synopsis, err);
  if (first < 0)
    return first;
  auto_session struct session session = SESSION_INIT;
  if (session_open (&session, argv[first], NULL, err) != 0 || session_lock (&session, err) != 0
      || restore_check_left (&session, err) != 0)
    return -1;
  auto_job struct job amended = { 0 };
  int amends = amend_make (&session, &args, options.images, &amended, err);
  if (amends < 0 || (amends == 1 && amend_keep (&session, &amended, err) != 0))
    return -1;
  return run_session (&session, &options, err);
}

const struct command command_resume = {
  .name = "resume",
  .synopsis = "resume [options] RESULT",
  .summary = "continue an interrupted run",
  .help = "Finished shards are not run again. Limits, variables and the image given here replace\n"
          "the job's; --image twice where finished shards were made by another one.\n"
          "\n"
          "  shoal resume resized\n",
  .options = { amend_options, run_options, supervise_options, storage_options },
  .run = resume_run,
};
