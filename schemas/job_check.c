#include "schemas/job_check.h"

#include "common/path.h"
#include "common/signals.h"
#include "schemas/job_bounds.h"
#include "schemas/job_container.h"
#include "schemas/job_names.h"
#include "schemas/job_paths.h"
#include "schemas/tmpfs.h"

#include <stdlib.h>
#include <string.h>

/* ---- texts ------------------------------------------------------------------------------ */

static const char *
given (const char *text)
{
  return text == NULL ? "" : text;
}

static int
check_id (struct job *job, struct error *err)
{
  return job_check_id (given (job->id), err);
}

/* What IMAGE, a name for people and a store, may be. */
static int
check_image_name (const char *image, struct error *err)
{
  if (image[0] == '\0')
    return error_set (err, ERROR_USER, "the image is missing");
  if (strlen (image) <= JOB_PATH_MAX && job_text_is_plain (image) && strpbrk (image, " \\") == NULL)
    return 0;
  return error_set (err, ERROR_USER, "\"%.300s\" isn't an image's name", image);
}

static int
job_check_image (struct job *job, struct error *err)
{
  return check_image_name (given (job->image), err);
}

static int
job_check_reduce_image (struct job *job, struct error *err)
{
  return job->reduce_image == NULL ? 0 : check_image_name (job->reduce_image, err);
}

static int
job_check_runtime (struct job *job, struct error *err)
{
  const char *runtime = given (job->runtime);
  if (strcmp (runtime, "oci") == 0 || strcmp (runtime, "process") == 0)
    return 0;
  return error_set (err, ERROR_USER, "\"%.100s\" is none of oci, process", runtime);
}

static int
job_check_results (struct job *job, struct error *err)
{
  return job_results_normal (&job->results, err);
}

static int
check_workdir (struct job *job, struct error *err)
{
  return job->workdir == NULL ? 0 : job_path_normal (&job->workdir, NULL, err);
}

/* "USER", "USER:GROUP", each a name or a number; "" and ":GROUP" are root, as docker has it. */
static int
job_check_user (struct job *job, struct error *err)
{
  const char *user = given (job->user);
  const char *colon = strchr (user, ':');
  bool good = strlen (user) <= JOB_NAME_MAX && job_text_is_plain (user)
              && strpbrk (user, " /\\,\"'") == NULL
              && (colon == NULL || strchr (colon + 1, ':') == NULL);
  const char *const parts[] = { user, colon == NULL ? "" : colon + 1 };
  for (size_t i = 0; good && i < sizeof parts / sizeof parts[0]; i++)
    {
      size_t length = strcspn (parts[i], ":");
      bool number = length > 0 && strspn (parts[i], "0123456789") == length;
      good = !number || (length <= 10 && strtoll (parts[i], NULL, 10) <= JOB_USER_ID_MAX);
    }
  return good ? 0
              : error_set (err, ERROR_USER,
                           "\"%.300s\": expected USER or USER:GROUP, names or numbers up to %lld",
                           user, (long long) JOB_USER_ID_MAX);
}

static int
job_check_queue_member (struct job *job, struct error *err)
{
  return job_check_queue (given (job->queue), err);
}

static int
job_check_webhook_member (struct job *job, struct error *err)
{
  return job->webhook == NULL ? 0 : job_check_webhook (job->webhook, err);
}

/* A name in a folder or a map of the services, never a path. */
static int
job_check_credentials_member (struct job *job, struct error *err)
{
  return job->credentials == NULL ? 0 : job_check_credentials (job->credentials, err);
}

static int
job_check_image_id_member (struct job *job, struct error *err)
{
  return job->image_id == NULL ? 0 : job_check_image_id (job->image_id, err);
}

static int
check_reduce_image_id (struct job *job, struct error *err)
{
  if (job->reduce_image_id != NULL && job->reduce_image == NULL)
    return error_set (err, ERROR_USER, "there is no reduce image");
  return job->reduce_image_id == NULL ? 0 : job_check_image_id (job->reduce_image_id, err);
}

