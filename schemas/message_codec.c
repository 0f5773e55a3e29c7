/* Shard, event, control and status: their fields in the record and back. */
#include "schemas/codec.h"
#include "schemas/codec_internal.h"

#include "common/memory.h"
#include "schemas/job_bounds.h"

#include <string.h>
#include <strings.h>

/* A number of more than 2^53 is none that anybody meant: it is read as that, so that sums of what
 * others say don't overflow. */
static int64_t
number (const struct record *record, const char *name, int64_t absent)
{
  int64_t value = record_long (record, name, absent);
  return value > JOB_BYTES_MAX ? JOB_BYTES_MAX : value < -JOB_BYTES_MAX ? -JOB_BYTES_MAX : value;
}

static uint32_t
natural_or (const struct record *record, const char *name, uint32_t absent)
{
  int64_t value = record_long (record, name, absent);
  return value < 0 ? 0 : (uint32_t) value;
}

static uint32_t
natural (const struct record *record, const char *name)
{
  return natural_or (record, name, 0);
}

static struct bytes
digest_bytes (const uint8_t digest[static DIGEST_SIZE])
{
  return (struct bytes){ digest, DIGEST_SIZE };
}

/* Absent or of another length: zeros. */
static void
read_digest (const struct record *record, uint8_t digest[static DIGEST_SIZE])
{
  struct bytes bytes = record_bytes (record, "digest");
  if (bytes.size == DIGEST_SIZE)
    memcpy (digest, bytes.data, DIGEST_SIZE);
}

static const char *
shard_kind_name (enum shard_kind kind)
{
  return kind == SHARD_REDUCE ? "reduce" : "map";
}

static enum shard_kind
read_shard_kind (const struct record *record, const char *name)
{
  return strcmp (record_enum (record, name), "REDUCE") == 0 ? SHARD_REDUCE : SHARD_MAP;
}

/* ---- shard ------------------------------------------------------------------------------ */

static void
fill_shard (struct record *record, const void *message)
{
  const struct shard *shard = message;
  record_set_string (record, "job_id", shard->job_id);
  record_set_enum (record, "kind", shard_kind_name (shard->kind));
  record_set_int (record, "generation", (int32_t) shard->generation);
  record_set_int (record, "index", (int32_t) shard->index);
  record_set_optional_long (record, "count", shard->count);
  record_set_int (record, "attempt", (int32_t) shard->attempt);
  record_set_int (record, "failures", (int32_t) shard->failures);
  record_set_int (record, "infra", (int32_t) shard->infra);
  record_set_long (record, "not_before", shard->not_before);
  record_set_long (record, "atom_count", shard->atom_count);
  record_set_optional_long (record, "bytes", shard->bytes);
  record_set_bytes (record, "digest", digest_bytes (shard->digest));
  record_set_bytes (record, "atoms", buffer_bytes (&shard->atoms));
  record_set_optional_long (record, "memory", shard->memory > 0 ? shard->memory : -1);
  record_set_strings (record, "volume_pins", &shard->volume_pins);
  if (shard->plan_offset < 0)
    {
      record_set_null (record, "plan");
      return;
    }
  struct record plan = record_field (record, "plan");
  record_set_long (&plan, "offset", shard->plan_offset);
  record_set_long (&plan, "length", shard->plan_length);
  record->failed = record->failed || plan.failed;
}

int
codec_encode_shard (const struct shard *shard, struct buffer *out, struct error *err)
{
  return message_encode (MESSAGE_SHARD, fill_shard, shard, out, err);
}

