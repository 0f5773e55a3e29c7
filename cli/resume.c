/* shoal resume: goes on with a run that was interrupted. */
#include "cli/amend.h"
#include "cli/commands.h"
#include "cli/job_options.h"
#include "cli/restore.h"
#include "cli/run_options.h"
#include "cli/run_session.h"
#include "cli/steer.h"
#include "cli/storage_options.h"
#include "common/memory.h"
#include "common/text.h"

#include <stdio.h>

/* A fleet, or a run that goes on elsewhere, has only to hear that the job isn't paused any more.
 * What a worker has read of a pause outlives the record, so it is said where none is KNOWN, too. */
static int
resume_paused (struct session *session, const struct job_args *args, const char *images, bool known,
               struct error *err)
{
  auto_job struct job amended = { 0 };
  auto_job_status struct job_status status = { 0 };
  struct control wanted = STEER_NOTHING;
  wanted.paused = 0;
  if (session->fleet && amend_make (session, args, images, &amended, err) < 0)
    return -1;
  if (session_status (session, &status, err) != 0
      || steer_check (session->bus, &session->job, &status, &wanted, err) != 0
      || steer_publish (session->bus, &session->job, &wanted, err) != 0)
    return -1;
  auto_free char *id = text_shown (session->job.id);
  (void) fprintf (stderr, "shoal: job %s goes on%s\n", id,
                  known ? "" : ": `control` has no pause of it");
  return EXIT_DONE;
}

/* Whether the job is paused, and others run it: 1, 0 or -1. */
static int
resume_is_paused (struct session *session, struct error *err)
{
  if (!session_is_attended (session))
    return 0;
  auto_settings struct settings *known = settings_read (session->bus, err);
  if (known == NULL)
    return -1;
  return settings_of (known, &session->job).paused;
}

static int
resume_run (int argc, char **argv, struct error *err)
{
  struct run_options options = { 0 };
  auto_job_args struct job_args args;
  amend_init (&args);
  auto_bus_args struct bus_args bus;
  bus_args_init (&bus);
  const struct option_set sets[] = { { amend_options, &args },
                                     { run_options, &options },
                                     { supervise_options, &options },
                                     { bus_options, &bus },
                                     { storage_options, NULL } };
  int first = options_operands (sets, 5, argc, argv, 1, 1, command_resume.synopsis, err);
  if (first < 0)
    return first;
  auto_session struct session session = SESSION_INIT;
  if (bus_args_finish (&bus, err) != 0 || session_open (&session, argv[first], &bus, err) != 0)
    return -1;
  int paused = resume_is_paused (&session, err);
  if (paused < 0)
    return -1;
  if (paused == 1 || session.fleet)
    return resume_paused (&session, &args, options.images, paused == 1, err);
  if (session_lock (&session, err) != 0 || restore_check_left (&session, err) != 0)
    return -1;
  auto_job struct job amended = { 0 };
  int amends = amend_make (&session, &args, options.images, &amended, err);
  if (amends < 0 || (amends == 1 && amend_keep (&session, &amended, err) != 0))
    return -1;
  return run_session (&session, &options, err);
}

const struct command command_resume = {
  .name = "resume",
  .synopsis = "resume [options] RESULT|JOB",
  .summary = "continue an interrupted run, or a paused job",
  .help = "Finished shards are not run again. Limits, variables and the image given here replace\n"
          "the job's; --image twice where finished shards were made by another one.\n"
          "\n"
          "  shoal resume resized\n",
  .options = { amend_options, run_options, supervise_options, bus_options, storage_options },
  .run = resume_run,
};
