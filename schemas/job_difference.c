#include "schemas/job_difference.h"

#include <string.h>

static bool
same_text (const char *a, const char *b)
{
  return a == NULL || b == NULL ? a == b : strcmp (a, b) == 0;
}

static bool
same_list (const struct strlist *a, const struct strlist *b)
{
  if (a->count != b->count)
    return false;
  for (size_t i = 0; i < a->count; i++)
    if (strcmp (a->items[i], b->items[i]) != 0)
      return false;
  return true;
}

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

const char *
job_difference (const struct job *a, const struct job *b)
{
  const struct
  {
    const char *option;
    bool same;
  } fields[] = {
    { "the image", same_text (a->image, b->image) },
    { "--image-id", same_text (a->image_id, b->image_id) },
    { "the id of --reduce", same_text (a->reduce_image_id, b->reduce_image_id) },
    { "the command", same_list (&a->command, &b->command) },
    { "--volume", same_volumes (a, b) },
    { "--glob", same_text (a->glob, b->glob) },
    { "--base-path", same_text (a->base_path, b->base_path) },
    { "--batch-size", a->batch_size == b->batch_size },
    { "--batch-bytes", a->batch_bytes == b->batch_bytes },
    { "--shards", a->shards == b->shards },
    { "--exclude", same_list (&a->exclude, &b->exclude) },
    { "--symlinks", a->symlinks == b->symlinks },
    { "--stage", a->stage == b->stage },
    { "--output", same_outputs (a, b) },
    { "--on-conflict", a->on_conflict == b->on_conflict },
    { "--reduce", same_text (a->reduce_image, b->reduce_image) },
    { "--reduce-command", same_list (&a->reduce_command, &b->reduce_command) },
    { "--env", same_env (&a->env, &b->env) && a->needs_count == b->needs_count },
    { "--workdir", same_text (a->workdir, b->workdir) },
    { "--user", same_text (a->user, b->user) },
    { "--entrypoint",
      a->has_entrypoint == b->has_entrypoint && same_list (&a->entrypoint, &b->entrypoint) },
    { "--network", a->network == b->network },
    { "--read-only", a->read_only == b->read_only },
    { "--tmpfs", same_list (&a->tmpfs, &b->tmpfs) },
    { "--runtime", same_text (a->runtime, b->runtime) },
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
    { "--credentials", same_text (a->credentials, b->credentials) },
    { "--retries", a->retries == b->retries },
    { "--fail-on", same_codes (&a->fail_on, &b->fail_on) },
    { "--success-codes", same_codes (&a->success_codes, &b->success_codes) },
    { "--min-success", a->min_success == b->min_success },
    { "--queue", same_text (a->queue, b->queue) },
    { "--webhook", same_text (a->webhook, b->webhook) },
    { "--max-failures",
      a->max_failures == b->max_failures && a->max_failures_bp == b->max_failures_bp },
  };
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
    if (!fields[i].same)
      return fields[i].option;
  return NULL;
}