int
shard_read (const struct record *record, void *into, struct error *err)
{
  (void) err;
  struct shard *shard = into;
  shard->job_id = record_string (record, "job_id");
  shard->kind = read_shard_kind (record, "kind");
  shard->generation = natural (record, "generation");
  shard->index = natural (record, "index");
  shard->count = number (record, "count", -1);
  shard->attempt = natural (record, "attempt");
  shard->failures = natural (record, "failures");
  shard->infra = natural (record, "infra");
  shard->not_before = number (record, "not_before", 0);
  shard->atom_count = number (record, "atom_count", 0);
  shard->bytes = number (record, "bytes", -1);
  read_digest (record, shard->digest);
  struct bytes atoms = record_bytes (record, "atoms");
  buffer_append (&shard->atoms, atoms.data, atoms.size);
  shard->memory = number (record, "memory", -1);
  record_strings (record, "volume_pins", &shard->volume_pins);
  struct record plan = { 0 };
  bool in_file = record_get (record, "plan", &plan);
  shard->plan_offset = in_file ? number (&plan, "offset", -1) : -1;
  shard->plan_length = in_file ? number (&plan, "length", -1) : -1;
  return 0;
}

int
codec_decode_shard (struct bytes message, struct shard *shard, struct error *err)
{
  return message_decode (MESSAGE_SHARD, message, shard_read, shard, err);
}

/* ---- event ------------------------------------------------------------------------------ */

static void
fill_report (struct record *record, const struct attempt_report *report)
{
  struct record field = record_field (record, "report");
  record_set_enum (&field, "outcome", outcome_name (report->outcome));
  record_set_bool (&field, "final", report->final);
  record_set_int (&field, "exit_code", report->exit_code);
  record_set_int (&field, "signal", report->signal);
  record_set_string (&field, "folder", report->folder);
  record_set_string (&field, "reason", report->reason);
  record_set_long (&field, "started", report->started);
  record_set_long (&field, "ended", report->ended);
  record_set_optional_long (&field, "cpu_us", report->cpu_us);
  record_set_optional_long (&field, "peak_memory", report->peak_memory);
  record_set_long (&field, "bytes_in", report->bytes_in);
  record_set_long (&field, "bytes_out", report->bytes_out);
  record_set_long (&field, "files_out", report->files_out);
  record->failed = record->failed || field.failed;
}

static void
fill_indexes (struct record *record, const struct event *event)
{
  struct record array = record_field (record, "indexes");
  for (size_t i = 0; i < event->index_count; i++)
    {
      struct record item = record_append (&array);
      if (item.failed || avro_value_set_int (&item.value, (int32_t) event->indexes[i]) != 0)
        array.failed = true;
    }
  record->failed = record->failed || array.failed;
}

static void
fill_event (struct record *record, const void *message)
{
  const struct event *event = message;
  bool planned = event->kind == EVENT_PLANNED;
  bool counted = planned || event->kind == EVENT_FINISHED;
  record_set_enum (record, "kind", event_kind_name (event->kind));
  record_set_string (record, "job_id", event->job_id);
  record_set_long (record, "time", event->time);
  record_set_string (record, "writer", event->writer);
  record_set_int (record, "generation", (int32_t) event->generation);
  record_set_int (record, "index", (int32_t) event->index);
  record_set_enum (record, "shard_kind", shard_kind_name (event->shard_kind));
  record_set_int (record, "attempt", (int32_t) event->attempt);
  record_set_int (record, "starts", (int32_t) event->starts);
  record_set_bytes (record, "digest", digest_bytes (event->digest));
  record_set_optional_long (record, "shards", planned ? event->shards : -1);
  record_set_optional_long (record, "atoms", counted ? event->atoms : -1);
  record_set_optional_long (record, "bytes", counted ? event->bytes : -1);
  if (event->kind == EVENT_FINISHED)
    fill_report (record, &event->report);
  else
    record_set_null (record, "report");
  fill_indexes (record, event);
  record_set_enum (record, "on_conflict", on_conflict_name (event->on_conflict));
  record_set_string (record, "reason", event->reason);
  record_set_string (record, "class_name", event->class_name);
  record_set_strings (record, "volume_pins", &event->volume_pins);
}

int
codec_encode_event (const struct event *event, struct buffer *out, struct error *err)
{
  return message_encode (MESSAGE_EVENT, fill_event, event, out, err);
}

