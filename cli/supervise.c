#include "cli/supervise.h"

#include "cli/command.h"
#include "cli/joblog.h"
#include "cli/parts.h"
#include "cli/progress.h"
#include "cli/summary.h"
#include "cli/words.h"
#include "common/clock.h"
#include "common/memory.h"
#include "common/text.h"
#include "result/result.h"
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
  PATIENCE_MS = 30000, /* for a part that was told to stop, or whose job has ended */
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
  struct tally *tally;
  struct job_status *status;
  struct progress *progress;
  struct joblog *joblog;
  struct follower *events;
  struct parts parts;
  int signal_fd;
  enum stopping stopping;
  int64_t until;  /* boot ms: the parts are killed then; 0: they aren't told to end */
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
read_events (struct supervisor *supervisor, struct error *err)
{
  for (;;)
    {
      auto_event struct event event = { 0 };
      int got = follower_next (supervisor->events, &event, err);
      if (got <= 0)
        return got;
      tally_apply (supervisor->tally, &event);
      log_attempt (supervisor, &event);
      if (supervisor->caught_up)
        progress_event (supervisor->progress, supervisor->tally, &event);
    }
}

/* Whether the job has ended: 1, 0 or -1. Events that came before its end are read. */
static int
has_ended (struct supervisor *supervisor, struct error *err)
{
  job_status_release (supervisor->status);
  if (session_status (supervisor->session, supervisor->status, err) != 0)
    return -1;
  if (!job_state_is_terminal (supervisor->status->state))
    return 0;
  return read_events (supervisor, err) == 0 ? 1 : -1;
}

/* ---- stopping --------------------------------------------------------------------------- */

static void
tell_to_end (struct supervisor *supervisor, enum part_name part, int signal)
{
  supervisor->parts.part[part].wanted = false;
  parts_signal (&supervisor->parts, part, signal);
}

