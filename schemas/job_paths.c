#include "schemas/job_paths.h"

#include "common/memory.h"
#include "common/path.h"
#include "schemas/job_bounds.h"
#include "schemas/job_names.h"

#include <string.h>

enum
{
  RESULT_NAME_MAX = 230, /* what is made beside a result has a longer name than it */
};

/* ---- one path --------------------------------------------------------------------------- */

static int
refuse_path (const char *what, const char *path, const char *why, struct error *err)
{
  return error_set (err, ERROR_USER, "%s%s\"%.300s\": %s", what == NULL ? "" : what,
                    what == NULL ? "" : " ", path, why);
}

int
job_path_normal (char **path, const char *what, struct error *err)
{
  const char *given = *path == NULL ? "" : *path;
  if (given[0] != '/')
    return refuse_path (what, given, "expected a path beginning with a slash", err);
  if (strlen (given) > JOB_PATH_MAX)
    return refuse_path (what, given, "the path is too long", err);
  if (!job_text_is_plain (given))
    return refuse_path (what, given, "the path contains a control character", err);
  char *normal = path_normal (given, err);
  if (normal == NULL)
    return what == NULL ? -1 : error_wrap (err, "%s", what);
  free (*path);
  *path = normal;
  return 0;
}

/* Whether a component of PATH is empty, "." or "..": a server may take such a key for another
 * one. */
static bool
has_odd_component (const char *path)
{
  for (const char *at = path;; at++)
    {
      size_t length = strcspn (at, "/");
      if (length == 0 || (length == 1 && at[0] == '.')
          || (length == 2 && strncmp (at, "..", 2) == 0))
        return true;
      at += length;
      if (*at == '\0')
        return false;
    }
}

static int
check_results_url (const char *url, struct error *err)
{
  size_t length = strlen (url);
  if (strncmp (url, "s3://", 5) == 0 && length <= JOB_PATH_MAX && strpbrk (url, " ?#\\") == NULL
      && job_text_is_plain (url) && !has_odd_component (url + 5))
    return 0;
  return error_set (
      err, ERROR_USER,
      "%.300s: expected an absolute path or s3://BUCKET/PREFIX without a trailing \"/\"", url);
}

int
job_results_normal (char **location, struct error *err)
{
  if (*location != NULL && strstr (*location, "://") != NULL)
    return check_results_url (*location, err);
  if (job_path_normal (location, "the result's place", err) != 0)
    return -1;
  const char *name = strrchr (*location, '/') + 1;
  if (name[0] == '\0')
    return error_set (err, ERROR_USER, "a result can't be the root of the file system");
  if (strlen (name) > RESULT_NAME_MAX)
    return error_set (err, ERROR_USER, "%.300s: the folder name is longer than %d bytes", *location,
                      RESULT_NAME_MAX);
  return 0;
}

/* ---- volumes ---------------------------------------------------------------------------- */

/* /proc, /sys and /dev are the container's own: nothing of a job goes there, but for folders below
 * /dev. */
static int
job_paths_check_target (const char *path, struct error *err)
{
  if (path_below (path, "/proc") == NULL && path_below (path, "/sys") == NULL
      && strcmp (path, "/dev") != 0)
    return 0;
  return error_set (err, ERROR_USER, "%s: nothing can be mounted in /proc and /sys, and on /dev",
                    path);
}

/* A folder, the same for all workers, or a URL. "file:///data" is the folder. */
static int
make_source_normal (struct volume *volume, struct error *err)
{
  static const char file[] = "file://";
  const char *source = volume->source == NULL ? "" : volume->source;
  if (strncmp (source, file, strlen (file)) == 0)
    {
      char *path = xstrdup (source + strlen (file));
      free (volume->source);
      source = volume->source = path;
    }
  else if (strstr (source, "://") != NULL)
    {
      if (strlen (source) > JOB_URL_MAX)
        return error_set (err, ERROR_USER, "a source URL is longer than %d bytes", JOB_URL_MAX);
      if (!job_text_is_plain (source))
        return error_set (err, ERROR_USER, "a source URL contains a control character");
      return 0;
    }
  if (source[0] != '/')
    return error_set (err, ERROR_USER,
                      "the source \"%.300s\": expected an absolute folder, the same for all "
                      "workers, or a URL",
                      source);
  return job_path_normal (&volume->source, "the source", err);
}