/* INDEX of SYMBOL among the N names that NAME gives; 0 when it is none of them. */
static int
symbol_index (const char *symbol, const char *(*name) (int), int n)
{
  for (int i = 0; i < n; i++)
    if (strcasecmp (symbol, name (i)) == 0)
      return i;
  return -1;
}

static const char *
event_kind_name_ (int kind)
{
  return event_kind_name ((enum event_kind) kind);
}

static const char *
outcome_name_ (int outcome)
{
  return outcome_name ((enum outcome) outcome);
}

static const char *
job_state_name_ (int state)
{
  return job_state_name ((enum job_state) state);
}

static void
read_report (const struct record *record, struct attempt_report *report)
{
  int outcome = symbol_index (record_enum (record, "outcome"), outcome_name_, OUTCOME_INFRA + 1);
  report->outcome = outcome < 0 ? OUTCOME_INFRA : (enum outcome) outcome;
  report->final = record_bool (record, "final", true);
  report->exit_code = (int32_t) number (record, "exit_code", -1);
  report->signal = (int32_t) number (record, "signal", 0);
  report->folder = record_string (record, "folder");
  report->reason = record_string (record, "reason");
  report->started = number (record, "started", 0);
  report->ended = number (record, "ended", 0);
  report->cpu_us = number (record, "cpu_us", -1);
  report->peak_memory = number (record, "peak_memory", -1);
  report->bytes_in = number (record, "bytes_in", 0);
  report->bytes_out = number (record, "bytes_out", 0);
  report->files_out = number (record, "files_out", 0);
}

static void
read_indexes (const struct record *record, struct event *event)
{
  struct record array = { 0 };
  if (!record_get (record, "indexes", &array))
    return;
  size_t count = record_size (&array);
  event->indexes = xcalloc (count, sizeof *event->indexes);
  for (size_t i = 0; i < count; i++)
    {
      struct record item = record_item (&array, i);
      int32_t index = -1;
      if (!item.failed && avro_value_get_int (&item.value, &index) == 0 && index >= 0)
        event->indexes[event->index_count++] = (uint32_t) index;
    }
}

int
event_read (const struct record *record, void *into, struct error *err)
{
  (void) err;
  struct event *event = into;
  int kind = symbol_index (record_enum (record, "kind"), event_kind_name_, EVENT_REMERGE + 1);
  event->kind = kind < 0 ? EVENT_UNKNOWN : (enum event_kind) kind;
  event->job_id = record_string (record, "job_id");
  event->time = number (record, "time", 0);
  event->writer = record_string (record, "writer");
  event->generation = natural (record, "generation");
  event->index = natural (record, "index");
  event->shard_kind = read_shard_kind (record, "shard_kind");
  event->attempt = natural (record, "attempt");
  event->starts = natural (record, "starts");
  read_digest (record, event->digest);
  event->shards = number (record, "shards", -1);
  event->atoms = number (record, "atoms", -1);
  event->bytes = number (record, "bytes", -1);
  struct record report = { 0 };
  if (record_get (record, "report", &report))
    read_report (&report, &event->report);
  read_indexes (record, event);
  int policy = on_conflict_from_name (record_enum (record, "on_conflict"));
  event->on_conflict = policy < 0 ? CONFLICT_FAIL : (enum on_conflict) policy;
  event->reason = record_string (record, "reason");
  event->class_name = record_string (record, "class_name");
  record_strings (record, "volume_pins", &event->volume_pins);
  return 0;
}

int
codec_decode_event (struct bytes message, struct event *event, struct error *err)
{
  return message_decode (MESSAGE_EVENT, message, event_read, event, err);
}

/* ---- control and status ----------------------------------------------------------------- */

static const char *const control_names[] = { "unknown", "cancel", "set" };

static void
fill_settings (struct record *record, const struct control *control)
{
  bool sets = control->kind == CONTROL_SET;
  if (sets && control->priority != CONTROL_KEPT)
    record_set_int (record, "priority", control->priority);
  else
    record_set_null (record, "priority");
  record_set_optional_long (record, "max_parallel", sets ? control->max_parallel : CONTROL_KEPT);
  if (sets && control->paused != CONTROL_KEPT)
    record_set_bool (record, "paused", control->paused == 1);
  else
    record_set_null (record, "paused");
}

