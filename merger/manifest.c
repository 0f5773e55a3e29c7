#include "merger/manifest.h"

#include "common/clock.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/sys.h"
#include "common/text.h"
#include "merger/attempt_record.h"
#include "merger/report.h"
#include "result/result.h"
#include "storage/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>

enum
{
  FORMAT_VERSION = 1,
  WRITE_CHUNK = 64 << 10,
};

static void
manifest_set_text (json_t *object, const char *key, const char *text)
{
  if (text != NULL)
    text_set_bytes (object, key, text);
}

static void
manifest_set_number (json_t *object, const char *key, int64_t number)
{
  if (number >= 0)
    (void) json_object_set_new (object, key, json_integer (number));
}

static void
set_time (json_t *object, const char *key, int64_t wall_ms)
{
  char text[CLOCK_TEXT_SIZE];
  if (wall_ms > 0)
    (void) json_object_set_new (object, key, json_string (clock_format (wall_ms, text)));
}

static json_t *
manifest_list_json (const struct strlist *list)
{
  json_t *array = json_array ();
  for (size_t i = 0; i < list->count; i++)
    {
      json_t *string = json_string (list->items[i]);
      (void) json_array_append_new (array, string != NULL ? string : json_string ("?"));
    }
  return array;
}

/* Names only: values may be secrets. */
static json_t *
env_json (const struct strlist *env)
{
  json_t *array = json_array ();
  for (size_t i = 0; i < env->count; i++)
    {
      auto_free char *name = xstrndup (env->items[i], strcspn (env->items[i], "="));
      (void) json_array_append_new (array, json_string (name));
    }
  return array;
}

static json_t *
manifest_mounts_json (const struct job *job)
{
  json_t *array = json_array ();
  for (size_t i = 0; i < job->volume_count; i++)
    {
      json_t *volume = json_object ();
      auto_free char *source = storage_shown (job->volumes[i].source);
      manifest_set_text (volume, "source", source);
      manifest_set_text (volume, "path", job->volumes[i].path);
      (void) json_object_set_new (volume, "shared", json_boolean (job->volumes[i].shared));
      (void) json_array_append_new (array, volume);
    }
  return array;
}

static json_t *
job_json (const struct manifest *manifest)
{
  const struct job *job = manifest->job;
  json_t *object = json_object ();
  manifest_set_text (object, "id", job->id);
  manifest_set_text (object, "image", job->image);
  manifest_set_text (object, "image_id", job->image_id);
  if (job->earlier_images.count > 0)
    (void) json_object_set_new (object, "earlier_images",
                                manifest_list_json (&job->earlier_images));
  (void) json_object_set_new (object, "command", manifest_list_json (&job->command));
  if (job->has_entrypoint)
    (void) json_object_set_new (object, "entrypoint", manifest_list_json (&job->entrypoint));
  (void) json_object_set_new (object, "env", env_json (&job->env));
  (void) json_object_set_new (object, "volumes", manifest_mounts_json (job));
  manifest_set_text (object, "glob", job->glob);
  manifest_set_text (object, "base_path", job->base_path);
  if (job->glob != NULL)
    manifest_set_number (object, "batch_size", job->batch_size);
  manifest_set_text (object, "on_conflict", on_conflict_name (manifest->on_conflict));
  manifest_set_text (object, "reduce_image", job->reduce_image);
  manifest_set_text (object, "reduce_image_id", job->reduce_image_id);
  set_time (object, "submitted", job->submitted);
  set_time (object, "finished", fold_ended (manifest->fold));
  return object;
}

static json_t *
plan_json (const struct manifest *manifest)
{
  json_t *object = json_object ();
  manifest_set_number (object, "shards", manifest->status->shards);
  manifest_set_number (object, "atoms", manifest->status->atoms);
  const struct fold_plan *plan = fold_plan (manifest->fold);
  char hex[DIGEST_TEXT_SIZE];
  if (plan == NULL)
    return object;
  manifest_set_number (object, "bytes", plan->bytes);
  manifest_set_text (object, "digest", digest_format (plan->digest, hex));
  return object;
}

static json_t *
counts_json (const struct job_status *status)
{
  json_t *object = json_object ();
  manifest_set_number (object, "succeeded", status->succeeded);
  manifest_set_number (object, "failed", status->failed);
  if (status->shards >= 0)
    manifest_set_number (object, "not_run", status->shards - status->succeeded - status->failed);
  return object;
}

