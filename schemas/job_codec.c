/* Job: its fields in the record and back. */
#include "schemas/codec.h"
#include "schemas/codec_internal.h"

#include "common/memory.h"

static void
fill_codes (struct record *record, const char *name, const struct codes *codes)
{
  struct record array = record_field (record, name);
  for (int code = 0; code < 256; code++)
    if (codes->has[code])
      {
        struct record item = record_append (&array);
        if (item.failed || avro_value_set_int (&item.value, code) != 0)
          array.failed = true;
      }
  record->failed = record->failed || array.failed;
}

static void
fill_mounts (struct record *record, const struct job *job)
{
  struct record volumes = record_field (record, "volumes");
  for (size_t i = 0; i < job->volume_count; i++)
    {
      struct record item = record_append (&volumes);
      record_set_string (&item, "source", job->volumes[i].source);
      record_set_string (&item, "path", job->volumes[i].path);
      record_set_bool (&item, "shared", job->volumes[i].shared);
      volumes.failed = volumes.failed || item.failed;
    }
  struct record outputs = record_field (record, "outputs");
  for (size_t i = 0; i < job->output_count; i++)
    {
      struct record item = record_append (&outputs);
      record_set_string (&item, "name", job->outputs[i].name);
      record_set_string (&item, "path", job->outputs[i].path);
      outputs.failed = outputs.failed || item.failed;
    }
  record->failed = record->failed || volumes.failed || outputs.failed;
}

static void
fill_container (struct record *record, const struct job *job)
{
  record_set_string (record, "image", job->image);
  record_set_strings (record, "command", &job->command);
  if (job->has_entrypoint)
    record_set_strings (record, "entrypoint", &job->entrypoint);
  else
    record_set_null (record, "entrypoint");
  record_set_strings (record, "env", &job->env);
  record_set_string (record, "workdir", job->workdir);
  record_set_string (record, "user", job->user);
  record_set_enum (record, "network", network_name (job->network));
  record_set_bool (record, "read_only", job->read_only);
  record_set_strings (record, "tmpfs", &job->tmpfs);
  record_set_string (record, "runtime", job->runtime);
  record_set_bool (record, "init", job->init);
  record_set_string (record, "stop_signal", job->stop_signal);
  record_set_string (record, "hostname", job->hostname);
  record_set_strings (record, "groups", &job->groups);
  record_set_strings (record, "cap_drop", &job->cap_drop);
  record_set_strings (record, "ulimits", &job->ulimits);
  record_set_strings (record, "devices", &job->devices);
  record_set_optional_long (record, "shm_size", job->shm_size);
  record_set_string (record, "platform", job->platform);
  record_set_optional_long (record, "stop_timeout_ms", job->stop_timeout_ms);
}

static void
fill_sharding (struct record *record, const struct job *job)
{
  record_set_string (record, "glob", job->glob);
  record_set_string (record, "base_path", job->base_path);
  record_set_strings (record, "exclude", &job->exclude);
  record_set_bool (record, "glob_ignore_case", job->glob_ignore_case);
  record_set_long (record, "batch_size", job->batch_size);
  record_set_optional_long (record, "batch_bytes", job->batch_bytes);
  record_set_optional_long (record, "shards", job->shards);
  record_set_bool (record, "needs_count", job->needs_count);
  record_set_enum (record, "symlinks", symlinks_name (job->symlinks));
  record_set_enum (record, "stage", stage_mode_name (job->stage));
  record_set_strings (record, "quarantined", &job->quarantined);
  record_set_strings (record, "earlier_images", &job->earlier_images);
}

static void
fill_limits (struct record *record, const struct job *job)
{
  record_set_optional_long (record, "memory", job->memory);
  record_set_optional_int (record, "cpus", job->cpus);
  record_set_optional_long (record, "pids", job->pids);
  record_set_optional_long (record, "timeout_ms", job->timeout_ms);
  record_set_optional_long (record, "job_timeout_ms", job->job_timeout_ms);
  record_set_optional_long (record, "stage_timeout_ms", job->stage_timeout_ms);
  record_set_optional_long (record, "collect_timeout_ms", job->collect_timeout_ms);
  record_set_optional_long (record, "max_output_bytes", job->max_output_bytes);
  record_set_optional_long (record, "max_output_files", job->max_output_files);
  record_set_long (record, "log_limit", job->log_limit);
  record_set_int (record, "retries", job->retries);
  record_set_optional_int (record, "retry_memory", job->retry_memory);
  record_set_optional_long (record, "retry_memory_max", job->retry_memory_max);
  fill_codes (record, "fail_on", &job->fail_on);
  fill_codes (record, "success_codes", &job->success_codes);
  record_set_int (record, "min_success", job->min_success);
  record_set_optional_long (record, "max_failures", job->max_failures);
  record_set_optional_int (record, "max_failures_bp", job->max_failures_bp);
  record_set_optional_long (record, "pilot", job->pilot);
  record_set_optional_long (record, "max_parallel", job->max_parallel);
  record_set_int (record, "priority", job->priority);
  record_set_enum (record, "order", shard_order_name (job->order));
}

