/* shoal get: a result's merged tree, copied to this machine and checked. */
#include "cli/get.h"
#include "cli/commands.h"
#include "cli/fetch.h"
#include "cli/session.h"
#include "cli/storage_options.h"
#include "cli/words.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/text.h"
#include "common/units.h"
#include "result/result.h"
#include "result/result_store.h"
#include "schemas/messages.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum
{
  NAMED_MAX = 8, /* shards that are named, at most */
};

static int
get_check_ended (const struct session *session, struct error *err)
{
  auto_job_status struct job_status status = { 0 };
  if (session_status (session, &status, err) != 0)
    return -1;
  if (!job_state_is_terminal (status.state))
    return error_set (err, ERROR_USER, "job %s has not ended yet: it is %s", session->job.id,
                      job_state_name (status.state));
  if (session->folder_fd < 0 && !result_is_remote (session->location))
    return error_set (err, ERROR_USER,
                      "the result of job %s is at %s, which is not accessible from this machine",
                      session->job.id, session->location);
  return 0;
}

/* Where the result NAME stands: a folder, or the URL it is kept at. A URL needs no bus: the
 * manifest says that it is complete. The caller frees. */
static char *
get_result_place (const char *name, const struct bus_args *bus, struct error *err)
{
  if (result_is_remote (name))
    return result_location (name, err);
  auto_session struct session session = SESSION_READER;
  if (session_open (&session, name, bus, err) == 0)
    return get_check_ended (&session, err) == 0 ? result_shown (session.location, err) : NULL;
  /* Another user's, or a fleet's whose bus isn't named: what is complete needs no bus to say so. */
  auto_free char *location = result_location (name, NULL);
  auto_free char *manifest = location == NULL ? NULL : xasprintf ("%s/manifest.json", location);
  if (manifest == NULL || result_state (location) != RESULT_COMPLETE
      || !fs_exists (AT_FDCWD, manifest))
    return NULL;
  error_clear (err);
  return take (&location);
}

static void
get_print_copied (const char *dir, const struct fetch_counts *counts)
{
  auto_free char *files = words_plural (counts->files, "file");
  char bytes[UNITS_TEXT_SIZE];
  auto_free char *shown = text_shown (dir);
  (void) fprintf (stderr, "shoal: %s: %s, %s", shown, files,
                  units_format_size (counts->bytes, bytes));
  if (counts->kept > 0)
    (void) fprintf (stderr, "; %lld of them were already there", (long long) counts->kept);
  (void) fputc ('\n', stderr);
}

/* What a copy of a result that isn't whole lacks, and the job's exit code. */
static int
get_report_missing (const char *name, const struct fetch_counts *counts)
{
  auto_free char *shown = text_shown (name);
  if (counts->missing > 0)
    (void) fprintf (stderr, "shoal: %s: the outputs of %lld shard%s are missing: %s%s\n", shown,
                    (long long) counts->missing, counts->missing == 1 ? "" : "s", counts->named,
                    counts->missing > NAMED_MAX ? " …" : "");
  if (counts->state == JOB_CONFLICT)
    (void) fprintf (stderr, "shoal: %s: no outputs: two shards wrote one path\n", shown);
  if (counts->state == JOB_FAILED || counts->state == JOB_CANCELLED)
    return EXIT_JOB_FAILED;
  return counts->state == JOB_CONFLICT ? EXIT_CONFLICT : EXIT_DONE;
}

int
get_copy (const char *name, const struct bus_args *bus, const char *dir, bool quiet,
          struct error *err)
{
  struct fetch_counts counts = { 0 };
  auto_free char *location = get_result_place (name, bus, err);
  if (location == NULL)
    return -1;
  auto_storage struct storage *from = storage_open (location, err);
  if (from == NULL || fetch_result (from, dir, &counts, err) != 0)
    return error_wrap (err, "get %s", name);
  if (!quiet)
    get_print_copied (dir, &counts);
  return get_report_missing (name, &counts);
}
static int
get_run (int argc, char **argv, struct error *err)
{
  auto_bus_args struct bus_args bus;
  bus_args_init (&bus);
  const struct option_set sets[] = { { bus_options, &bus }, { storage_options, NULL } };
  int first = options_operands (sets, 2, argc, argv, 2, 2, command_get.synopsis, err);
  if (first < 0)
    return first;
  if (bus_args_finish (&bus, err) != 0)
    return -1;
  return get_copy (argv[first], &bus, argv[first + 1], false, err);
}

const struct command command_get = {
  .name = "get",
  .synopsis = "get [options] RESULT|JOB|URL DIR",
  .summary = "copy a result's outputs to a local directory and verify them",
  .help = "Files are verified against the manifest. Run the same command again to continue an\n"
          "interrupted copy.\n"
          "\n"
          "  shoal get --bus kafka://broker:9092 resize-2019 ./resized\n"
          "  shoal get s3://out/run1 ./run1\n",
  .options = { bus_options, storage_options },
  .run = get_run,
};
