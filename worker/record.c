#include "worker/record.h"

#include "common/buffer.h"
#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* The folder appears as a whole by its rename, so its files need no temporary names. */
static int
write_file (int folder_fd, const char *name, const char *text, struct error *err)
{
  auto_fd int fd =
      openat (folder_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (fd < 0)
    return error_errno (err, errno, "%s", name);
  return fs_write_all (fd, text, strlen (text), name, err);
}

static void
attempt_record_set_number (json_t *object, const char *key, int64_t value)
{
  if (value >= 0)
    (void) json_object_set_new (object, key, json_integer (value));
}

static void
attempt_record_set_text (json_t *object, const char *key, const char *value)
{
  if (value != NULL)
    (void) json_object_set_new (object, key, json_string (value));
}

/* Numbers that aren't known are absent. */
static json_t *
attempt_json (const struct attempt *attempt, const struct attempt_report *report)
{
  const struct shard *shard = attempt->shard;
  json_t *object = json_object ();
  attempt_record_set_text (object, "job", shard->job_id);
  attempt_record_set_text (object, "kind", shard->kind == SHARD_REDUCE ? "reduce" : "map");
  attempt_record_set_number (object, "shard", shard->index);
  attempt_record_set_number (object, "generation", shard->generation);
  attempt_record_set_number (object, "attempt", shard->attempt);
  attempt_record_set_number (object, "starts", attempt->starts);
  attempt_record_set_text (object, "outcome", outcome_name (report->outcome));
  (void) json_object_set_new (object, "exit_code", json_integer (report->exit_code));
  if (report->signal > 0)
    attempt_record_set_number (object, "signal", report->signal);
  attempt_record_set_text (object, "reason", report->reason);
  attempt_record_set_number (object, "started", report->started);
  attempt_record_set_number (object, "ended", report->ended);
  attempt_record_set_number (object, "cpu_us", report->cpu_us);
  attempt_record_set_number (object, "peak_memory", report->peak_memory);
  attempt_record_set_number (object, "atoms", shard->atom_count);
  attempt_record_set_number (object, "bytes_in", report->bytes_in);
  attempt_record_set_number (object, "bytes_out", report->bytes_out);
  attempt_record_set_number (object, "files_out", report->files_out);
  attempt_record_set_text (object, "writer", attempt->writer);
  if (report->exit_code >= 0) /* it was started: the image is this attempt's */
    attempt_record_set_text (object, "image_id", container_image_id (attempt->runtime));
  return object;
}

int
record_write (int folder_fd, const struct attempt *attempt, const struct attempt_report *report,
              struct error *err)
{
  char code[32];
  (void) snprintf (code, sizeof code, "%d\n", report->exit_code);
  if (write_file (folder_fd, "exit_code", code, err) != 0)
    return -1;
  json_t *object = attempt_json (attempt, report);
  auto_free char *text = json_dumps (object, JSON_INDENT (2));
  json_decref (object);
  auto_buffer struct buffer line = { 0 };
  buffer_puts (&line, text);
  buffer_putc (&line, '\n');
  return write_file (folder_fd, "attempt.json", line.data, err);
}