static void
fill_job (struct record *record, const void *message)
{
  const struct job *job = message;
  record_set_string (record, "id", job->id);
  record_set_long (record, "submitted", job->submitted);
  record_set_string (record, "results", job->results);
  fill_container (record, job);
  fill_mounts (record, job);
  fill_sharding (record, job);
  fill_limits (record, job);
  record_set_enum (record, "on_conflict", on_conflict_name (job->on_conflict));
  record_set_enum (record, "output_links", output_links_name (job->output_links));
  record_set_string (record, "reduce_image", job->reduce_image);
  record_set_strings (record, "reduce_command", &job->reduce_command);
  record_set_string (record, "queue", job->queue);
  record_set_string (record, "webhook", job->webhook);
  record_set_string (record, "credentials", job->credentials);
  record_set_string (record, "image_id", job->image_id);
  record_set_string (record, "reduce_image_id", job->reduce_image_id);
}

int
codec_encode_job (const struct job *job, struct buffer *out, struct error *err)
{
  return message_encode (MESSAGE_JOB, fill_job, job, out, err);
}

/* ---- reading ---------------------------------------------------------------------------- */

static void
read_codes (const struct record *record, const char *name, struct codes *codes)
{
  struct record array = { 0 };
  if (!record_get (record, name, &array))
    return;
  *codes = (struct codes){ 0 };
  for (size_t i = 0; i < record_size (&array); i++)
    {
      struct record item = record_item (&array, i);
      int32_t code = -1;
      if (!item.failed && avro_value_get_int (&item.value, &code) == 0 && code >= 0 && code < 256)
        codes->has[code] = true;
    }
}

/* Enums of a newer writer that have no name here give 0, the default. */
static int
known (int value)
{
  return value < 0 ? 0 : value;
}

static int
read_mounts (const struct record *record, struct job *job, struct error *err)
{
  struct record array = { 0 };
  size_t count = record_get (record, "volumes", &array) ? record_size (&array) : 0;
  if (count > JOB_LIST_MAX)
    return error_set (err, ERROR_USER, "%zu volumes: a job has at most %d", count, JOB_LIST_MAX);
  job->volumes = xcalloc (count, sizeof *job->volumes);
  for (size_t i = 0; i < count; i++)
    {
      struct record item = record_item (&array, i);
      job->volumes[job->volume_count++] =
          (struct volume){ .source = record_string (&item, "source"),
                           .path = record_string (&item, "path"),
                           .shared = record_bool (&item, "shared", false) };
    }
  count = record_get (record, "outputs", &array) ? record_size (&array) : 0;
  if (count > JOB_LIST_MAX)
    return error_set (err, ERROR_USER, "%zu outputs: a job has at most %d", count, JOB_LIST_MAX);
  job->outputs = xcalloc (count, sizeof *job->outputs);
  for (size_t i = 0; i < count; i++)
    {
      struct record item = record_item (&array, i);
      job->outputs[job->output_count++] = (struct output){ .name = record_string (&item, "name"),
                                                           .path = record_string (&item, "path") };
    }
  return 0;
}

/* What an older writer doesn't know keeps its default. */
static void
read_string_or_default (const struct record *record, const char *name, char **value)
{
  char *given = record_string (record, name);
  if (given == NULL)
    return;
  free (*value);
  *value = given;
}

