/* shoal run: a job here and now, until its result stands. */
#include "cli/again.h"
#include "cli/changes.h"
#include "cli/commands.h"
#include "cli/docker.h"
#include "cli/job_options.h"
#include "cli/joblog.h"
#include "cli/pack_attempts.h"
#include "cli/probing.h"
#include "cli/restore.h"
#include "cli/run_options.h"
#include "cli/run_session.h"
#include "cli/steer.h"
#include "cli/storage_options.h"
#include "cli/submit.h"
#include "cli/summary.h"
#include "cli/supervise.h"
#include "cli/watch.h"
#include "common/memory.h"
#include "common/text.h"
#include "merger/verdict.h"
#include "result/result.h"
#include "result/result_store.h"
#include "schemas/job_difference.h"

#include <stdio.h>
#include <string.h>

/* ---- the result's folder ---------------------------------------------------------------- */

/* The job that is in the result already must be the one that is asked for. */
static int
run_compare_job (const struct session *session, const struct job_args *args, struct error *err)
{
  const char *difference = job_difference (&session->job, &args->job);
  if (difference == NULL && args->job.pilot >= 0 && args->job.pilot != session->job.pilot)
    difference = "--pilot";
  if (difference == NULL && args->has_id && strcmp (session->job.id, args->job.id) != 0)
    difference = "--id";
  if (difference == NULL)
    return 0;
  if (strcmp (difference, "--image-id") == 0 && session->job.image_id != NULL)
    return error_set (err, ERROR_USER,
                      "image \"%s\" differs from the one that started %s, %s: import that one "
                      "again, or choose another --results",
                      args->job.image, session->location, session->job.image_id);
  return error_set (err, ERROR_USER,
                    "%s holds the result of another job: %s differs; choose another --results, or "
                    "use the same options to continue that job",
                    session->location, difference);
}

static int
run_submit (struct session *session, const struct job *job, struct error *err)
{
  job_copy (&session->job, job);
  return bus_submit (session->bus, job, err) < 0 ? -1 : 0;
}

/* Nothing of the result is where it is kept: this machine's own folder for it goes as well. */
static int
forget (struct session *session, struct error *err)
{
  if (session_remove (session, err) != 0)
    return -1;
  session_release (session);
  return 0;
}

/* Opens the result for this job, makes it where it is absent. */
static int
run_open_result (struct session *session, const struct job_args *args, bool any_job,
                 struct error *err)
{
  const char *location = args->job.results;
  switch (result_state (location))
    {
    case RESULT_FOREIGN:
      return error_set (err, ERROR_USER,
                        "%s exists and is not a result of shoal: choose another --results",
                        location);
    case RESULT_ABSENT:
      if (result_create (location, NULL, err) != 0 && result_state (location) == RESULT_ABSENT)
        return -1;
      error_clear (err);
      break;
    case RESULT_PARTIAL:
    case RESULT_COMPLETE:
      break;
    }
  session->access = BUS_MAKES;
  if (session_open_location (session, location, err) != 0 || session_lock (session, err) != 0)
    return -1;
  if (session->job.id == NULL)
    return run_submit (session, &args->job, err);
  int left = restore_is_left (session, err);
  if (left != 0)
    return left < 0 ? -1 : any_job ? 0 : run_compare_job (session, args, err);
  return forget (session, err) != 0 ? -1 : run_open_result (session, args, any_job, err);
}

/* ---- the command ------------------------------------------------------------------------ */

static void
run_print_runtime (const struct session *session, const struct run_options *options)
{
  if (!options->quiet && strcmp (session->job.runtime, "process") == 0)
    (void) fputs ("shoal: --runtime process: the commands run without a container\n", stderr);
}

/* How the inputs differ from what the plan has of them; whether they do. */
static bool
find_changes (const struct session *session, const struct counters *counters,
              struct changes *changes)
{
  struct error why = ERROR_INIT;
  int64_t shards = fold_shards (counters->fold);
  if (shards < 0)
    return false;
  if (changes_find (session, shards, changes, &why) == 0)
    return changes_any (changes);
  auto_free char *reason = text_shown (why.message);
  (void) fprintf (stderr, "shoal: the inputs can't be compared with the plan: %s\n", reason);
  return why.class == ERROR_USER; /* a server that is away says nothing of inputs */
}

