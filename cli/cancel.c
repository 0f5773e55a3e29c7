/* shoal cancel: no shard starts any more, running containers are stopped. */
#include "cli/commands.h"
#include "cli/run_options.h"
#include "cli/session.h"
#include "cli/supervise.h"
#include "common/clock.h"
#include "common/memory.h"
#include "common/text.h"

#include <stdio.h>

enum
{
  PATIENCE_MS = 120000,
};

static int
set_reason (void *context, const char *value, struct error *err)
{
  (void) err;
  *(const char **) context = value;
  return 0;
}

static const struct option_spec cancel_options[] = {
  { 0, "reason", NULL, "TEXT", "reason to show in status and report", GROUP_OTHER, false,
    set_reason },
  { 0 },
};

static int
cancel_publish (struct session *session, const char *reason, struct error *err)
{
  auto_free char *text = xstrdup (reason);
  const struct control control = {
    .kind = CONTROL_CANCEL, .job_id = session->job.id, .time = clock_wall_ms (), .reason = text
  };
  return bus_publish_control (session->bus, &control, err);
}

/* Waits for whoever runs the job to end it. 1 when nobody does any more and it hasn't ended. */
static int
wait_for_end (struct session *session, struct job_status *status, struct error *err)
{
  int64_t until = clock_boot_ms () + PATIENCE_MS;
  while (clock_boot_ms () < until)
    {
      bool attended = session_is_attended (session);
      job_status_release (status);
      if (session_status (session, status, err) != 0)
        return -1;
      if (job_state_is_terminal (status->state))
        return 0;
      if (!attended)
        return 1;
      (void) bus_poll (session->bus, NULL, 0, 100);
    }
  return error_set (err, ERROR_TRANSIENT,
                    "%s: cancellation was requested, but the job has not ended yet",
                    session_name (session));
}

static int
cancel_run (int argc, char **argv, struct error *err)
{
  const char *reason = "cancelled";
  auto_bus_args struct bus_args bus;
  bus_args_init (&bus);
  const struct option_set sets[] = { { cancel_options, &reason }, { bus_options, &bus } };
  int first = options_operands (sets, 2, argc, argv, 1, 1, command_cancel.synopsis, err);
  if (first < 0)
    return first;
  auto_session struct session session = SESSION_INIT;
  auto_job_status struct job_status status = { 0 };
  if (bus_args_finish (&bus, err) != 0 || session_open (&session, argv[first], &bus, err) != 0
      || session_status (&session, &status, err) != 0)
    return -1;
  if (job_state_is_terminal (status.state))
    return error_set (err, ERROR_USER, "%s: the job has already ended: %s", session_name (&session),
                      job_state_name (status.state));
  if (cancel_publish (&session, reason, err) != 0)
    return -1;
  int left = wait_for_end (&session, &status, err);
  if (left < 0)
    return -1;
  if (left == 1)
    {
      /* Nobody runs it: its end is put on record by a merger of our own. */
      const struct run_options options = { .progress = PROGRESS_NONE, .quiet = true };
      auto_counters struct counters counters = { 0 };
      job_status_release (&status);
      if (session_lock (&session, err) != 0
          || supervise_job (&session, &options, true, &counters, &status, err) < 0)
        return -1;
    }
  auto_free char *id = text_shown (session.job.id);
  (void) fprintf (stderr, "shoal: job %s %s\n", id, job_state_name (status.state));
  return EXIT_DONE;
}

const struct command command_cancel = {
  .name = "cancel",
  .synopsis = "cancel [--reason TEXT] RESULT|JOB",
  .summary = "stop a job and its running containers",
  .help = "Waits until the job has ended. Finished shards are kept; `shoal retry` runs the rest.\n"
          "\n"
          "  shoal cancel resized --reason 'wrong size'\n",
  .options = { cancel_options, bus_options },
  .run = cancel_run,
};
