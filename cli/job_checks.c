/* What is checked of a job before it is one. */
#include "cli/job_options.h"

#include "common/clock.h"
#include "common/memory.h"
#include "common/path.h"
#include "common/unique.h"
#include "producer/admit.h"
#include "result/result.h"
#include "result/result_store.h"
#include "schemas/job_check.h"
#include "schemas/job_paths.h"
#include "storage/storage.h"
#include "worker/image_config.h"
#include "worker/image_store.h"
#include "worker/image_use.h"
#include "worker/image_user.h"
#include "worker/oci_limits.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what wasn't said ------------------------------------------------------------------- */

/* SOURCE by the name that all machines have for it: a path of this machine's is made absolute, a
 * bare CID is a URL. FOREIGN: it was sent, so that it names nothing relative to where we happen to
 * be. */
static int
make_absolute (char **source, bool foreign, struct error *err)
{
  const char *path = strncmp (*source, "file://", 7) == 0 ? *source + 7 : *source;
  char *absolute = NULL;
  if (storage_is_elsewhere (*source))
    {
      if (strstr (path, "://") != NULL)
        return 0;
      absolute = xasprintf ("ipfs://%s", path);
    }
  else if (foreign)
    return 0;
  else
    absolute = realpath (path, NULL);
  if (absolute == NULL && path[0] != '/')
    return error_errno (err, errno, "%s", path);
  if (absolute == NULL) /* slicer_check says so */
    return 0;
  free (*source);
  *source = absolute;
  return 0;
}

/* ---- checks ----------------------------------------------------------------------------- */

/* The option that fills in FIELD of Job.avsc. */
static const char *
option_of (const struct job *job, const char *field)
{
  bool shared = job->volume_count > 0;
  for (size_t i = 0; i < job->volume_count; i++)
    shared = shared && job->volumes[i].shared;
  if (shared && strcmp (field, "volumes") == 0)
    return "volume-shared";
  static const char *const others[][2] = {
    { "base_path", "base-path" },
    { "batch_bytes", "batch-bytes" },
    { "batch_size", "batch-size" },
    { "cap_drop", "cap-drop" },
    { "collect_timeout_ms", "collect-timeout" },
    { "devices", "device" },
    { "groups", "group-add" },
    { "image_id", "image-id" },
    { "job_timeout_ms", "job-timeout" },
    { "log_limit", "log-limit" },
    { "max_failures", "max-failures" },
    { "max_failures_bp", "max-failures" },
    { "max_output_bytes", "max-output-bytes" },
    { "max_output_files", "max-output-files" },
    { "max_parallel", "max-parallel" },
    { "min_success", "min-success" },
    { "order", "order" },
    { "outputs", "output" },
    { "pids", "pids-limit" },
    { "reduce_command", "reduce-command" },
    { "reduce_image", "reduce" },
    { "shm_size", "shm-size" },
    { "stage_timeout_ms", "stage-timeout" },
    { "stop_signal", "stop-signal" },
    { "stop_timeout_ms", "stop-timeout" },
    { "timeout_ms", "timeout" },
    { "ulimits", "ulimit" },
    { "volumes", "volume" },
  };
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
    if (strcmp (others[i][0], field) == 0)
      return others[i][1];
  return field;
}

/* The result's place: below `args->below` where there is such a folder (or URL) and the job names
 * no place of its own. The caller frees. */
static char *
job_default_results (const struct job_args *args, struct error *err)
{
  const char *wanted = args->results != NULL ? args->results : args->job.id;
  if (args->below == NULL)
    return result_location (wanted, err);
  bool named = wanted[0] == '/' || wanted[0] == '\0' || result_is_remote (wanted);
  auto_free char *location = named ? xstrdup (wanted) : xasprintf ("%s/%s", args->below, wanted);
  if (!result_is_remote (location) && wanted[0] != '\0' && job_results_normal (&location, err) != 0)
    return NULL;
  auto_free char *found = result_location (location, err);
  if (found == NULL || named || path_below (found, args->below) != NULL)
    return take (&found);
  (void) error_set (err, ERROR_USER, "%s: points outside %s", wanted, args->below);
  return NULL;
}

int
job_args_name (struct job_args *args, struct error *err)
{
  free (args->job.id);
  free (args->job.results);
  args->job.id = unique_id ();
  args->job.results = job_default_results (args, err);
  return args->job.results == NULL ? -1 : 0;
}

static bool
job_checks_is_file (const char *source)
{
  struct stat status;
  return stat (source, &status) == 0 && S_ISREG (status.st_mode);
}