/* Begins the job anew where OPTIONS say so: 1, or 0 where there is nothing to begin. */
static int
begin_again (struct session *session, const struct job_args *args, const struct again_args *again,
             bool quiet, struct error *err)
{
  auto_changes struct changes changes = { 0 };
  auto_counters struct counters counters = { 0 };
  auto_job_status struct job_status status = { 0 };
  int64_t reused = 0;
  if (session_status (session, &status, err) != 0 || summary_read (session, &counters, err) != 0)
    return -1;
  if (again->update && pack_attempts_check (session, err) != 0)
    return -1;
  bool planned = fold_shards (counters.fold) >= 0;
  bool ended = verdict_is_done (status.state);
  bool waits = ended || !job_state_is_terminal (status.state);
  if (again->update && (!planned || (!find_changes (session, &counters, &changes) && waits)))
    return 0;
  if (again->update && !quiet)
    changes_print (stderr, &changes);
  if (again_begin (session, &args->job, again->update, &reused, err) != 0)
    return -1;
  if (again->update && !quiet)
    (void) fprintf (stderr,
                    reused == 1 ? "shoal: %lld shard is as it was and doesn't run again\n"
                                : "shoal: %lld shards are as they were and don't run again\n",
                    (long long) reused);
  return 1;
}

/* The result of this very job stands, or it ended without one. */
static int
run_report_ended (const struct session *session, const struct run_options *options,
                  const struct job_status *status, struct error *err)
{
  auto_changes struct changes changes = { 0 };
  auto_counters struct counters counters = { 0 };
  if (summary_read (session, &counters, err) != 0)
    return -1;
  bool changed = find_changes (session, &counters, &changes);
  bool said = !options->quiet || changed;
  if (said)
    {
      (void) fputs (changed ? "shoal: this job has ended, and its inputs have changed since:\n"
                            : "shoal: nothing to do, this job has already ended\n",
                    stderr);
      changes_print (stderr, &changes);
    }
  if (options->packs && !changed)
    pack_attempts_of (session, &counters, status);
  int code = summary_tell (session, &counters, status, !said);
  return changed && code == EXIT_DONE ? EXIT_STALE : code;
}

/* 1 when it has only to be merged, 0 or -1. */
static int
make_again (struct session *session, const struct run_options *options, struct job_status *status,
            struct error *err)
{
  int merges = restore_reopen (session, status, err);
  auto_free char *location = text_shown (session->location);
  if (merges >= 0 && !options->quiet)
    (void) fprintf (stderr, "shoal: the result is no longer at %s: %s\n", location,
                    merges == 1 ? "merging it again" : "running its missing shards again");
  return merges;
}

/* Who runs a job that was paused wants it to go on. */
static int
run_unpause (struct session *session, struct error *err)
{
  auto_settings struct settings *known = settings_read (session->bus, err);
  struct control wanted = STEER_NOTHING;
  wanted.paused = 0;
  if (known == NULL)
    return -1;
  return settings_of (known, &session->job).paused
             ? steer_publish (session->bus, &session->job, &wanted, err)
             : 0;
}

int
run_session (struct session *session, const struct run_options *options, struct error *err)
{
  auto_job_status struct job_status status = { 0 };
  if (session_status (session, &status, err) != 0)
    return -1;
  bool ended = job_state_is_terminal (status.state);
  int stands = ended ? restore_stands (session, &status, err) : 0;
  if (stands != 0)
    return stands < 0 ? -1 : run_report_ended (session, options, &status, err);
  int merges = ended ? make_again (session, options, &status, err) : run_unpause (session, err);
  if (merges < 0)
    return -1;
  run_print_runtime (session, options);
  return supervise_and_report (session, options, merges == 1, err);
}

static int
run_on_fleet (struct job_args *args, struct bus_args *bus, const struct run_options *options,
              struct error *err)
{
  auto_session struct session session = SESSION_INIT;
  if (!bus_args_is_fleet (bus))
    return error_set (err, ERROR_USER,
                      "%s: run creates its own bus; --bus names the Kafka bus of a fleet",
                      bus->url);
  if (bus_args_finish (bus, err) != 0)
    return -1;
  int taken = submit_job (&session, args, bus, !options->quiet, err);
  if (taken != 0)
    return taken < 0 ? -1 : submit_unread (&session, err);
  if (restore_check_stands (&session, err) != 0)
    return -1;
  int code = watch_job (&session, options->progress, options->quiet, err);
  return submit_fetch (args, bus, session.job.id, code, options->quiet, err);
}

