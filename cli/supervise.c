#include "cli/supervise.h"

#include "bus/follower.h"
#include "cli/command.h"
#include "cli/job_options.h"
#include "cli/joblog.h"
#include "cli/pack_attempts.h"
#include "cli/pilot.h"
#include "cli/progress.h"
#include "cli/service_processes.h"
#include "cli/summary.h"
#include "cli/words.h"
#include "common/clock.h"
#include "common/memory.h"
#include "common/signals.h"
#include "common/text.h"
#include "result/result.h"
#include "worker/cpus.h"
#include "worker/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

enum
{
  TICK_MS = 100,
  PATIENCE_MS = 30000, /* for a service that was told to stop, or whose job has ended */
};

enum stopping
{
  STOP_NOT,
  STOP_DRAIN,      /* no new shards */
  STOP_CONTAINERS, /* … and the running ones are stopped */
  STOP_KILL,
};

struct supervisor
{
  struct session *session;
  const struct run_options *options;
  bool merge_only;
  struct counters *counters;
  struct job_status *status;
  struct progress *progress;
  struct joblog *joblog;
  struct pilot *pilot;
  struct follower *events;
  struct services services;
  int signal_fd;
  enum stopping stopping;
  int64_t until;  /* boot ms: the services are killed then; 0: they aren't told to end */
  bool caught_up; /* events from here on are of this run */
};

/* ---- events ----------------------------------------------------------------------------- */

static void
log_attempt (struct supervisor *supervisor, const struct event *event)
{
  struct error err = ERROR_INIT;
  if (supervisor->joblog == NULL || event->kind != EVENT_FINISHED || !supervisor->caught_up
      || joblog_add (supervisor->joblog, event, &err) == 0)
    return;
  auto_free char *text = xasprintf ("shoal: no longer writing the job log: %s", err.message);
  progress_note (supervisor->progress, text);
  joblog_close (take (&supervisor->joblog));
}

static int
supervise_read_events (struct supervisor *supervisor, struct error *err)
{
  for (;;)
    {
      auto_event struct event event = { 0 };
      int got = follower_next (supervisor->events, &event, err);
      if (got <= 0)
        return got;
      counters_apply (supervisor->counters, &event);
      log_attempt (supervisor, &event);
      pilot_add (supervisor->pilot, &event);
      if (supervisor->caught_up)
        progress_event (supervisor->progress, supervisor->counters, &event);
    }
}

/* Whether the job has ended: 1, 0 or -1. Events that came before its end are read. */
static int
supervise_has_ended (struct supervisor *supervisor, struct error *err)
{
  job_status_release (supervisor->status);
  if (session_status (supervisor->session, supervisor->status, err) != 0)
    return -1;
  if (!job_state_is_terminal (supervisor->status->state))
    return 0;
  return supervise_read_events (supervisor, err) == 0 ? 1 : -1;
}

/* Shards of a job with a pilot run when they are let go. */
static int
supervise_pilot (struct supervisor *supervisor, struct error *err)
{
  int passed =
      pilot_tend (supervisor->pilot, supervisor->session->bus, supervisor->counters->fold, err);
  if (passed <= 0 || supervisor->options->quiet)
    return passed < 0 ? -1 : 0;
  auto_strlist struct strlist lines = { 0 };
  const char *why = NULL;
  int64_t slots = supervisor->options->slots;
  pilot_tell (supervisor->pilot, supervisor->counters, slots > 0 ? slots : cpus_usable (&why),
              &lines);
  for (size_t i = 0; i < lines.count; i++)
    progress_note (supervisor->progress, lines.items[i]);
  return 0;
}

/* ---- stopping --------------------------------------------------------------------------- */

static void
supervisor_signal (struct supervisor *supervisor, enum service_name service, int signal)
{
  supervisor->services.service[service].wanted = false;
  services_signal (&supervisor->services, service, signal);
}

