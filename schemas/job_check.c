#include "schemas/job_check.h"

#include "common/path.h"

#include <limits.h>
#include <string.h>

enum
{
  ID_LENGTH_MAX = 128,
  QUEUE_LENGTH_MAX = 64, /* it is part of topics' names */
  NAME_LENGTH_MAX = 255,
  RETRIES_MAX = 1000,
  WHOLE = 10000, /* hundredths of a percent */
};

int
job_check_id (const char *id, struct error *err)
{
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  size_t length = strlen (id);
  if (length > 0 && length <= ID_LENGTH_MAX && strspn (id, allowed) == length && id[0] != '.'
      && id[0] != '-')
    return 0;
  return error_set (err, ERROR_USER,
                    "\"%.200s\": expected 1 to %d letters, digits, '.', '_' or '-', the first a "
                    "letter, a digit or '_'",
                    id, ID_LENGTH_MAX);
}

int
job_check_output_name (const char *name, struct error *err)
{
  if (name[0] != '\0' && strchr (name, '/') == NULL && strcmp (name, ".") != 0
      && strcmp (name, "..") != 0 && strlen (name) <= NAME_LENGTH_MAX)
    return 0;
  return error_set (err, ERROR_USER, "\"%.300s\": expected a folder's name", name);
}

/* A path in a container, or one that stands for itself on every machine. */
static int
check_path (const char *path, const char *what, struct error *err)
{
  if (path[0] != '/')
    return error_set (err, ERROR_USER, "%s \"%s\": expected a path beginning with a slash", what,
                      path);
  auto_free char *normal = path_normal (path, err);
  return normal == NULL ? -1 : 0;
}

static int
check_url (const char *url, struct error *err)
{
  size_t length = strlen (url);
  if (strncmp (url, "s3://", 5) != 0 || length > PATH_MAX || url[length - 1] == '/'
      || strpbrk (url, " \t\n?#") != NULL)
    return error_set (err, ERROR_USER,
                      "%s: the result's place is an absolute path or s3://BUCKET/PREFIX without a "
                      "\"/\" behind it",
                      url);
  return 0;
}

static int
check_results (const struct job *job, struct error *err)
{
  if (job->results != NULL && strstr (job->results, "://") != NULL)
    return check_url (job->results, err);
  if (check_path (job->results, "the result's place", err) != 0)
    return -1;
  auto_free char *normal = path_normal (job->results, err);
  return strcmp (normal, "/") != 0
             ? 0
             : error_set (err, ERROR_USER, "a result can't stand in the root");
}

static int
check_env (const struct job *job, struct error *err)
{
  for (size_t i = 0; i < job->env.count; i++)
    if (job->env.items[i][0] == '=' || strchr (job->env.items[i], '=') == NULL)
      return error_set (err, ERROR_USER, "\"%s\": expected NAME=VALUE", job->env.items[i]);
  return 0;
}

static int
check_volumes (const struct job *job, struct error *err)
{
  for (size_t i = 0; i < job->volume_count; i++)
    {
      const struct volume *volume = &job->volumes[i];
      if (volume->source[0] != '/' && strstr (volume->source, "://") == NULL)
        return error_set (err, ERROR_USER,
                          "the source \"%s\": expected an absolute folder, the same for all "
                          "workers, or a URL",
                          volume->source);
      if (check_path (volume->path, "the volume", err) != 0)
        return -1;
    }
  return 0;
}

/* Whether the two overlap: as normal paths. */
static bool
overlap (const char *a, const char *b)
{
  auto_free char *first = path_normal (a, NULL);
  auto_free char *second = path_normal (b, NULL);
  return path_below (first, second) != NULL || path_below (second, first) != NULL;
}

static int
check_outputs (const struct job *job, struct error *err)
{
  for (size_t i = 0; i < job->output_count; i++)
    {
      const struct output *output = &job->outputs[i];
      if (job_check_output_name (output->name, err) != 0
          || check_path (output->path, "the output", err) != 0)
        return -1;
      auto_free char *path = path_normal (output->path, err);
      if (strcmp (path, "/") == 0)
        return error_set (err, ERROR_USER, "the output %s can't be the container's root",
                          output->name);
      for (size_t j = 0; j < i; j++)
        {
          const struct output *other = &job->outputs[j];
          if (strcmp (output->name, other->name) == 0)
            return error_set (err, ERROR_USER, "two outputs of the name %s: %s and %s",
                              output->name, other->path, output->path);
          if (overlap (output->path, other->path))
            return error_set (err, ERROR_USER, "the outputs %s:%s and %s:%s lie inside each other",
                              other->name, other->path, output->name, output->path);
        }
      for (size_t j = 0; j < job->volume_count; j++)
        {
          auto_free char *volume = path_normal (job->volumes[j].path, err);
          if (path_below (volume, path) != NULL && strcmp (volume, path) != 0)
            return error_set (err, ERROR_USER, "the input volume %s lies inside the output %s:%s",
                              job->volumes[j].path, output->name, output->path);
        }
    }
  return 0;
}