static void
read_container (const struct record *record, struct job *job)
{
  struct record entrypoint = { 0 };
  job->image = record_string (record, "image");
  record_strings (record, "command", &job->command);
  job->has_entrypoint = record_get (record, "entrypoint", &entrypoint);
  record_strings (record, "entrypoint", &job->entrypoint);
  record_strings (record, "env", &job->env);
  job->workdir = record_string (record, "workdir");
  job->user = record_string (record, "user");
  job->network = (enum network) known (network_from_name (record_enum (record, "network")));
  job->read_only = record_bool (record, "read_only", false);
  record_strings (record, "tmpfs", &job->tmpfs);
  read_string_or_default (record, "runtime", &job->runtime);
  job->init = record_bool (record, "init", true);
  job->stop_signal = record_string (record, "stop_signal");
  job->hostname = record_string (record, "hostname");
  record_strings (record, "groups", &job->groups);
  record_strings (record, "cap_drop", &job->cap_drop);
  record_strings (record, "ulimits", &job->ulimits);
  record_strings (record, "devices", &job->devices);
  job->shm_size = record_long (record, "shm_size", -1);
  job->platform = record_string (record, "platform");
  job->stop_timeout_ms = record_long (record, "stop_timeout_ms", -1);
}

static void
read_sharding (const struct record *record, struct job *job)
{
  job->glob = record_string (record, "glob");
  job->base_path = record_string (record, "base_path");
  record_strings (record, "exclude", &job->exclude);
  job->glob_ignore_case = record_bool (record, "glob_ignore_case", false);
  job->batch_size = record_long (record, "batch_size", job->batch_size);
  job->batch_bytes = record_long (record, "batch_bytes", -1);
  job->shards = record_long (record, "shards", -1);
  job->needs_count = record_bool (record, "needs_count", false);
  job->symlinks = (enum symlinks) known (symlinks_from_name (record_enum (record, "symlinks")));
  job->stage = (enum stage_mode) known (stage_mode_from_name (record_enum (record, "stage")));
  record_strings (record, "quarantined", &job->quarantined);
  record_strings (record, "earlier_images", &job->earlier_images);
}

static void
read_limits (const struct record *record, struct job *job)
{
  job->memory = record_long (record, "memory", -1);
  job->cpus = (int32_t) record_long (record, "cpus", -1);
  job->pids = record_long (record, "pids", -1);
  job->timeout_ms = record_long (record, "timeout_ms", -1);
  job->job_timeout_ms = record_long (record, "job_timeout_ms", -1);
  job->stage_timeout_ms = record_long (record, "stage_timeout_ms", -1);
  job->collect_timeout_ms = record_long (record, "collect_timeout_ms", -1);
  job->max_output_bytes = record_long (record, "max_output_bytes", -1);
  job->max_output_files = record_long (record, "max_output_files", -1);
  job->log_limit = record_long (record, "log_limit", job->log_limit);
  job->retries = (int32_t) record_long (record, "retries", job->retries);
  job->retry_memory = (int32_t) record_long (record, "retry_memory", -1);
  job->retry_memory_max = record_long (record, "retry_memory_max", -1);
  read_codes (record, "fail_on", &job->fail_on);
  read_codes (record, "success_codes", &job->success_codes);
  job->success_codes.has[0] = true;
  job->min_success = (int32_t) record_long (record, "min_success", job->min_success);
  job->max_failures = record_long (record, "max_failures", -1);
  job->max_failures_bp = (int32_t) record_long (record, "max_failures_bp", -1);
  job->pilot = record_long (record, "pilot", -1);
  job->max_parallel = record_long (record, "max_parallel", -1);
  job->priority = (int32_t) record_long (record, "priority", 0);
  job->order = (enum shard_order) known (shard_order_from_name (record_enum (record, "order")));
}

int
job_read (const struct record *record, void *into, struct error *err)
{
  struct job *job = into;
  job_init (job);
  job->id = record_string (record, "id");
  job->submitted = record_long (record, "submitted", 0);
  job->results = record_string (record, "results");
  read_container (record, job);
  read_sharding (record, job);
  read_limits (record, job);
  int policy = on_conflict_from_name (record_enum (record, "on_conflict"));
  job->on_conflict = (enum on_conflict) known (policy);
  int links = output_links_from_name (record_enum (record, "output_links"));
  job->output_links = (enum output_links) known (links);
  job->reduce_image = record_string (record, "reduce_image");
  record_strings (record, "reduce_command", &job->reduce_command);
  read_string_or_default (record, "queue", &job->queue);
  job->webhook = record_string (record, "webhook");
  job->credentials = record_string (record, "credentials");
  job->image_id = record_string (record, "image_id");
  job->reduce_image_id = record_string (record, "reduce_image_id");
  return read_mounts (record, job, err);
}

int
codec_decode_job (struct bytes message, struct job *job, struct error *err)
{
  return message_decode (MESSAGE_JOB, message, job_read, job, err);
}