static void
stop (struct supervisor *supervisor, enum stopping stopping)
{
  if (stopping <= supervisor->stopping)
    return;
  supervisor->stopping = stopping;
  bool quiet = supervisor->options->quiet;
  supervisor_signal (supervisor, SERVICE_PRODUCER, SIGTERM);
  switch (stopping)
    {
    case STOP_DRAIN:
      {
        supervisor_signal (supervisor, SERVICE_WORKER, SIGTERM);
        auto_free char *shards =
            words_plural (supervisor->counters->counts.running, "running shard");
        auto_free char *note =
            xasprintf ("shoal: waiting for %s to finish; press Ctrl-C again to stop them", shards);
        if (!quiet)
          progress_note (supervisor->progress, note);
        break;
      }
    case STOP_CONTAINERS:
      supervisor_signal (supervisor, SERVICE_WORKER, SIGQUIT);
      if (supervisor->merge_only)
        supervisor_signal (supervisor, SERVICE_MERGER, SIGTERM);
      supervisor->until = clock_boot_ms () + PATIENCE_MS;
      if (!quiet)
        progress_note (supervisor->progress, "shoal: stopping the containers");
      break;
    case STOP_KILL:
    case STOP_NOT:
      supervisor->until = clock_boot_ms ();
      break;
    }
}

static void
read_signals (struct supervisor *supervisor)
{
  struct signalfd_siginfo info;
  while (read (supervisor->signal_fd, &info, sizeof info) == (ssize_t) sizeof info)
    {
      enum stopping now = supervisor->stopping;
      if (info.ssi_signo == SIGINT)
        stop (supervisor, supervisor->merge_only && now == STOP_NOT ? STOP_CONTAINERS
                          : now < STOP_KILL                         ? now + 1
                                                                    : STOP_KILL);
      else if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGHUP)
        stop (supervisor, now < STOP_CONTAINERS ? STOP_CONTAINERS : STOP_KILL);
    }
}

/* After the worker drained: whether the merger has all it needs to end the job. */
static bool
can_still_end (const struct supervisor *supervisor)
{
  const struct fold *fold = supervisor->counters->fold;
  const struct shard_record *reduce = fold_reduce (fold);
  if (supervisor->stopping >= STOP_KILL || !fold_settled (fold, false))
    return false;
  return supervisor->session->job.reduce_image == NULL || fold_cancelled (fold)
         || (reduce != NULL && (reduce->state == SHARD_SUCCEEDED || reduce->state == SHARD_FAILED));
}

/* ---- the services -------------------------------------------------------------------------- */

static void
pass_on_lines (struct supervisor *supervisor)
{
  for (char *line = services_line (&supervisor->services); line != NULL;
       line = services_line (&supervisor->services))
    {
      progress_note (supervisor->progress, line);
      free (line);
    }
}

static const char *
describe_exit (int status, char text[static 64])
{
  if (WIFSIGNALED (status))
    (void) snprintf (text, 64, "was killed by signal %d", WTERMSIG (status));
  else
    (void) snprintf (text, 64, "exited with %d", WEXITSTATUS (status));
  return text;
}

/* Decides about a service that has ended by itself. */
static int
supervise_ended_service (struct supervisor *supervisor, enum service_name name, bool job_ended,
                         struct error *err)
{
  static const char *const names[SERVICES] = { "producer", "worker", "merger" };
  struct service *service = &supervisor->services.service[name];
  bool well = WIFEXITED (service->status) && WEXITSTATUS (service->status) == 0;
  if (!service->wanted)
    return 0;
  if (well && (job_ended || name == SERVICE_PRODUCER || supervisor->merge_only))
    {
      service->wanted = false;
      return 0;
    }
  char text[64];
  auto_free char *note = xasprintf ("shoal: the %s %s; restarting it", names[name],
                                    describe_exit (service->status, text));
  progress_note (supervisor->progress, note);
  return services_crashed (&supervisor->services, name, err);
}

static int
reap (struct supervisor *supervisor, struct error *err)
{
  for (int name = services_reap (&supervisor->services); name >= 0;
       name = services_reap (&supervisor->services))
    {
      pass_on_lines (supervisor);
      int ended = supervise_has_ended (supervisor, err);
      if (ended < 0
          || supervise_ended_service (supervisor, (enum service_name) name, ended == 1, err) != 0)
        return -1;
    }
  return 0;
}