static void
fill_control (struct record *record, const void *message)
{
  const struct control *control = message;
  record_set_enum (record, "kind", control_names[control->kind]);
  record_set_string (record, "job_id", control->job_id);
  record_set_long (record, "time", control->time);
  record_set_int (record, "generation", (int32_t) control->generation);
  record_set_string (record, "reason", control->reason);
  fill_settings (record, control);
}

int
codec_encode_control (const struct control *control, struct buffer *out, struct error *err)
{
  return message_encode (MESSAGE_CONTROL, fill_control, control, out, err);
}

static const char *
control_name_ (int kind)
{
  return control_names[kind];
}

int
control_read (const struct record *record, void *into, struct error *err)
{
  (void) err;
  struct control *control = into;
  int kind = symbol_index (record_enum (record, "kind"), control_name_, CONTROL_SET + 1);
  control->kind = kind < 0 ? CONTROL_UNKNOWN : (enum control_kind) kind;
  control->job_id = record_string (record, "job_id");
  control->time = number (record, "time", 0);
  control->generation = natural (record, "generation");
  control->reason = record_string (record, "reason");
  control->priority = (int32_t) record_long (record, "priority", CONTROL_KEPT);
  control->max_parallel = record_long (record, "max_parallel", CONTROL_KEPT);
  struct record paused = { 0 };
  control->paused = !record_get (record, "paused", &paused) ? CONTROL_KEPT
                                                            : record_bool (record, "paused", false);
  return 0;
}

int
codec_decode_control (struct bytes message, struct control *control, struct error *err)
{
  return message_decode (MESSAGE_CONTROL, message, control_read, control, err);
}

static void
fill_status (struct record *record, const void *message)
{
  const struct job_status *status = message;
  record_set_string (record, "job_id", status->job_id);
  record_set_enum (record, "state", job_state_name (status->state));
  record_set_long (record, "updated", status->updated);
  record_set_optional_long (record, "shards", status->shards);
  record_set_optional_long (record, "atoms", status->atoms);
  record_set_long (record, "succeeded", status->succeeded);
  record_set_long (record, "failed", status->failed);
  record_set_long (record, "running", status->running);
  record_set_long (record, "atoms_done", status->atoms_done);
  record_set_int (record, "generation", (int32_t) status->generation);
  record_set_int (record, "closed", (int32_t) status->closed);
  record_set_string (record, "result", status->result);
  record_set_string (record, "reason", status->reason);
  record_set_string (record, "class_name", status->class_name);
  record_set_string (record, "webhook", status->webhook);
}

int
codec_encode_status (const struct job_status *status, struct buffer *out, struct error *err)
{
  return message_encode (MESSAGE_STATUS, fill_status, status, out, err);
}

int
status_read (const struct record *record, void *into, struct error *err)
{
  (void) err;
  struct job_status *status = into;
  int state = symbol_index (record_enum (record, "state"), job_state_name_, JOB_CANCELLED + 1);
  status->job_id = record_string (record, "job_id");
  status->state = state < 0 ? JOB_RUNNING : (enum job_state) state;
  status->updated = number (record, "updated", 0);
  status->shards = number (record, "shards", -1);
  status->atoms = number (record, "atoms", -1);
  status->succeeded = number (record, "succeeded", 0);
  status->failed = number (record, "failed", 0);
  status->running = number (record, "running", 0);
  status->atoms_done = number (record, "atoms_done", 0);
  status->generation = natural_or (record, "generation", 1);
  status->closed = natural (record, "closed");
  status->result = record_string (record, "result");
  status->reason = record_string (record, "reason");
  status->class_name = record_string (record, "class_name");
  status->webhook = record_string (record, "webhook");
  return 0;
}

int
codec_decode_status (struct bytes message, struct job_status *status, struct error *err)
{
  return message_decode (MESSAGE_STATUS, message, status_read, status, err);
}