static int
job_paths_check_volumes (struct job *job, struct error *err)
{
  if (job->volume_count > JOB_LIST_MAX)
    return error_set (err, ERROR_USER, "%zu volumes: a job has at most %d", job->volume_count,
                      JOB_LIST_MAX);
  for (size_t i = 0; i < job->volume_count; i++)
    {
      struct volume *volume = &job->volumes[i];
      if (make_source_normal (volume, err) != 0
          || job_path_normal (&volume->path, "the volume", err) != 0
          || job_paths_check_target (volume->path, err) != 0)
        return -1;
      for (size_t j = 0; j < i; j++)
        if (strcmp (job->volumes[j].path, volume->path) == 0)
          return error_set (err, ERROR_USER, "two volumes at the same path %s", volume->path);
    }
  return 0;
}

/* ---- outputs ---------------------------------------------------------------------------- */

static bool
overlap (const char *a, const char *b)
{
  return path_below (a, b) != NULL || path_below (b, a) != NULL;
}

static int
compare_outputs (const struct output *output, const struct output *other, struct error *err)
{
  if (strcmp (output->name, other->name) == 0)
    return error_set (err, ERROR_USER, "two outputs with the name %s: %s and %s", output->name,
                      other->path, output->path);
  if (overlap (output->path, other->path))
    return error_set (err, ERROR_USER, "the outputs %s:%s and %s:%s are nested", other->name,
                      other->path, output->name, output->path);
  return 0;
}

static int
compare_volume (const struct output *output, const struct volume *volume, struct error *err)
{
  if (path_below (output->path, volume->path) != NULL)
    return error_set (err, ERROR_USER,
                      "the output %s:%s is inside the input volume %s, which is read-only",
                      output->name, output->path, volume->path);
  if (path_below (volume->path, output->path) != NULL)
    return error_set (err, ERROR_USER, "the input volume %s is inside the output %s:%s",
                      volume->path, output->name, output->path);
  return 0;
}

static int
check_output (struct job *job, size_t index, struct error *err)
{
  struct output *output = &job->outputs[index];
  if (job_check_output_name (output->name == NULL ? "" : output->name, err) != 0
      || job_path_normal (&output->path, "the output", err) != 0
      || job_paths_check_target (output->path, err) != 0)
    return -1;
  if (strcmp (output->path, "/") == 0)
    return error_set (err, ERROR_USER, "the output %s can't be the container's root", output->name);
  for (size_t i = 0; i < index; i++)
    if (compare_outputs (output, &job->outputs[i], err) != 0)
      return -1;
  for (size_t i = 0; i < job->volume_count; i++)
    if (compare_volume (output, &job->volumes[i], err) != 0)
      return -1;
  return 0;
}

static int
check_outputs (struct job *job, struct error *err)
{
  if (job->output_count > JOB_LIST_MAX)
    return error_set (err, ERROR_USER, "%zu outputs: a job has at most %d", job->output_count,
                      JOB_LIST_MAX);
  for (size_t i = 0; i < job->output_count; i++)
    if (check_output (job, i, err) != 0)
      return -1;
  return 0;
}

/* ---- shoal's own folders ---------------------------------------------------------------- */

/* Whether nothing of JOB can be mounted at PATH, since a container finds something of ours there.
 * WHOLE: it would be in the reduce container as well. */
static int
check_not_ours (const struct job *job, const char *path, bool whole, struct error *err)
{
  bool reduce = whole && job->reduce_image != NULL;
  if (strcmp (path, JOB_ATOMS_FOLDER) == 0 && (job->glob != NULL || reduce))
    return error_set (err, ERROR_USER,
                      "%s is where a container finds the list of its inputs: choose another path",
                      path);
  if (strcmp (path, JOB_SHARDS_FOLDER) == 0 && reduce)
    return error_set (err, ERROR_USER,
                      "%s is where the reduce container finds the outputs of the shards: choose "
                      "another path",
                      path);
  return 0;
}

static int
check_own_folders (const struct job *job, const char **field, struct error *err)
{
  *field = "volumes";
  for (size_t i = 0; i < job->volume_count; i++)
    if (check_not_ours (job, job->volumes[i].path, job->volumes[i].shared, err) != 0)
      return -1;
  *field = "outputs";
  for (size_t i = 0; i < job->output_count; i++)
    if (check_not_ours (job, job->outputs[i].path, true, err) != 0)
      return -1;
  return 0;
}