static int
find_sources (struct job_args *args, struct error *err)
{
  struct job *job = &args->job;
  args->by_path = xcalloc (job->volume_count + 1, sizeof *args->by_path);
  for (size_t i = 0; i < job->volume_count; i++)
    {
      const char *source = job->volumes[i].source;
      args->by_path[i] = strncmp (source, "file://", 7) != 0 && !storage_is_elsewhere (source);
      if (make_absolute (&job->volumes[i].source, args->below != NULL, err) != 0)
        return -1;
      /* A file can't be split: all shards see it, as all containers would in docker. */
      if (args->below == NULL && job->glob != NULL && job_checks_is_file (job->volumes[i].source))
        job->volumes[i].shared = true;
    }
  return 0;
}

static int
job_args_complete (struct job_args *args, const char **field, struct error *err)
{
  struct job *job = &args->job;
  *field = "id";
  job->submitted = clock_wall_ms ();
  if (args->has_id && job_check_id (job->id, err) != 0)
    return -1;
  *field = "results";
  if (!args->has_id)
    {
      if (job_args_name (args, err) != 0)
        return -1;
    }
  else if ((job->results = job_default_results (args, err)) == NULL)
    return -1;
  *field = "volumes";
  return find_sources (args, err) != 0 ? -1 : admit_job (args->policy, job, field, err);
}

int
job_args_finish (struct job_args *args, struct error *err)
{
  const char *field = NULL;
  if (job_args_complete (args, &field, err) == 0)
    return 0;
  args->wrong = option_of (&args->job, field);
  if (args->below != NULL)
    return -1;
  bool operand = strcmp (field, "image") == 0 || strcmp (field, "command") == 0;
  return error_wrap (err, "%s%s", operand ? "" : "--", args->wrong);
}

static int
pin_image (const char *store, const struct job *job, const char *name,
           const struct strlist *command, char **id, struct error *err)
{
  auto_strlist struct strlist argv = { 0 };
  auto_image_user struct image_user user = { 0 };
  auto_image struct image image = { 0 };
  auto_image_config struct image_config config = { 0 };
  if (image_store_find (store, name, &image, err) != 0
      || image_config_load (image.config, &config, err) != 0
      || image_config_check_platform (&config, job, name, err) != 0)
    return -1;
  if (image_config_command (&config, job, command, &argv, err) != 0)
    return error_wrap (err, "image \"%s\"", name);
  if (image_config_user (&config, job, image.rootfs, &user, err) != 0
      || (geteuid () != 0 && image_user_check_rootless (&user, job, true, err) != 0))
    return error_wrap (err, "image \"%s\"", name);
  if (*id == NULL)
    *id = take (&config.id);
  else if (strcmp (*id, config.id) != 0)
    return error_set (err, ERROR_USER,
                      "image \"%s\" has the id %s, and the job needs %s: import that one again, or "
                      "begin a new job with another --results; `shoal retry --image` takes another "
                      "one",
                      name, config.id, *id);
  return 0;
}

int
job_pin_images (struct job *job, const char *images, struct error *err)
{
  if (strcmp (job->runtime, "oci") != 0)
    return 0;
  if (oci_limits_check (job, err) != 0)
    return -1;
  auto_free char *store = images != NULL ? xstrdup (images) : image_store_default ();
  if (pin_image (store, job, job->image, &job->command, &job->image_id, err) != 0)
    return -1;
  if (job->reduce_image == NULL)
    return 0;
  struct job view = *job; /* the entrypoint that was given is the first image's */
  view.has_entrypoint = false;
  return pin_image (store, &view, job->reduce_image, &job->reduce_command, &job->reduce_image_id,
                    err);
}

void
job_keep_images (const struct job *job, const char *images, int folder_fd)
{
  auto_free char *given = images != NULL ? xstrdup (images) : image_store_default ();
  auto_free char *store = image_store_absolute (given, NULL);
  auto_image struct image image = { 0 };
  auto_image struct image reduce = { 0 };
  if (strcmp (job->runtime, "oci") != 0 || store == NULL
      || image_store_find (store, job->image, &image, NULL) != 0)
    return;
  bool two =
      job->reduce_image != NULL && image_store_find (store, job->reduce_image, &reduce, NULL) == 0;
  auto_free char *digests =
      xasprintf ("%s%s%s", image.digest, two ? " " : "", two ? reduce.digest : "");
  image_use_keep (store, digests, job->id, folder_fd);
}