static void
choose_services (struct supervisor *supervisor)
{
  const struct counters *counters = supervisor->counters;
  struct service *service = supervisor->services.service;
  bool planned = fold_planned (counters->fold) || fold_failure (counters->fold, NULL) != NULL;
  service[SERVICE_PRODUCER].wanted = !supervisor->merge_only && !planned;
  service[SERVICE_WORKER].wanted = !supervisor->merge_only;
  service[SERVICE_MERGER].wanted = true;
}

/* ---- the loop --------------------------------------------------------------------------- */

static bool
supervise_is_wanted (const struct supervisor *supervisor)
{
  for (int name = 0; name < SERVICES; name++)
    if (supervisor->services.service[name].wanted)
      return true;
  return false;
}

/* Sees to it that what ought to end does. */
static void
supervise_signal (struct supervisor *supervisor, bool ended)
{
  const struct service *service = supervisor->services.service;
  if (supervisor->stopping != STOP_NOT && !supervisor->merge_only
      && service[SERVICE_WORKER].pid == 0 && service[SERVICE_PRODUCER].pid == 0
      && service[SERVICE_MERGER].wanted && !ended && !can_still_end (supervisor))
    {
      supervisor_signal (supervisor, SERVICE_MERGER, SIGTERM);
      supervisor->until = clock_boot_ms () + PATIENCE_MS;
    }
  if (ended && supervisor->until == 0)
    supervisor->until = clock_boot_ms () + PATIENCE_MS;
  if (supervisor->until == 0 || clock_boot_ms () < supervisor->until)
    return;
  for (int name = 0; name < SERVICES; name++)
    supervisor_signal (supervisor, (enum service_name) name, SIGKILL);
}

static void
supervise_wait_for_news (struct supervisor *supervisor)
{
  struct pollfd fds[] = { { .fd = supervisor->signal_fd, .events = POLLIN },
                          { .fd = supervisor->services.pipe_read, .events = POLLIN } };
  (void) bus_poll (supervisor->session->bus, fds, 2, TICK_MS);
}

/* 1 when there is no more to do, 0, or -1. */
static int
supervise_step (struct supervisor *supervisor, struct error *err)
{
  read_signals (supervisor);
  pass_on_lines (supervisor);
  if (supervise_read_events (supervisor, err) != 0 || supervise_pilot (supervisor, err) != 0
      || reap (supervisor, err) != 0)
    return -1;
  int ended = supervise_has_ended (supervisor, err);
  if (ended < 0)
    return -1;
  supervise_signal (supervisor, ended == 1 && !supervisor->merge_only);
  if (!supervise_is_wanted (supervisor) && !services_running (&supervisor->services))
    return 1;
  if (ended == 0 || supervisor->merge_only)
    {
      if (services_start (&supervisor->services, err) != 0)
        return -1;
    }
  else if (!services_running (&supervisor->services))
    return 1;
  counters_coming (supervisor->counters, services_coming (&supervisor->services), clock_wall_ms ());
  progress_tick (supervisor->progress, supervisor->counters);
  supervise_wait_for_news (supervisor);
  return 0;
}

static int
loop (struct supervisor *supervisor, struct error *err)
{
  int result = 0;
  while (result == 0)
    result = supervise_step (supervisor, err);
  if (result < 0)
    return -1;
  int ended = supervise_has_ended (supervisor, err);
  if (ended < 0)
    return -1;
  bool interrupted = supervisor->stopping != STOP_NOT && (ended == 0 || supervisor->merge_only);
  return interrupted ? SUPERVISE_INTERRUPTED : SUPERVISE_ENDED;
}