static int
check_tmpfs (const struct job *job, struct error *err)
{
  for (size_t i = 0; i < job->tmpfs.count; i++)
    if (job->tmpfs.items[i][0] != '/')
      return error_set (err, ERROR_USER, "\"%s\": expected PATH or PATH:size=SIZE",
                        job->tmpfs.items[i]);
  return 0;
}

static int
check_runtime (const struct job *job, struct error *err)
{
  if (strcmp (job->runtime, "oci") == 0 || strcmp (job->runtime, "process") == 0)
    return 0;
  return error_set (err, ERROR_USER, "\"%s\" is none of oci, process", job->runtime);
}

static int
check_image (const struct job *job, struct error *err)
{
  return job->image[0] != '\0' ? 0 : error_set (err, ERROR_USER, "the image is missing");
}

int
job_check_queue (const char *queue, struct error *err)
{
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
  size_t length = strlen (queue);
  if (length > 0 && length <= QUEUE_LENGTH_MAX && strspn (queue, allowed) == length)
    return 0;
  return error_set (err, ERROR_USER,
                    "\"%.100s\": expected 1 to %d small letters, digits, '_' or '-'", queue,
                    QUEUE_LENGTH_MAX);
}

static int
check_queue (const struct job *job, struct error *err)
{
  return job_check_queue (job->queue, err);
}

int
job_check_webhook (const char *url, struct error *err)
{
  bool web = strncmp (url, "https://", 8) == 0 || strncmp (url, "http://", 7) == 0;
  const char *host = web ? strstr (url, "://") + 3 : "";
  size_t length = strcspn (host, "/?#");
  for (const char *at = url; web && *at != '\0'; at++)
    web = *at > ' ' && *at < 0x7f;
  if (!web || length == 0)
    return error_set (err, ERROR_USER, "\"%.300s\": expected http://HOST/… or https://HOST/…", url);
  if (memchr (host, '@', length) != NULL)
    return error_set (err, ERROR_USER,
                      "a webhook's URL can't have a password in it, everybody reads jobs: the "
                      "merger signs what it sends (SHOAL_WEBHOOK_SECRET)");
  return 0;
}

static int
check_webhook (const struct job *job, struct error *err)
{
  return job->webhook == NULL ? 0 : job_check_webhook (job->webhook, err);
}

static int
check_job_id (const struct job *job, struct error *err)
{
  return job_check_id (job->id, err);
}

/* VALUE is from LEAST to MOST, or -1 where that says that there is no bound. */
struct range
{
  const char *field;
  int64_t value;
  int64_t least;
  int64_t most;
  bool optional;
};

static int
check_ranges (const struct job *job, const char **field, struct error *err)
{
  const struct range ranges[] = {
    { "batch_size", job->batch_size, 1, INT64_MAX, false },
    { "batch_bytes", job->batch_bytes, 1, INT64_MAX, true },
    { "shards", job->shards, 1, UINT32_MAX, true },
    { "memory", job->memory, 1, INT64_MAX, true },
    { "cpus", job->cpus, 1, INT32_MAX, true },
    { "pids", job->pids, 1, INT32_MAX, true },
    { "timeout_ms", job->timeout_ms, 1, INT64_MAX, true },
    { "job_timeout_ms", job->job_timeout_ms, 1, INT64_MAX, true },
    { "log_limit", job->log_limit, 0, INT64_MAX, false },
    { "retries", job->retries, 0, RETRIES_MAX, false },
    { "min_success", job->min_success, 0, WHOLE, false },
    { "max_failures", job->max_failures, 0, INT64_MAX, true },
    { "max_failures_bp", job->max_failures_bp, 0, WHOLE, true },
  };
  for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
    {
      const struct range *range = &ranges[i];
      if ((range->optional && range->value == -1)
          || (range->value >= range->least && range->value <= range->most))
        continue;
      *field = range->field;
      return error_set (err, ERROR_USER, "%lld is out of range: expected %lld to %lld",
                        (long long) range->value, (long long) range->least,
                        (long long) range->most);
    }
  return 0;
}

int
job_check (const struct job *job, const char **field, struct error *err)
{
  static const struct
  {
    const char *field;
    int (*check) (const struct job *job, struct error *err);
  } checks[] = {
    { "id", check_job_id },       { "image", check_image },     { "runtime", check_runtime },
    { "results", check_results }, { "volumes", check_volumes }, { "outputs", check_outputs },
    { "env", check_env },         { "tmpfs", check_tmpfs },     { "queue", check_queue },
    { "webhook", check_webhook },
  };
  const char *ignored = NULL;
  field = field == NULL ? &ignored : field;
  for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
    if (checks[i].check (job, err) != 0)
      {
        *field = checks[i].field;
        return -1;
      }
  if (job->workdir != NULL && job->workdir[0] != '/')
    {
      *field = "workdir";
      return error_set (err, ERROR_USER, "\"%s\": expected a path beginning with a slash",
                        job->workdir);
    }
  return check_ranges (job, field, err);
}
