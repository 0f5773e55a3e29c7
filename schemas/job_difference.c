#include "schemas/job_difference.h"

#include "common/text.h"

#include <string.h>

/* The trace that a job belongs to says who asked, not for what. */
static const char *
next_env (const struct strlist *env, size_t *at)
{
  static const char trace[] = "TRACEPARENT=";
  while (*at < env->count && strncmp (env->items[*at], trace, strlen (trace)) == 0)
    ++*at;
  return *at < env->count ? env->items[(*at)++] : NULL;
}

static bool
same_env (const struct strlist *a, const struct strlist *b)
{
  size_t i = 0;
  size_t j = 0;
  for (;;)
    {
      const char *ours = next_env (a, &i);
      const char *theirs = next_env (b, &j);
      if (ours == NULL || theirs == NULL)
        return ours == theirs;
      if (strcmp (ours, theirs) != 0)
        return false;
    }
}

static bool
same_volumes (const struct job *a, const struct job *b)
{
  if (a->volume_count != b->volume_count)
    return false;
  for (size_t i = 0; i < a->volume_count; i++)
    if (strcmp (a->volumes[i].source, b->volumes[i].source) != 0
        || strcmp (a->volumes[i].path, b->volumes[i].path) != 0
        || a->volumes[i].shared != b->volumes[i].shared)
      return false;
  return true;
}

static bool
same_outputs (const struct job *a, const struct job *b)
{
  if (a->output_count != b->output_count)
    return false;
  for (size_t i = 0; i < a->output_count; i++)
    if (strcmp (a->outputs[i].name, b->outputs[i].name) != 0
        || strcmp (a->outputs[i].path, b->outputs[i].path) != 0)
      return false;
  return true;
}

static bool
same_codes (const struct codes *a, const struct codes *b)
{
  return memcmp (a->has, b->has, sizeof a->has) == 0;
}

/* What becomes of an attempt that failed. */
static const char *
job_difference_retries (const struct job *a, const struct job *b)
{
  return a->retries != b->retries                             ? "--retries"
         : a->retry_memory != b->retry_memory                 ? "--retry-memory"
         : a->retry_memory_max != b->retry_memory_max         ? "--retry-memory-max"
         : !same_codes (&a->fail_on, &b->fail_on)             ? "--fail-on"
         : !same_codes (&a->success_codes, &b->success_codes) ? "--success-codes"
                                                              : NULL;
}

/* What a container has of its own, and when it runs. */
static const char *
job_difference_container (const struct job *a, const struct job *b)
{
  const struct
  {
    const char *option;
    bool same;
  } fields[] = {
    { "--hostname", text_same (a->hostname, b->hostname) },
    { "--group-add", strlist_same (&a->groups, &b->groups) },
    { "--cap-drop", strlist_same (&a->cap_drop, &b->cap_drop) },
    { "--ulimit", strlist_same (&a->ulimits, &b->ulimits) },
    { "--device", strlist_same (&a->devices, &b->devices) },
    { "--shm-size", a->shm_size == b->shm_size },
    { "--platform", text_same (a->platform, b->platform) },
    { "--order", a->order == b->order },
  };
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
    if (!fields[i].same)
      return fields[i].option;
  return NULL;
}

const char *
job_difference (const struct job *a, const struct job *b)
{
  const struct
  {
    const char *option;
    bool same;
  } fields[] = {
    { "the image", text_same (a->image, b->image) },
    { "--image-id", text_same (a->image_id, b->image_id) },
    { "the id of --reduce", text_same (a->reduce_image_id, b->reduce_image_id) },
    { "the command", strlist_same (&a->command, &b->command) },
    { "--volume", same_volumes (a, b) },
    { "--glob", text_same (a->glob, b->glob) },
    { "--base-path", text_same (a->base_path, b->base_path) },
    { "--batch-bytes", a->batch_bytes == b->batch_bytes }, /* it may set the batch size */
    { "--batch-size", a->batch_size == b->batch_size },
    { "--shards", a->shards == b->shards },
    { "--exclude", strlist_same (&a->exclude, &b->exclude) },
    { "--glob-ignore-case", a->glob_ignore_case == b->glob_ignore_case },
    { "--symlinks", a->symlinks == b->symlinks },
    { "--stage", a->stage == b->stage },
    { "--output", same_outputs (a, b) },
    { "--output-links", a->output_links == b->output_links },
    { "--on-conflict", a->on_conflict == b->on_conflict },
    { "--reduce", text_same (a->reduce_image, b->reduce_image) },
    { "--reduce-command", strlist_same (&a->reduce_command, &b->reduce_command) },
    { "--env", same_env (&a->env, &b->env) && a->needs_count == b->needs_count },
    { "--workdir", text_same (a->workdir, b->workdir) },
    { "--user", text_same (a->user, b->user) },
    { "--entrypoint",
      a->has_entrypoint == b->has_entrypoint && strlist_same (&a->entrypoint, &b->entrypoint) },
    { "--network", a->network == b->network },
    { "--read-only", a->read_only == b->read_only },
    { "--tmpfs", strlist_same (&a->tmpfs, &b->tmpfs) },
    { "--init", a->init == b->init },
    { "--stop-signal", text_same (a->stop_signal, b->stop_signal) },
    { "--stop-timeout", a->stop_timeout_ms == b->stop_timeout_ms },
    { "--runtime", text_same (a->runtime, b->runtime) },
    { "--memory", a->memory == b->memory },
    { "--cpus", a->cpus == b->cpus },
    { "--pids-limit", a->pids == b->pids },
    { "--timeout", a->timeout_ms == b->timeout_ms },
    { "--job-timeout", a->job_timeout_ms == b->job_timeout_ms },
    { "--log-limit", a->log_limit == b->log_limit },
    { "--stage-timeout", a->stage_timeout_ms == b->stage_timeout_ms },
    { "--collect-timeout", a->collect_timeout_ms == b->collect_timeout_ms },
    { "--max-output-bytes", a->max_output_bytes == b->max_output_bytes },
    { "--max-output-files", a->max_output_files == b->max_output_files },
    { "--credentials", text_same (a->credentials, b->credentials) },
    { "--min-success", a->min_success == b->min_success },
    { "--queue", text_same (a->queue, b->queue) },
    { "--webhook", text_same (a->webhook, b->webhook) },
    { "--max-failures",
      a->max_failures == b->max_failures && a->max_failures_bp == b->max_failures_bp },
    { "--max-parallel", a->max_parallel == b->max_parallel },
    { "--priority", a->priority == b->priority },
  };
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
    if (!fields[i].same)
      return fields[i].option;
  const char *retries = job_difference_retries (a, b);
  return retries != NULL ? retries : job_difference_container (a, b);
}