static int
check_reduce (const struct job *job, struct error *err)
{
  return job->reduce_image == NULL || job->output_count > 0
             ? 0
             : error_set (err, ERROR_USER,
                          "the container runs over the outputs of the shards, and the job has "
                          "none: name them by -o NAME:PATH");
}

/* ---- slicing ---------------------------------------------------------------------------- */

/* What does nothing is hardly what was meant. */
static int
check_sense (const struct job *job, const char **field, struct error *err)
{
  const struct
  {
    const char *field;
    bool given;
  } members[] = { { "batch_bytes", job->batch_bytes != -1 }, /* it may set the batch size */
                  { "batch_size", job->batch_size != 1 },    { "shards", job->shards != -1 },
                  { "order", job->order != ORDER_INDEX },    { "exclude", job->exclude.count > 0 },
                  { "base_path", job->base_path != NULL } };
  for (size_t i = 0; job->glob == NULL && i < sizeof members / sizeof members[0]; i++)
    if (members[i].given)
      {
        *field = members[i].field;
        return error_set (err, ERROR_USER, "has no effect without --glob");
      }
  return 0;
}

static int
check_batches (const struct job *job, const char **field, struct error *err)
{
  const struct
  {
    const char *field;
    int64_t value;
    int64_t most;
    bool optional;
  } sizes[] = { { "batch_size", job->batch_size, JOB_COUNT_MAX, false },
                { "batch_bytes", job->batch_bytes, JOB_BYTES_MAX, true },
                { "shards", job->shards, JOB_COUNT_MAX, true } };
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    if ((sizes[i].value < 1 || sizes[i].value > sizes[i].most)
        && !(sizes[i].optional && sizes[i].value == -1))
      {
        *field = sizes[i].field;
        return error_set (err, ERROR_USER, "%lld is out of range: expected 1 to %lld",
                          (long long) sizes[i].value, (long long) sizes[i].most);
      }
  *field = "shards";
  if (job->shards != -1 && (job->batch_bytes != -1 || job->batch_size != 1))
    return error_set (err, ERROR_USER,
                      "--shards can't be combined with --batch-size or --batch-bytes");
  return 0;
}

/* The deepest folder that all volumes that are sliced have in common; NULL: there is none. The
 * caller frees. */
static char *
common_path (const struct job *job)
{
  char *common = NULL;
  for (size_t i = 0; i < job->volume_count; i++)
    {
      if (job->volumes[i].shared)
        continue;
      char *wider = common == NULL ? xstrdup (job->volumes[i].path)
                                   : path_common (common, job->volumes[i].path);
      free (common);
      common = wider;
    }
  return common;
}

static int
check_base_path (struct job *job, struct error *err)
{
  auto_free char *common = common_path (job);
  if (common == NULL)
    return error_set (err, ERROR_USER,
                      "the pattern '%.300s' needs a volume to select from (-v SRC:PATH)",
                      job->glob);
  if (job->base_path == NULL)
    {
      job->base_path = take (&common);
      return 0;
    }
  if (job_path_normal (&job->base_path, NULL, err) != 0)
    return -1;
  for (size_t i = 0; i < job->volume_count; i++)
    if (!job->volumes[i].shared && !overlap (job->volumes[i].path, job->base_path))
      return error_set (err, ERROR_USER,
                        "the volume %s is neither below nor above the base path %s (the deepest "
                        "path common to the volumes is %s)",
                        job->volumes[i].path, job->base_path, common);
  return 0;
}

int
job_check_slicing (struct job *job, const char **field, struct error *err)
{
  if (check_batches (job, field, err) != 0)
    return -1;
  *field = "volumes";
  if (job_paths_check_volumes (job, err) != 0)
    return -1;
  *field = "outputs";
  if (check_outputs (job, err) != 0 || check_own_folders (job, field, err) != 0)
    return -1;
  *field = "reduce_image";
  if (check_reduce (job, err) != 0 || check_sense (job, field, err) != 0)
    return -1;
  *field = job->base_path == NULL ? "volumes" : "base_path";
  if (job->glob != NULL && check_base_path (job, err) != 0)
    return -1;
  *field = NULL;
  return 0;
}