static int
supervise_prepare (struct supervisor *supervisor, struct error *err)
{
  const struct session *session = supervisor->session;
  const struct run_options *options = supervisor->options;
  supervisor->events = bus_follow (session->bus, NULL, session->job.id, err);
  if (supervisor->events == NULL || supervise_read_events (supervisor, err) != 0)
    return -1;
  supervisor->caught_up = true;
  if (bus_forget_losses (session->bus, session->job.id, err) != 0)
    return -1;
  counters_restart_clock (supervisor->counters);
  if (options->joblog != NULL)
    {
      supervisor->joblog = joblog_open (options->joblog, &session->job, err);
      if (supervisor->joblog == NULL)
        return -1;
    }
  choose_services (supervisor);
  return 0;
}

int
supervise_job (struct session *session, const struct run_options *options, bool merge_only,
               struct counters *counters, struct job_status *status, struct error *err)
{
  /* What the services log: a person is told by us what failed and why. */
  (void) setenv ("SHOAL_LOG", options->verbose ? "info" : "error", 0);
  sigset_t ours;
  sigset_t before;
  (void) sigemptyset (&ours);
  static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGCHLD };
  for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
    if (!signal_is_ignored (signals[i]))
      (void) sigaddset (&ours, signals[i]);
  (void) sigprocmask (SIG_BLOCK, &ours, &before);

  counters_init (counters, &session->job);
  struct supervisor supervisor = {
    .session = session,
    .options = options,
    .merge_only = merge_only,
    .counters = counters,
    .status = status,
    .progress = progress_new (
        options->quiet && options->progress != PROGRESS_JSON ? PROGRESS_NONE : options->progress),
    .pilot = pilot_new (&session->job),
  };
  supervisor.signal_fd = signalfd (-1, &ours, SFD_NONBLOCK | SFD_CLOEXEC);
  int result = supervisor.signal_fd < 0 ? error_errno (err, errno, "signalfd") : 0;
  if (services_init (&supervisor.services, session, options, err) != 0)
    result = -1;
  if (result == 0)
    result = supervise_prepare (&supervisor, err);
  if (result == 0)
    result = loop (&supervisor, err);
  pass_on_lines (&supervisor);
  progress_finish (supervisor.progress, counters, status);
  services_release (&supervisor.services);
  if (!merge_only)
    worker_sweep ();
  follower_close (supervisor.events);
  joblog_close (supervisor.joblog);
  pilot_free (supervisor.pilot);
  progress_free (supervisor.progress);
  auto_fd_ (&supervisor.signal_fd);
  (void) sigprocmask (SIG_SETMASK, &before, NULL);
  return result;
}

/* ---- telling ---------------------------------------------------------------------------- */

/* The job couldn't be planned: an error of ours. What was made for it goes, unless something
 * ran. */
static int
supervise_refuse (struct session *session, const struct counters *counters,
                  const struct job_status *status, struct error *err)
{
  bool user =
      status->class_name == NULL || strcmp (status->class_name, error_class_name (ERROR_USER)) == 0;
  (void) error_set (err, user ? ERROR_USER : ERROR_TRANSIENT, "%s",
                    status->reason != NULL ? status->reason : "planning failed");
  if (!counters->ran && result_state (session->location) == RESULT_PARTIAL)
    (void) session_remove (session, NULL);
  return -1;
}

int
supervise_and_report (struct session *session, const struct run_options *options, bool merge_only,
                      struct error *err)
{
  auto_counters struct counters counters = { 0 };
  auto_job_status struct job_status status = { 0 };
  if (!merge_only)
    job_keep_images (&session->job, options->images, session->folder_fd);
  int end = supervise_job (session, options, merge_only, &counters, &status, err);
  if (end < 0)
    return error_wrap (err, "%s (`shoal resume` continues)", session->location);
  if (end == SUPERVISE_INTERRUPTED)
    {
      auto_free char *location = text_word (session->location);
      if (!options->quiet)
        (void) fprintf (stderr, "shoal: interrupted; continue with: shoal resume %s\n", location);
      return EXIT_INTERRUPTED;
    }
  if (status.class_name != NULL)
    return supervise_refuse (session, &counters, &status, err);
  if (options->packs)
    pack_attempts_of (session, &counters, &status);
  return summary_tell (session, &counters, &status, options->quiet);
}