static int
check_stop_signal (struct job *job, struct error *err)
{
  return job->stop_signal == NULL || signal_parse (job->stop_signal, err) > 0 ? 0 : -1;
}

static int
check_glob (struct job *job, struct error *err)
{
  return job->glob == NULL || strlen (job->glob) <= JOB_PATTERN_MAX
             ? 0
             : error_set (err, ERROR_USER, "the pattern is longer than %d bytes", JOB_PATTERN_MAX);
}

/* ---- lists ------------------------------------------------------------------------------ */

static int
job_check_list (const struct strlist *list, const char *what, size_t most, size_t longest,
                struct error *err)
{
  if (list->count > most)
    return error_set (err, ERROR_USER, "%zu %s: a job has at most %zu", list->count, what, most);
  for (size_t i = 0; i < list->count; i++)
    if (strlen (list->items[i]) > longest)
      return error_set (err, ERROR_USER, "\"%.100s…\": longer than %zu bytes", list->items[i],
                        longest);
  return 0;
}

static int
check_command (struct job *job, struct error *err)
{
  return job_check_list (&job->command, "words", JOB_WORDS_MAX, JOB_WORD_MAX, err);
}

static int
check_entrypoint (struct job *job, struct error *err)
{
  return job_check_list (&job->entrypoint, "words", JOB_WORDS_MAX, JOB_WORD_MAX, err);
}

static int
check_reduce_command (struct job *job, struct error *err)
{
  if (job->reduce_image == NULL && job->reduce_command.count > 0)
    return error_set (err, ERROR_USER, "needs --reduce IMAGE");
  return job_check_list (&job->reduce_command, "words", JOB_WORDS_MAX, JOB_WORD_MAX, err);
}

static int
check_exclude (struct job *job, struct error *err)
{
  return job_check_list (&job->exclude, "patterns", JOB_LIST_MAX, JOB_PATTERN_MAX, err);
}

static int
check_quarantined (struct job *job, struct error *err)
{
  return job_check_list (&job->quarantined, "inputs", JOB_QUARANTINED_MAX, JOB_PATTERN_MAX, err);
}

static int
check_earlier_images (struct job *job, struct error *err)
{
  if (job_check_list (&job->earlier_images, "images", JOB_LIST_MAX, JOB_NAME_MAX, err) != 0)
    return -1;
  for (size_t i = 0; i < job->earlier_images.count; i++)
    if (job_check_image_id (job->earlier_images.items[i], err) != 0)
      return -1;
  return 0;
}

/* "NAME=VALUE"; a name is what a shell could be told of, and a little more. */
static int
check_variable (const char *text, struct error *err)
{
  size_t length = 0;
  while (text[length] > ' ' && text[length] < 0x7f && text[length] != '=')
    length++;
  if (length > 0 && length <= JOB_NAME_MAX && text[length] == '=')
    return 0;
  return error_set (err, ERROR_USER, "\"%.300s\": expected NAME=VALUE", text);
}

static int
check_env (struct job *job, struct error *err)
{
  if (job_check_list (&job->env, "variables", JOB_ENV_MAX, JOB_WORD_MAX, err) != 0)
    return -1;
  for (size_t i = 0; i < job->env.count; i++)
    if (check_variable (job->env.items[i], err) != 0)
      return -1;
  return 0;
}

static int
check_tmpfs_item (const struct job *job, size_t index, struct error *err)
{
  auto_tmpfs struct tmpfs tmpfs = { 0 };
  const char *text = job->tmpfs.items[index];
  if (!job_text_is_plain (text))
    return error_set (err, ERROR_USER, "\"%.300s\" has a control character in it", text);
  if (tmpfs_parse (text, &tmpfs, err) != 0)
    return -1;
  if (path_below (tmpfs.path, "/proc") != NULL || path_below (tmpfs.path, "/sys") != NULL
      || strcmp (tmpfs.path, "/dev") == 0)
    return error_set (err, ERROR_USER, "%s: nothing can be mounted in /proc and /sys, and on /dev",
                      tmpfs.path);
  for (size_t i = 0; i < index; i++)
    {
      auto_tmpfs struct tmpfs other = { 0 };
      if (tmpfs_parse (job->tmpfs.items[i], &other, NULL) == 0
          && strcmp (other.path, tmpfs.path) == 0)
        return error_set (err, ERROR_USER, "two of them at %s", tmpfs.path);
    }
  return 0;
}

