/* shoal resume: goes on with a run that was interrupted. */
#include "cli/commands.h"
#include "cli/job_options.h"
#include "cli/restore.h"
#include "cli/run_options.h"
#include "cli/run_session.h"
#include "cli/storage_options.h"

static int
run (int argc, char **argv, struct error *err)
{
  struct run_options options = { 0 };
  const struct option_set sets[] = { { run_options, &options }, { storage_options, NULL } };
  int first = options_operands (sets, 2, argc, argv, 1, 1, command_resume.synopsis, err);
  if (first < 0)
    return first;
  auto_session struct session session = SESSION_INIT;
  if (session_open (&session, argv[first], NULL, err) != 0 || session_lock (&session, err) != 0
      || restore_check_left (&session, err) != 0
      || job_pin_images (&session.job, options.images, err) != 0)
    return -1;
  return run_session (&session, &options, err);
}

const struct command command_resume = {
  .name = "resume",
  .synopsis = "resume [options] RESULT",
  .summary = "continue an interrupted run",
  .help = "Finished shards are not run again.\n"
          "\n"
          "  shoal resume resized\n",
  .options = { run_options, storage_options },
  .run = run,
};
