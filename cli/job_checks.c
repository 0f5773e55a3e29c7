/* What is checked of a job before it is one. */
#include "cli/job_options.h"

#include "common/clock.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/path.h"
#include "common/result.h"
#include "common/result_store.h"
#include "common/storage/storage.h"
#include "producer/slicer.h"
#include "schemas/job_check.h"
#include "worker/image_store.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

/* ---- what wasn't said ------------------------------------------------------------------- */

/* "20261123-150607-4f2a": sorts by time. */
static char *
make_id (void)
{
  time_t now = (time_t) (clock_wall_ms () / 1000);
  struct tm utc = { 0 };
  (void) gmtime_r (&now, &utc);
  char text[32];
  (void) strftime (text, sizeof text, "%Y%m%d-%H%M%S", &utc);
  uint16_t random = 0;
  if (getrandom (&random, sizeof random, 0) < 0)
    random = (uint16_t) getpid ();
  return xasprintf ("%s-%04x", text, random);
}

/* A local SOURCE as an absolute path; one that isn't there stays as it is, for slicer_check to say so. */
static void
make_absolute (char **source)
{
  const char *path = strncmp (*source, "file://", 7) == 0 ? *source + 7 : *source;
  if (storage_is_elsewhere (*source))
    {
      char *url =
          strstr (path, "://") != NULL ? NULL : xasprintf ("ipfs://%s", path); /* a bare CID */
      if (url != NULL)
        {
          free (*source);
          *source = url;
        }
      return;
    }
  char *absolute = realpath (path, NULL);
  if (absolute == NULL)
    return;
  free (*source);
  *source = absolute;
}

/* ---- checks ----------------------------------------------------------------------------- */

/* An option of slicing without a pattern would do nothing: that is hardly what was meant. */
static int
check_sense (const struct job *job, const char **wrong, struct error *err)
{
  const char *pointless = job->glob != NULL        ? NULL
                          : job->batch_size != 1   ? "batch-size"
                          : job->batch_bytes != -1 ? "batch-bytes"
                          : job->shards != -1      ? "shards"
                          : job->exclude.count > 0 ? "exclude"
                          : job->base_path != NULL ? "base-path"
                                                   : NULL;
  *wrong = pointless;
  if (pointless != NULL)
    return error_set (err, ERROR_USER, "--%s does nothing without --glob", pointless);
  *wrong = "reduce-command";
  if (job->reduce_image == NULL && job->reduce_command.count > 0)
    return error_set (err, ERROR_USER, "--reduce-command does nothing without --reduce IMAGE");
  *wrong = NULL;
  return 0;
}

/* The result mustn't grow inside a folder that is just being listed. */
static int
check_place (const struct job *job, struct error *err)
{
  for (size_t i = 0; i < job->volume_count; i++)
    if (job->volumes[i].source[0] == '/'
        && path_below (job->results, job->volumes[i].source) != NULL)
      return error_set (
          err, ERROR_USER,
          "the result %s would lie inside the input %s: choose another place by --results",
          job->results, job->volumes[i].source);
  return 0;
}

/* The option that fills in FIELD of Job.avsc. */
static const char *
option_of (const char *field)
{
  static const char *const others[][2] = {
    { "base_path", "base-path" },
    { "batch_bytes", "batch-bytes" },
    { "batch_size", "batch-size" },
    { "collect_timeout_ms", "collect-timeout" },
    { "job_timeout_ms", "job-timeout" },
    { "log_limit", "log-limit" },
    { "max_failures", "max-failures" },
    { "max_output_bytes", "max-output-bytes" },
    { "max_output_files", "max-output-files" },
    { "max_failures_bp", "max-failures" },
    { "min_success", "min-success" },
    { "outputs", "output" },
    { "pids", "pids-limit" },
    { "stage_timeout_ms", "stage-timeout" },
    { "timeout_ms", "timeout" },
    { "volumes", "volume" },
  };
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
    if (strcmp (others[i][0], field) == 0)
      return others[i][1];
  return field;
}

/* The result's place as it was asked for; what names no place stands below `args->below`. The caller frees. */
static char *
wanted_place (const struct job_args *args)
{
  const char *place = args->results != NULL ? args->results : args->job.id;
  if (args->below == NULL || place[0] == '/' || place[0] == '\0' || result_is_remote (place))
    return xstrdup (place);
  return xasprintf ("%s/%s", args->below, place);
}

int
job_args_finish (struct job_args *args, struct error *err)
{
  struct job *job = &args->job;
  const char *field = NULL;
  if (!args->has_id)
    job->id = make_id ();
  job->submitted = clock_wall_ms ();
  auto_free char *place = wanted_place (args);
  job->results = result_place (place, err);
  if (job->results == NULL)
    {
      args->wrong = "results";
      return error_wrap (err, "--results");
    }
  args->by_path = xcalloc (job->volume_count + 1, sizeof *args->by_path);
  for (size_t i = 0; i < job->volume_count; i++)
    {
      const char *source = job->volumes[i].source;
      args->by_path[i] = strncmp (source, "file://", 7) != 0 && !storage_is_elsewhere (source);
      make_absolute (&job->volumes[i].source);
    }
  if (check_sense (job, &args->wrong, err) != 0)
    return -1;
  if (slicer_check (job, &field, err) != 0 || job_check (job, &field, err) != 0)
    {
      args->wrong = option_of (field);
      return -1;
    }
  args->wrong = "results";
  return check_place (job, err);
}

int
job_check_images (const struct job *job, const char *images, struct error *err)
{
  if (strcmp (job->runtime, "oci") != 0)
    return 0;
  auto_free char *store = images != NULL ? xstrdup (images) : image_store_default ();
  const char *const names[] = { job->image, job->reduce_image };
  for (size_t i = 0; i < 2; i++)
    {
      auto_image struct image image = { 0 };
      if (names[i] != NULL && image_store_find (store, names[i], &image, err) != 0)
        return -1;
    }
  return 0;
}