/* ---- shards ----------------------------------------------------------------------------- */

static const char *const shard_states[] = { "not_run", "not_run", "succeeded", "failed" };

/* What the attempt's own attempt.json says, but what the shard's line says already. */
static void
add_attempt (json_t *object, int folder_fd, const char *folder)
{
  static const char *const keys[] = { "reason",    "signal",      "started",  "ended",
                                      "cpu_us",    "peak_memory", "bytes_in", "bytes_out",
                                      "files_out", "atoms",       "writer",   "image_id" };
  json_t *attempt = attempt_record_read (folder_fd, folder);
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
    {
      json_t *value = json_object_get (attempt, keys[i]);
      if (value != NULL)
        (void) json_object_set (object, keys[i], value);
    }
  json_decref (attempt);
}

static json_t *
shard_json (const struct fold *fold, const struct shard_record *record, const char *folder,
            int folder_fd)
{
  json_t *object = json_object ();
  manifest_set_text (object, "state", shard_states[record->state]);
  manifest_set_number (object, "generation", record->generation > 0 ? record->generation : 1);
  manifest_set_number (object, "attempts", shard_attempts (record));
  if (shard_attempts (record) == 0)
    return object;
  manifest_set_text (object, "outcome", outcome_name ((enum outcome) record->outcome));
  (void) json_object_set_new (object, "exit_code", json_integer (record->exit_code));
  manifest_set_text (object, "folder", folder);
  if (folder != NULL)
    add_attempt (object, folder_fd, folder);
  else if (fold_reason (fold, record) != NULL)
    {
      auto_free char *reason = text_shown (fold_reason (fold, record));
      manifest_set_text (object, "reason", reason);
    }
  return object;
}

/* ---- the file --------------------------------------------------------------------------- */

struct writer
{
  int fd;
  struct buffer text;
  bool first; /* no member was written yet */
};

static int
manifest_flush (struct writer *writer, struct error *err)
{
  int outcome =
      fs_write_all (writer->fd, writer->text.data, writer->text.size, "manifest.json", err);
  buffer_clear (&writer->text);
  return outcome;
}

static void
put_key (struct writer *writer, const char *key)
{
  buffer_printf (&writer->text, "%s\"%s\": ", writer->first ? "{\n" : ",\n", key);
  writer->first = false;
}

/* VALUE is released. */
static void
put_value (struct writer *writer, json_t *value, size_t flags)
{
  auto_free char *text = json_dumps (value, JSON_ENCODE_ANY | flags);
  json_decref (value);
  buffer_puts (&writer->text, text);
}

static void
put_member (struct writer *writer, const char *key, json_t *value)
{
  put_key (writer, key);
  put_value (writer, value, 0);
}

static int
put_shards (struct writer *writer, const struct manifest *manifest, int folder_fd,
            struct report *report, struct error *err)
{
  put_key (writer, "shards");
  buffer_puts (&writer->text, "[");
  for (uint32_t i = 0; i < fold_known (manifest->fold); i++)
    {
      auto_free char *folder = fold_folder_name (manifest->fold, i);
      json_t *object =
          shard_json (manifest->fold, fold_shard (manifest->fold, i), folder, folder_fd);
      (void) json_object_set_new (object, "index", json_integer (i));
      report_add (report, i, object);
      buffer_puts (&writer->text, i == 0 ? "\n" : ",\n");
      put_value (writer, object, JSON_COMPACT);
      if (writer->text.size >= WRITE_CHUNK
          && (manifest_flush (writer, err) != 0 || heartbeat_renew (manifest->heartbeat, err) != 0))
        return -1;
    }
  buffer_puts (&writer->text, "\n]");
  return 0;
}

/* The shards without which the result has to do. */
static void
put_missing (struct writer *writer, const struct manifest *manifest)
{
  const char *separator = "";
  put_key (writer, "missing");
  buffer_puts (&writer->text, "[");
  for (uint32_t i = 0; i < fold_known (manifest->fold); i++)
    if (fold_shard (manifest->fold, i)->state != SHARD_SUCCEEDED)
      {
        buffer_printf (&writer->text, "%s%u", separator, i);
        separator = ", ";
      }
  buffer_puts (&writer->text, "]");
}