static int
job_check_tmpfs (struct job *job, struct error *err)
{
  if (job_check_list (&job->tmpfs, "of them", JOB_TMPFS_MAX, JOB_PATH_MAX, err) != 0)
    return -1;
  for (size_t i = 0; i < job->tmpfs.count; i++)
    if (check_tmpfs_item (job, i, err) != 0)
      return -1;
  return 0;
}

/* ---- numbers ---------------------------------------------------------------------------- */

/* VALUE is from LEAST to MOST, or -1 where that says that there is no bound. */
struct job_range
{
  const char *field;
  int64_t value;
  int64_t least;
  int64_t most;
  bool optional;
};

static int
job_check_ranges (const struct job *job, const char **field, struct error *err)
{
  const struct job_range ranges[] = {
    { "submitted", job->submitted, 0, JOB_TIME_MAX_MS, false },
    { "memory", job->memory, JOB_MEMORY_MIN, JOB_BYTES_MAX, true },
    { "cpus", job->cpus, 1, JOB_CPUS_MAX, true },
    { "pids", job->pids, 1, JOB_PIDS_MAX, true },
    { "timeout_ms", job->timeout_ms, 1, JOB_DURATION_MAX_MS, true },
    { "job_timeout_ms", job->job_timeout_ms, 1, JOB_DURATION_MAX_MS, true },
    { "stage_timeout_ms", job->stage_timeout_ms, 1, JOB_DURATION_MAX_MS, true },
    { "collect_timeout_ms", job->collect_timeout_ms, 1, JOB_DURATION_MAX_MS, true },
    { "stop_timeout_ms", job->stop_timeout_ms, 0, JOB_STOP_MAX_MS, true },
    { "shm_size", job->shm_size, 1, JOB_BYTES_MAX, true },
    { "max_output_bytes", job->max_output_bytes, 1, JOB_BYTES_MAX, true },
    { "max_output_files", job->max_output_files, 1, JOB_COUNT_MAX, true },
    { "log_limit", job->log_limit, 0, JOB_BYTES_MAX, false },
    { "retries", job->retries, 0, JOB_RETRIES_MAX, false },
    { "retry_memory", job->retry_memory, 101, JOB_MEMORY_GROWTH_MAX, true },
    { "retry_memory_max", job->retry_memory_max, JOB_MEMORY_MIN, JOB_BYTES_MAX, true },
    { "min_success", job->min_success, 0, JOB_WHOLE, false },
    { "max_failures", job->max_failures, 0, JOB_COUNT_MAX, true },
    { "max_failures_bp", job->max_failures_bp, 0, JOB_WHOLE, true },
    { "pilot", job->pilot, 1, JOB_PILOT_MAX, true },
    { "max_parallel", job->max_parallel, 1, JOB_COUNT_MAX, true },
    { "priority", job->priority, -JOB_PRIORITY_MAX, JOB_PRIORITY_MAX, false },
  };
  for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
    {
      const struct job_range *range = &ranges[i];
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

static int
check_retry_memory (const struct job *job, struct error *err)
{
  if (job->retry_memory < 0 && job->retry_memory_max < 0)
    return 0;
  if (job->retry_memory < 0)
    return error_set (err, ERROR_USER, "--retry-memory-max is for jobs with --retry-memory");
  if (job->memory < 0)
    return error_set (err, ERROR_USER,
                      "memory that grows after an attempt ran out of it needs a limit to begin "
                      "with: --memory");
  if (job_memory_most (job) < job->memory)
    return error_set (err, ERROR_USER, "the ceiling --retry-memory-max is below --memory");
  return 0;
}

/* What is published little by little comes in the order of the plan. */
static int
check_order (const struct job *job, struct error *err)
{
  return job->order == ORDER_INDEX || job->max_parallel < 0
             ? 0
             : error_set (err, ERROR_USER,
                          "with --max-parallel shards run by index: --order size can't be had");
}

/* ---- all of it -------------------------------------------------------------------------- */

/* The result mustn't grow inside a folder that is being listed. */
static int
check_place (const struct job *job, struct error *err)
{
  for (size_t i = 0; i < job->volume_count; i++)
    if (job->volumes[i].source[0] == '/'
        && path_below (job->results, job->volumes[i].source) != NULL)
      return error_set (err, ERROR_USER,
                        "the result %s would lie inside the input %s: choose another --results",
                        job->results, job->volumes[i].source);
  return 0;
}

/* Without an image there is no command but the one that is given. */
static int
check_something_runs (const struct job *job, bool entrypoint, const struct strlist *command,
                      struct error *err)
{
  const struct strlist *first =
      entrypoint && job->entrypoint.count > 0 ? &job->entrypoint : command;
  if (strcmp (given (job->runtime), "process") != 0
      || (first->count > 0 && first->items[0][0] != '\0'))
    return 0;
  return error_set (err, ERROR_USER,
                    "nothing to run: with --runtime process there is no image "
                    "that has a command");
}

static int
check_runs (const struct job *job, const char **field, struct error *err)
{
  *field = "command";
  if (check_something_runs (job, job->has_entrypoint, &job->command, err) != 0)
    return -1;
  *field = "reduce_command";
  return job->reduce_image == NULL ? 0
                                   : check_something_runs (job, false, &job->reduce_command, err);
}

static int
check_roots (const struct job *job, struct error *err)
{
  for (size_t i = 0; i < job->volume_count; i++)
    if (strcmp (job->volumes[i].path, "/") == 0)
      return error_set (err, ERROR_USER, "the volume %.300s can't be the container's root",
                        job->volumes[i].source);
  return 0;
}

static int
job_check_texts (struct job *job, const char **field, struct error *err)
{
  static const struct
  {
    const char *field;
    int (*check) (struct job *job, struct error *err);
  } checks[] = {
    { "id", check_id },
    { "results", job_check_results },
    { "image", job_check_image },
    { "command", check_command },
    { "runtime", job_check_runtime },
    { "workdir", check_workdir },
    { "user", job_check_user },
    { "entrypoint", check_entrypoint },
    { "env", check_env },
    { "tmpfs", job_check_tmpfs },
    { "glob", check_glob },
    { "exclude", check_exclude },
    { "quarantined", check_quarantined },
    { "earlier_images", check_earlier_images },
    { "reduce_image", job_check_reduce_image },
    { "reduce_command", check_reduce_command },
    { "queue", job_check_queue_member },
    { "webhook", job_check_webhook_member },
    { "credentials", job_check_credentials_member },
    { "image_id", job_check_image_id_member },
    { "stop_signal", check_stop_signal },
    { "hostname", job_check_hostname },
    { "groups", job_check_groups },
    { "cap_drop", job_check_cap_drop },
    { "ulimits", job_check_ulimits },
    { "devices", job_check_devices },
    { "shm_size", job_check_shm_size },
    { "platform", job_check_platform },
    { "reduce_image_id", check_reduce_image_id },
  };
  for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
    if (checks[i].check (job, err) != 0)
      {
        *field = checks[i].field;
        return -1;
      }
  return 0;
}

int
job_check (struct job *job, const char **field, struct error *err)
{
  const char *ignored = NULL;
  field = field == NULL ? &ignored : field;
  if (job_check_texts (job, field, err) != 0 || job_check_ranges (job, field, err) != 0
      || job_check_slicing (job, field, err) != 0 || job_check_utf8 (job, field, err) != 0)
    return -1;
  *field = "retry_memory";
  if (check_retry_memory (job, err) != 0)
    return -1;
  *field = "order";
  if (check_order (job, err) != 0)
    return -1;
  *field = "results";
  if (check_place (job, err) != 0)
    return -1;
  *field = "volumes";
  if (check_roots (job, err) != 0 || check_runs (job, field, err) != 0)
    return -1;
  *field = NULL;
  return 0;
}