static int
run_check_packs (const struct run_options *options, const struct job *job, bool fleet,
                 struct error *err)
{
  if (!options->packs)
    return 0;
  if (!fleet && !result_is_remote (job->results))
    return pack_attempts_check_job (job, err);
  return error_set (err, ERROR_USER,
                    "--pack-attempts is for results in a folder of a run on this machine");
}

static int
run_parsed (int argc, char **argv, bool docker, struct error *err)
{
  auto_job_args struct job_args args;
  job_args_init (&args);
  auto_bus_args struct bus_args bus;
  bus_args_init (&bus);
  bus.url = NULL; /* SHOAL_BUS doesn't turn a run on this machine into one elsewhere */
  struct run_options options = { 0 };
  struct again_args again = { 0 };
  struct docker_args docker_args = { 0 };
  const struct option_set sets[] = {
    { job_options, &args },    { run_options, &options },       { supervise_options, &options },
    { bus_options, &bus },     { storage_options, NULL },       { fleet_options, &args },
    { again_options, &again }, { docker_options, &docker_args }
  };
  int first = options_parse (sets, docker ? 8 : 7, argc, argv, err);
  if (first < 0)
    return first;
  if (!options.quiet)
    docker_print_notes (&docker_args);
  if (job_args_operands (&args, argc - first, argv + first, command_run.synopsis, err) != 0
      || job_args_finish (&args, err) != 0
      || run_check_packs (&options, &args.job, bus.url != NULL, err) != 0)
    return -1;
  if (bus.url != NULL && (again.update || again.again))
    return error_set (err, ERROR_USER, "--%s is for a run on this machine, without --bus",
                      again.update ? "update" : "again");
  if (again.update && args.job.pilot >= 0)
    return error_set (err, ERROR_USER,
                      "--pilot is for a job that begins, --update for one that has run: leave one "
                      "of them out");
  if (bus.url != NULL)
    return run_on_fleet (&args, &bus, &options, err);
  if (args.job.priority != 0)
    return error_set (err, ERROR_USER,
                      "--priority is for jobs of a fleet: a run on one machine has no other jobs "
                      "beside it");
  if (args.job.max_parallel >= 0)
    return error_set (err, ERROR_USER,
                      "--max-parallel is for jobs of a fleet: on one machine -j N runs at most N "
                      "shards at the same time");
  if (args.upload || args.fetch != NULL)
    return error_set (err, ERROR_USER, "--%s needs a fleet: name its bus with --bus",
                      args.upload ? "upload" : "fetch");
  if (job_pin_images (&args.job, options.images, err) != 0
      || probing_check_job (&args.job, &options, err) != 0)
    return -1;
  /* A job log that can't be opened is told before anything is made. */
  auto_joblog struct joblog *joblog =
      options.joblog == NULL ? NULL : joblog_open (options.joblog, &args.job, err);
  if (options.joblog != NULL && joblog == NULL)
    return -1;
  auto_session struct session session = SESSION_INIT;
  bool anew = again.update || again.again;
  if (anew && result_is_remote (args.job.results))
    return error_set (err, ERROR_USER,
                      "--update and --again are for results in a folder: choose another --results");
  anew = anew && result_state (args.job.results) != RESULT_ABSENT;
  if (run_open_result (&session, &args, again.again, err) != 0
      || (anew && begin_again (&session, &args, &again, options.quiet, err) < 0))
    return -1;
  return run_session (&session, &options, err);
}

static int
run_command_line (int argc, char **argv, struct error *err)
{
  return run_parsed (argc, argv, false, err);
}

int
run_docker (int argc, char **argv, struct error *err)
{
  return run_parsed (argc, argv, true, err);
}

const struct command command_run = {
  .name = "run",
  .synopsis = "run [options] IMAGE [ARG…]",
  .summary = "run a job on this machine and wait for the result",
  .help = "Run it again to continue after an interruption. With --bus, the job runs on a fleet.\n"
          "\n"
          "  shoal run -v ./photos:/in -o results:/out --glob '*.jpg' --batch-size 1000 \\\n"
          "    --results resized imagemagick -resize 100x100 -path /out '/in/*.jpg'\n",
  .options = { job_options, run_options, supervise_options, bus_options, storage_options,
               fleet_options, again_options },
  .run = run_command_line,
};
