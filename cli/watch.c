/* shoal watch: a job that runs on a fleet, until it has ended. */
#include "cli/watch.h"

#include "bus/follower.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/summary.h"
#include "common/memory.h"
#include "common/signals.h"
#include "common/text.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum
{
  TICK_MS = 100,
  STATUS_TICKS = 3, /* how often the status is asked for */
};

/* Set by Ctrl-C: the one thing that a signal handler can reach. */
static volatile sig_atomic_t interrupted;

static void
on_interrupt (int number)
{
  (void) number;
  interrupted = 1;
}

static int
watch_read_events (struct follower *events, struct counters *counters, struct progress *progress,
                   struct error *err)
{
  for (;;)
    {
      auto_event struct event event = { 0 };
      int got = follower_next (events, &event, err);
      if (got <= 0)
        return got;
      counters_apply (counters, &event);
      if (progress != NULL)
        progress_event (progress, counters, &event);
    }
}

/* 1 when the job has ended and all its events are read, 0 when it was left, -1. */
static int
watch_follow (struct session *session, struct follower *events, struct progress *progress,
              struct counters *counters, struct job_status *status, struct error *err)
{
  if (watch_read_events (events, counters, NULL, err) != 0)
    return -1;
  counters_restart_clock (counters);
  for (int tick = 0; interrupted == 0; tick++)
    {
      if (tick % STATUS_TICKS == 0)
        {
          job_status_release (status);
          if (session_status (session, status, err) != 0)
            return -1;
        }
      if (watch_read_events (events, counters, progress, err) != 0)
        return -1;
      if (job_state_is_terminal (status->state))
        return 1;
      progress_tick (progress, counters);
      (void) bus_poll (session->bus, NULL, 0, TICK_MS);
    }
  return 0;
}

/* What couldn't be planned is told as an error is. */
static int
watch_report_end (const struct session *session, const struct counters *counters,
                  const struct job_status *status, bool quiet, struct error *err)
{
  if (status->class_name != NULL)
    {
      bool user = strcmp (status->class_name, error_class_name (ERROR_USER)) == 0;
      return error_set (err, user ? ERROR_USER : ERROR_TRANSIENT, "job %s: %s", session->job.id,
                        status->reason != NULL ? status->reason : "planning failed");
    }
  return summary_tell (session, counters, status, quiet);
}

int
watch_job (struct session *session, enum progress_kind kind, bool quiet, struct error *err)
{
  const struct sigaction action = { .sa_handler = on_interrupt };
  auto_counters struct counters counters = { 0 };
  auto_job_status struct job_status status = { 0 };
  if (!signal_is_ignored (SIGINT))
    (void) sigaction (SIGINT, &action, NULL);
  counters_init (&counters, &session->job);
  auto_progress struct progress *progress =
      progress_new (quiet && kind != PROGRESS_JSON ? PROGRESS_NONE : kind);
  auto_follower struct follower *events = bus_follow (session->bus, NULL, session->job.id, err);
  int ended =
      events == NULL ? -1 : watch_follow (session, events, progress, &counters, &status, err);
  progress_finish (progress, &counters, &status);
  if (ended < 0)
    return -1;
  if (ended == 1)
    return watch_report_end (session, &counters, &status, quiet, err);
  if (!quiet)
    {
      auto_free char *word = text_word (session->job.id);
      (void) fprintf (stderr, "shoal: job %s continues; `shoal watch %s` follows it again\n", word,
                      word);
    }
  return EXIT_INTERRUPTED;
}

/* ---- options ---------------------------------------------------------------------------- */

static int
set_progress (void *context, const char *value, struct error *err)
{
  return progress_kind_parse (value, &((struct watch_args *) context)->progress, err);
}

static int
set_quiet (void *context, const char *value, struct error *err)
{
  (void) value;
  (void) err;
  ((struct watch_args *) context)->quiet = true;
  return 0;
}

static int
set_wait (void *context, const char *value, struct error *err)
{
  (void) value;
  (void) err;
  ((struct watch_args *) context)->wait = true;
  return 0;
}

#define PROGRESS_OPTION                                                                            \
  {                                                                                                \
    0, "progress", NULL, "KIND", "progress: auto, bar, plain, json or none (default auto)",        \
        GROUP_OTHER, false, set_progress                                                           \
  }
#define QUIET_OPTION                                                                               \
  {                                                                                                \
    'q', "quiet", NULL, NULL, "print errors only", GROUP_OTHER, false, set_quiet                   \
  }

const struct option_spec watch_options[] = {
  PROGRESS_OPTION,
  QUIET_OPTION,
  { 0 },
};

const struct option_spec wait_options[] = {
  { 0, "wait", NULL, NULL, "wait for the job to end; exit with the job's exit code", GROUP_OTHER,
    false, set_wait },
  PROGRESS_OPTION,
  QUIET_OPTION,
  { 0 },
};

static int
watch_run (int argc, char **argv, struct error *err)
{
  struct watch_args args = { .progress = PROGRESS_AUTO };
  auto_bus_args struct bus_args bus;
  bus_args_init (&bus);
  const struct option_set sets[] = { { watch_options, &args }, { bus_options, &bus } };
  int first = options_operands (sets, 2, argc, argv, 1, 1, command_watch.synopsis, err);
  if (first < 0)
    return first;
  auto_session struct session session = SESSION_READER;
  if (bus_args_finish (&bus, err) != 0 || session_open (&session, argv[first], &bus, err) != 0)
    return -1;
  return watch_job (&session, args.progress, args.quiet, err);
}

const struct command command_watch = {
  .name = "watch",
  .synopsis = "watch [options] JOB",
  .summary = "follow a job on a fleet until it ends",
  .help = "Ctrl-C stops watching; the job continues. The exit code is the job's.\n"
          "\n"
          "  shoal watch --bus kafka://broker:9092 resize-2019\n",
  .options = { watch_options, bus_options },
  .run = watch_run,
};