static void
put_reduce (struct writer *writer, const struct manifest *manifest, int folder_fd,
            struct report *report)
{
  const struct shard_record *reduce = fold_reduce (manifest->fold);
  if (reduce == NULL)
    return;
  auto_free char *folder = fold_reduce_folder_name (manifest->fold);
  json_t *object = shard_json (manifest->fold, reduce, folder, folder_fd);
  report_add_reduce (report, object);
  put_member (writer, "reduce", object);
}

/* Names of files may have any bytes. */
static json_t *
quarantined_json (const struct strlist *inputs)
{
  json_t *array = json_array ();
  for (size_t i = 0; i < inputs->count; i++)
    {
      auto_free char *path = text_shown (inputs->items[i]);
      (void) json_array_append_new (array, json_string (path));
    }
  return array;
}

int
manifest_write_quarantined (const struct job *job, int folder_fd, struct error *err)
{
  const struct strlist *inputs = &job->quarantined;
  auto_buffer struct buffer text = { 0 };
  if (inputs->count == 0)
    return 0;
  for (size_t i = 0; i < inputs->count; i++)
    {
      auto_free char *path = text_shown (inputs->items[i]);
      buffer_printf (&text, "%s\n", path);
    }
  return fs_write_file (folder_fd, RESULT_QUARANTINED, buffer_bytes (&text), err);
}

static void
manifest_put_head (struct writer *writer, const struct manifest *manifest)
{
  put_member (writer, "version", json_integer (FORMAT_VERSION));
  put_member (writer, "state", json_string (job_state_name (manifest->status->state)));
  if (manifest->status->reason != NULL)
    {
      auto_free char *reason = text_shown (manifest->status->reason);
      put_member (writer, "reason", json_string (reason));
    }
  if (fold_left_out (manifest->fold) != NULL)
    {
      auto_free char *left_out = text_shown (fold_left_out (manifest->fold));
      put_member (writer, "left_out", json_string (left_out));
    }
  if (manifest->job->quarantined.count > 0)
    put_member (writer, "quarantined", quarantined_json (&manifest->job->quarantined));
  put_member (writer, "job", job_json (manifest));
  put_member (writer, "plan", plan_json (manifest));
  put_member (writer, "counts", counts_json (manifest->status));
}

static int
put_outputs (struct writer *writer, const struct manifest *manifest, struct assembly *assembly,
             struct error *err)
{
  put_key (writer, "outputs");
  buffer_puts (&writer->text, "[\n");
  if (manifest_flush (writer, err) != 0)
    return -1;
  if (manifest->status->state != JOB_CONFLICT
      && assembly_write_lines (assembly, manifest->fold, writer->fd, err) != 0)
    return -1;
  buffer_puts (&writer->text, "\n]\n}\n");
  return manifest_flush (writer, err);
}

static int
write_all (struct writer *writer, const struct manifest *manifest, struct assembly *assembly,
           int folder_fd, struct report *report, struct error *err)
{
  manifest_put_head (writer, manifest);
  put_missing (writer, manifest);
  if (put_shards (writer, manifest, folder_fd, report, err) != 0)
    return -1;
  put_reduce (writer, manifest, folder_fd, report);
  put_member (writer, "conflicts", conflicts_json (assembly_conflicts (assembly)));
  if (put_outputs (writer, manifest, assembly, err) != 0)
    return -1;
  return sys_fsync (writer->fd) == 0 ? 0 : error_errno (err, errno, "fsync");
}

int
manifest_write (const struct manifest *manifest, struct assembly *assembly, int folder_fd,
                struct error *err)
{
  auto_fd int fd = fs_open_beneath (assembly_fd (assembly), "manifest.json",
                                    O_WRONLY | O_CREAT | O_TRUNC, 0644, err);
  if (fd < 0)
    return -1;
  struct writer writer = { .fd = fd, .first = true };
  auto_report struct report *report = report_new (manifest, folder_fd);
  int outcome = write_all (&writer, manifest, assembly, folder_fd, report, err);
  buffer_release (&writer.text);
  if (outcome != 0)
    return error_wrap (err, "manifest.json");
  return report_write (report, assembly_fd (assembly), err);
}
