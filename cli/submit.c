/* shoal submit: a job for a fleet. */
#include "cli/submit.h"
#include "cli/bus_options.h"
#include "cli/commands.h"
#include "cli/fetch.h"
#include "cli/get.h"
#include "cli/job_options.h"
#include "cli/restore.h"
#include "cli/storage_options.h"
#include "cli/upload.h"
#include "cli/watch.h"
#include "common/memory.h"
#include "common/text.h"
#include "schemas/job_difference.h"

#include <stdio.h>
#include <string.h>

static int
set_upload (void *context, const char *value, struct error *err)
{
  (void) value;
  (void) err;
  ((struct job_args *) context)->upload = true;
  return 0;
}

static int
set_fetch (void *context, const char *value, struct error *err)
{
  ((struct job_args *) context)->fetch = value;
  return fetch_check (value, err);
}

const struct option_spec fleet_options[] = {
  { 0, "upload", NULL, NULL, "on a fleet: upload local inputs next to the result", GROUP_RUN, true,
    set_upload },
  { 0, "fetch", NULL, "DIR", "on a fleet: wait for the job and copy its result to DIR", GROUP_RUN,
    true, set_fetch },
  { 0 },
};

int
submit_fetch (const struct job_args *args, const struct bus_args *bus, const char *id, int code,
              bool quiet, struct error *err)
{
  if (args->fetch == NULL || code < 0 || code == EXIT_INTERRUPTED)
    return code;
  if (code != EXIT_DONE)
    {
      auto_free char *job = text_word (id);
      auto_free char *dir = text_word (args->fetch);
      if (!quiet)
        (void) fprintf (stderr,
                        "shoal: the job did not succeed, so nothing was copied; `shoal get %s %s` "
                        "copies what there is\n",
                        job, dir);
      return code;
    }
  struct bus_args fleet = *bus;
  fleet.named = true; /* a result of the job's name that happens to be here isn't meant */
  int copied = get_copy (id, &fleet, args->fetch, quiet, err);
  return copied < 0 ? -1 : code;
}

int
job_args_submit (struct job_args *args, struct bus *bus, struct error *err)
{
  for (;;)
    {
      int added = bus_submit (bus, &args->job, err);
      if (added != 0 || args->has_id)
        return added;
      if (job_args_name (args, err) != 0)
        return -1;
    }
}

int
submit_job (struct session *session, struct job_args *args, const struct bus_args *bus, bool say,
            struct error *err)
{
  bool fleet = bus_args_is_fleet (bus);
  if (args->job.pilot >= 0)
    return error_set (err, ERROR_USER,
                      "--pilot is for `shoal run` on one machine: on a fleet, submit a job over "
                      "some of the inputs first (another --glob, --id and --results)");
  if (args->upload && !fleet)
    return error_set (err, ERROR_USER,
                      "--upload needs a fleet: the workers of %s run on this machine", bus->url);
  const struct bus_options options = bus_args_options (bus, "cli");
  session->fleet = true;
  session->bus = bus_open (bus->url, &options, err);
  if (session->bus == NULL)
    return -1;
  if (fleet && upload_inputs (args, say, err) != 0)
    return -1;
  int added = job_args_submit (args, session->bus, err);
  if (added < 0)
    return -1;
  if (added == BUS_UNREAD)
    {
      auto_free char *id = text_shown (args->job.id);
      (void) fprintf (stderr,
                      "shoal: job %s was taken, but can't be read yet: another client has an open "
                      "transaction on the topic jobs; it runs once that has ended\n",
                      id);
      job_copy (&session->job, &args->job);
      session->location = xstrdup (session->job.results);
      return BUS_UNREAD;
    }
  /* The first submission of an id is the job. */
  int found = bus_get_job (session->bus, args->job.id, &session->job, err);
  if (found <= 0)
    return found < 0 ? -1
                     : error_set (err, ERROR_TRANSIENT,
                                  "the job could not be submitted: the bus did not confirm it");
  const char *difference = job_difference (&session->job, &args->job);
  if (added == 0 && difference != NULL)
    return error_set (err, ERROR_USER,
                      "job %s already exists and differs in %s: choose another --id", args->job.id,
                      difference);
  session->location = xstrdup (session->job.results);
  return 0;
}

/* What waits for a job can't be done for one that nobody can read. */
int
submit_unread (const struct session *session, struct error *err)
{
  auto_free char *id = text_word (session->job.id);
  return error_set (err, ERROR_TRANSIENT, "`shoal watch %s` waits for the job later", id);
}

static int
submit_run (int argc, char **argv, struct error *err)
{
  auto_job_args struct job_args args;
  auto_bus_args struct bus_args bus;
  struct watch_args watch = { .progress = PROGRESS_AUTO };
  job_args_init (&args);
  bus_args_init (&bus);
  const struct option_set sets[] = { { job_options, &args },
                                     { bus_options, &bus },
                                     { wait_options, &watch },
                                     { storage_options, NULL },
                                     { fleet_options, &args } };
  int first = options_parse (sets, 5, argc, argv, err);
  if (first < 0)
    return first;
  if (job_args_operands (&args, argc - first, argv + first, command_submit.synopsis, err) != 0
      || job_args_finish (&args, err) != 0 || bus_args_need (&bus, err) != 0)
    return -1;
  auto_session struct session session = SESSION_INIT;
  int taken = submit_job (&session, &args, &bus, !watch.quiet, err);
  if (taken < 0)
    return -1;
  (void) puts (session.job.id);
  (void) fflush (stdout);
  if (!watch.wait && args.fetch == NULL)
    return EXIT_DONE;
  if (taken == BUS_UNREAD)
    return submit_unread (&session, err);
  if (restore_check_stands (&session, err) != 0)
    return -1;
  int code = watch_job (&session, watch.progress, watch.quiet, err);
  return submit_fetch (&args, &bus, session.job.id, code, watch.quiet, err);
}

const struct command command_submit = {
  .name = "submit",
  .synopsis = "submit [options] IMAGE [ARG…]",
  .summary = "submit a job to a fleet and print its id",
  .help =
      "The same --id twice is one job. All workers must see inputs and --results at these paths.\n"
      "\n"
      "  shoal submit --bus kafka://broker:9092 --id resize-2019 -v /data/photos:/in \\\n"
      "    -o results:/out --glob '*.jpg' --batch-size 1000 --results /data/resized \\\n"
      "    imagemagick -resize 100x100 -path /out '/in/*.jpg'\n",
  .options = { job_options, bus_options, wait_options, storage_options, fleet_options },
  .run = submit_run,
};