static void
stop (struct supervisor *supervisor, enum stopping stopping)
{
  if (stopping <= supervisor->stopping)
    return;
  supervisor->stopping = stopping;
  bool quiet = supervisor->options->quiet;
  tell_to_end (supervisor, PART_PRODUCER, SIGTERM);
  switch (stopping)
    {
    case STOP_DRAIN:
      {
        tell_to_end (supervisor, PART_WORKER, SIGTERM);
        auto_free char *shards = words_plural (supervisor->tally->counts.running, "running shard");
        auto_free char *note =
            xasprintf ("shoal: waiting for %s to finish; press Ctrl-C again to stop them", shards);
        if (!quiet)
          progress_note (supervisor->progress, note);
        break;
      }
    case STOP_CONTAINERS:
      tell_to_end (supervisor, PART_WORKER, SIGQUIT);
      if (supervisor->merge_only)
        tell_to_end (supervisor, PART_MERGER, SIGTERM);
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
  const struct fold *fold = supervisor->tally->fold;
  const struct shard_record *reduce = fold_reduce (fold);
  if (supervisor->stopping >= STOP_KILL || !fold_settled (fold, false))
    return false;
  return supervisor->session->job.reduce_image == NULL || fold_cancelled (fold)
         || (reduce != NULL && (reduce->state == SHARD_SUCCEEDED || reduce->state == SHARD_FAILED));
}

/* ---- the parts -------------------------------------------------------------------------- */

static void
pass_on_lines (struct supervisor *supervisor)
{
  for (char *line = parts_line (&supervisor->parts); line != NULL;
       line = parts_line (&supervisor->parts))
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

/* Decides about a part that has ended by itself. */
static int
judge (struct supervisor *supervisor, enum part_name name, bool job_ended, struct error *err)
{
  static const char *const names[PARTS] = { "producer", "worker", "merger" };
  struct part *part = &supervisor->parts.part[name];
  bool well = WIFEXITED (part->status) && WEXITSTATUS (part->status) == 0;
  if (!part->wanted)
    return 0;
  if (well && (job_ended || name == PART_PRODUCER || supervisor->merge_only))
    {
      part->wanted = false;
      return 0;
    }
  char text[64];
  auto_free char *note = xasprintf ("shoal: the %s %s; restarting it", names[name],
                                    describe_exit (part->status, text));
  progress_note (supervisor->progress, note);
  return parts_crashed (&supervisor->parts, name, err);
}

static int
reap (struct supervisor *supervisor, struct error *err)
{
  for (int name = parts_reap (&supervisor->parts); name >= 0;
       name = parts_reap (&supervisor->parts))
    {
      pass_on_lines (supervisor);
      int ended = has_ended (supervisor, err);
      if (ended < 0 || judge (supervisor, (enum part_name) name, ended == 1, err) != 0)
        return -1;
    }
  return 0;
}

static void
choose_parts (struct supervisor *supervisor)
{
  const struct tally *tally = supervisor->tally;
  struct part *part = supervisor->parts.part;
  bool planned = fold_planned (tally->fold) || fold_failure (tally->fold, NULL) != NULL;
  part[PART_PRODUCER].wanted = !supervisor->merge_only && !planned;
  part[PART_WORKER].wanted = !supervisor->merge_only;
  part[PART_MERGER].wanted = true;
}

/* ---- the loop --------------------------------------------------------------------------- */

static bool
is_wanted (const struct supervisor *supervisor)
{
  for (int name = 0; name < PARTS; name++)
    if (supervisor->parts.part[name].wanted)
      return true;
  return false;
}

/* Sees to it that what ought to end does. */
static void
push (struct supervisor *supervisor, bool ended)
{
  const struct part *part = supervisor->parts.part;
  if (supervisor->stopping != STOP_NOT && !supervisor->merge_only && part[PART_WORKER].pid == 0
      && part[PART_PRODUCER].pid == 0 && part[PART_MERGER].wanted && !ended
      && !can_still_end (supervisor))
    {
      tell_to_end (supervisor, PART_MERGER, SIGTERM);
      supervisor->until = clock_boot_ms () + PATIENCE_MS;
    }
  if (ended && supervisor->until == 0)
    supervisor->until = clock_boot_ms () + PATIENCE_MS;
  if (supervisor->until == 0 || clock_boot_ms () < supervisor->until)
    return;
  for (int name = 0; name < PARTS; name++)
    tell_to_end (supervisor, (enum part_name) name, SIGKILL);
}

static void
wait_for_news (struct supervisor *supervisor)
{
  struct pollfd fds[] = { { .fd = supervisor->signal_fd, .events = POLLIN },
                          { .fd = supervisor->parts.pipe_read, .events = POLLIN } };
  (void) bus_poll (supervisor->session->bus, fds, 2, TICK_MS);
}

/* 1 when there is no more to do, 0, or -1. */
static int
step (struct supervisor *supervisor, struct error *err)
{
  read_signals (supervisor);
  pass_on_lines (supervisor);
  if (read_events (supervisor, err) != 0 || reap (supervisor, err) != 0)
    return -1;
  int ended = has_ended (supervisor, err);
  if (ended < 0)
    return -1;
  push (supervisor, ended == 1 && !supervisor->merge_only);
  if (!is_wanted (supervisor) && !parts_running (&supervisor->parts))
    return 1;
  if (ended == 0 || supervisor->merge_only)
    {
      if (parts_start (&supervisor->parts, err) != 0)
        return -1;
    }
  else if (!parts_running (&supervisor->parts))
    return 1;
  tally_coming (supervisor->tally, parts_coming (&supervisor->parts), clock_wall_ms ());
  progress_tick (supervisor->progress, supervisor->tally);
  wait_for_news (supervisor);
  return 0;
}

static int
loop (struct supervisor *supervisor, struct error *err)
{
  int result = 0;
  while (result == 0)
    result = step (supervisor, err);
  if (result < 0)
    return -1;
  int ended = has_ended (supervisor, err);
  if (ended < 0)
    return -1;
  bool interrupted = supervisor->stopping != STOP_NOT && (ended == 0 || supervisor->merge_only);
  return interrupted ? SUPERVISE_INTERRUPTED : SUPERVISE_ENDED;
}

static int
prepare (struct supervisor *supervisor, struct error *err)
{
  const struct session *session = supervisor->session;
  const struct run_options *options = supervisor->options;
  supervisor->events = bus_follow (session->bus, NULL, session->job.id, err);
  if (supervisor->events == NULL || read_events (supervisor, err) != 0)
    return -1;
  supervisor->caught_up = true;
  tally_restart_clock (supervisor->tally);
  if (options->joblog != NULL)
    {
      supervisor->joblog = joblog_open (options->joblog, &session->job, err);
      if (supervisor->joblog == NULL)
        return -1;
    }
  choose_parts (supervisor);
  return 0;
}

int
supervise_job (struct session *session, const struct run_options *options, bool merge_only,
               struct tally *tally, struct job_status *status, struct error *err)
{
  /* What the parts log: a person is told by us what failed and why. */
  (void) setenv ("SHOAL_LOG", options->verbose ? "info" : "error", 0);
  sigset_t ours;
  sigset_t before;
  (void) sigemptyset (&ours);
  static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGCHLD };
  for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
    (void) sigaddset (&ours, signals[i]);
  (void) sigprocmask (SIG_BLOCK, &ours, &before);

  tally_init (tally, &session->job);
  struct supervisor supervisor = {
    .session = session,
    .options = options,
    .merge_only = merge_only,
    .tally = tally,
    .status = status,
    .progress = progress_new (
        options->quiet && options->progress != PROGRESS_JSON ? PROGRESS_NONE : options->progress),
  };
  supervisor.signal_fd = signalfd (-1, &ours, SFD_NONBLOCK | SFD_CLOEXEC);
  int result = supervisor.signal_fd < 0 ? error_errno (err, errno, "signalfd") : 0;
  if (parts_init (&supervisor.parts, session, options, err) != 0)
    result = -1;
  if (result == 0)
    result = prepare (&supervisor, err);
  if (result == 0)
    result = loop (&supervisor, err);
  pass_on_lines (&supervisor);
  progress_finish (supervisor.progress, tally, status);
  parts_release (&supervisor.parts);
  if (!merge_only)
    worker_sweep ();
  follower_close (supervisor.events);
  joblog_close (supervisor.joblog);
  progress_free (supervisor.progress);
  auto_fd_ (&supervisor.signal_fd);
  (void) sigprocmask (SIG_SETMASK, &before, NULL);
  return result;
}

/* ---- telling ---------------------------------------------------------------------------- */

/* The job couldn't be planned: an error of ours. What was made for it goes, unless something
 * ran. */
static int
refuse (struct session *session, const struct tally *tally, const struct job_status *status,
        struct error *err)
{
  bool user =
      status->class_name == NULL || strcmp (status->class_name, error_class_name (ERROR_USER)) == 0;
  (void) error_set (err, user ? ERROR_USER : ERROR_TRANSIENT, "%s",
                    status->reason != NULL ? status->reason : "planning failed");
  if (!tally->ran && result_state (session->place) == RESULT_PARTIAL)
    (void) session_remove (session, NULL);
  return -1;
}

int
supervise_and_tell (struct session *session, const struct run_options *options, bool merge_only,
                    struct error *err)
{
  auto_tally struct tally tally = { 0 };
  auto_job_status struct job_status status = { 0 };
  int end = supervise_job (session, options, merge_only, &tally, &status, err);
  if (end < 0)
    return error_wrap (err, "%s (`shoal resume` continues)", session->place);
  if (end == SUPERVISE_INTERRUPTED)
    {
      auto_free char *place = text_word (session->place);
      if (!options->quiet)
        (void) fprintf (stderr, "shoal: interrupted; continue with: shoal resume %s\n", place);
      return EXIT_INTERRUPTED;
    }
  if (status.class_name != NULL)
    return refuse (session, &tally, &status, err);
  if (!options->quiet)
    summary_print (stderr, session, &tally, &status);
  return summary_exit_code (&tally, &status);
}
