/* The wire formats against somebody else's reading of the specification (golden/, made by
 * fastavro), and the rules by which schemas may change. */
#include "common/fs.h"
#include "common/memory.h"
#include "schemas/codec.h"
#include "schemas/codec_internal.h"
#include "schemas/fingerprint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const char *const records[] = { "Atom", "Claim",     "Control", "Event",
                                       "Job",  "JobStatus", "Shard" };

enum
{
  RECORDS = sizeof records / sizeof records[0]
};

/* FORMAT with NAME in it, relative to tests/, as a buffer that the caller releases. */
static struct buffer
read_file (const char *format, const char *name)
{
  struct buffer text = { 0 };
  struct error err = ERROR_INIT;
  char path[256];
  (void) snprintf (path, sizeof path, "%s%s", format, name);
  if (fs_read_file (AT_FDCWD, path, MESSAGE_SIZE_MAX, &text, &err) != 0)
    fail_msg ("%s (tests run in tests/)", err.message);
  return text;
}

static struct buffer
golden (const char *record, const char *ending)
{
  auto_free char *name = xasprintf ("%s.%s", record, ending);
  return read_file ("golden/", name);
}

static struct buffer
schema_text (const char *record)
{
  auto_free char *name = xasprintf ("%s.avsc", record);
  return read_file ("../schemas/", name);
}

/* ---- golden files ----------------------------------------------------------------------- */

static void
fingerprints_are_those_of_fastavro (void **state)
{
  (void) state;
  auto_buffer struct buffer list = read_file ("golden/", "fingerprints");
  for (size_t i = 0; i < RECORDS; i++)
    {
      auto_buffer struct buffer schema = schema_text (records[i]);
      auto_buffer struct buffer wanted = golden (records[i], "canonical");
      auto_buffer struct buffer canonical = { 0 };
      assert_int_equal (fingerprint_canonical (schema.data, &canonical, NULL), 0);
      assert_string_equal (canonical.data, wanted.data);
      uint64_t fingerprint = 0;
      assert_int_equal (fingerprint_of (schema.data, &fingerprint, NULL), 0);
      auto_free char *line = xasprintf ("%s %016" PRIx64 "\n", records[i], fingerprint);
      assert_non_null (strstr (list.data, line));
    }
}

/* What somebody else wrote is read, and written again as the same bytes. */
#define ROUND_TRIP(record, struct_name, auto_name, short_name)                                     \
  auto_buffer struct buffer bytes = golden (record, "avro");                                       \
  auto_buffer struct buffer again = { 0 };                                                         \
  auto_name struct struct_name it = { 0 };                                                         \
  struct error err = ERROR_INIT;                                                                   \
  if (codec_decode_##short_name (buffer_bytes (&bytes), &it, &err) != 0                            \
      || codec_encode_##short_name (&it, &again, &err) != 0)                                       \
    fail_msg ("%s", err.message);                                                                  \
  assert_int_equal (again.size, bytes.size);                                                       \
  assert_memory_equal (again.data, bytes.data, bytes.size)

static void
a_golden_job_is_read_and_written (void **state)
{
  (void) state;
  ROUND_TRIP ("Job", job, auto_job, job);
  assert_string_equal (it.id, "j-1");
  assert_int_equal (it.submitted, 1700000000123);
  assert_int_equal (it.command.count, 3);
  assert_true (it.has_entrypoint);
  assert_int_equal (it.entrypoint.count, 0);
  assert_int_equal (it.network, NETWORK_HOST);
  assert_int_equal (it.volume_count, 2);
  assert_string_equal (it.volumes[1].source, "s3://b/k");
  assert_true (it.volumes[1].shared);
  assert_int_equal (it.batch_bytes, (int64_t) 1 << 40);
  assert_int_equal (it.shards, -1);
  assert_int_equal (it.symlinks, SYMLINKS_SKIP);
  assert_int_equal (it.stage, STAGE_BIND);
  assert_int_equal (it.job_timeout_ms, -1);
  assert_true (it.fail_on.has[255] && it.fail_on.has[2] && !it.fail_on.has[0]);
  assert_true (it.success_codes.has[7]);
  assert_int_equal (it.max_failures, 3);
  assert_int_equal (it.max_failures_bp, -1);
  assert_int_equal (it.on_conflict, CONFLICT_CONCAT);
  assert_string_equal (it.queue, "gpu");
  assert_string_equal (it.webhook, "https://h/x");
  assert_int_equal (it.max_output_bytes, (int64_t) 1 << 41);
  assert_int_equal (it.max_output_files, 100000);
  assert_int_equal (it.stage_timeout_ms, 3600000);
  assert_int_equal (it.collect_timeout_ms, -1);
  assert_string_equal (it.credentials, "team-a");
  assert_false (it.init);
  assert_string_equal (it.stop_signal, "SIGINT");
  assert_int_equal (it.stop_timeout_ms, 2500);
  assert_int_equal (it.output_links, OUTPUT_LINKS_FAIL);
  assert_string_equal (it.hostname, "node-1");
  assert_string_equal (it.groups.items[1], "44");
  assert_string_equal (it.cap_drop.items[0], "ALL");
  assert_string_equal (it.ulimits.items[0], "nofile=1024:2048");
  assert_int_equal (it.shm_size, 1 << 28);
  assert_true (it.glob_ignore_case);
  assert_int_equal (it.retry_memory, 150);
  assert_int_equal (it.retry_memory_max, (int64_t) 1 << 33);
  assert_string_equal (it.platform, "linux/arm/v7");
  assert_string_equal (it.quarantined.items[0], "/in/bad.jpg");
  assert_int_equal (it.devices.count, 2);
  assert_string_equal (it.devices.items[1], "vendor.com/gpu=0");
  assert_int_equal (it.pilot, 7);
  assert_int_equal (it.max_parallel, 40);
  assert_int_equal (it.earlier_images.count, 1);
  assert_int_equal (strlen (it.earlier_images.items[0]), 71);
  assert_int_equal (it.priority, -3);
  assert_int_equal (it.order, ORDER_SIZE);
}

static void
a_golden_shard_is_read_and_written (void **state)
{
  (void) state;
  ROUND_TRIP ("Shard", shard, auto_shard, shard);
  assert_int_equal (it.kind, SHARD_REDUCE);
  assert_int_equal (it.generation, 2);
  assert_int_equal (it.index, 41);
  assert_int_equal (it.attempt, 3);
  assert_int_equal (it.not_before, 1700000001000);
  assert_int_equal (it.digest[31], 31);
  assert_int_equal (it.plan_offset, (int64_t) 1 << 33);
  assert_int_equal (it.plan_length, 700000);
  assert_int_equal (it.memory, (int64_t) 1 << 32);
  assert_null (shard_volume_pin (&it, 0));
  assert_string_equal (shard_volume_pin (&it, 1), "5-1764478000123456789-4711");
}

static void
a_golden_event_is_read_and_written (void **state)
{
  (void) state;
  ROUND_TRIP ("Event", event, auto_event, event);
  assert_int_equal (it.kind, EVENT_FINISHED);
  assert_int_equal (it.starts, 3);
  assert_int_equal (it.report.outcome, OUTCOME_OOM);
  assert_int_equal (it.report.signal, 9);
  assert_int_equal (it.report.peak_memory, (int64_t) 1 << 31);
  assert_int_equal (it.index_count, 3);
  assert_int_equal (it.indexes[2], 70000);
  assert_int_equal (it.on_conflict, CONFLICT_LAST);
  assert_string_equal (it.volume_pins.items[0], "7-1-2");
}

static void
a_golden_control_record_is_read_and_written (void **state)
{
  (void) state;
  ROUND_TRIP ("Control", control, auto_control, control);
  assert_int_equal (it.kind, CONTROL_SET);
  assert_int_equal (it.generation, 2);
  assert_string_equal (it.reason, "not needed");
  assert_int_equal (it.priority, -3);
  assert_int_equal (it.max_parallel, 40);
  assert_int_equal (it.paused, 1);
}

static void
a_golden_claim_is_read_and_written (void **state)
{
  (void) state;
  ROUND_TRIP ("Claim", claim, auto_claim, claim);
  assert_int_equal (it.kind, CLAIM_SETTLE);
  assert_string_equal (it.writer, "worker-h-1-abc");
  assert_int_equal (it.starts, 2);
  assert_int_equal (it.lease_ms, 30000);
  assert_int_equal (it.position, (int64_t) 1 << 40);
  assert_memory_equal (it.event.data, "\xc3\x01 an event", 11);
  assert_int_equal (it.retry.size, 0);
}

static void
a_golden_status_is_read_and_written (void **state)
{
  (void) state;
  ROUND_TRIP ("JobStatus", job_status, auto_job_status, status);
  assert_int_equal (it.state, JOB_PARTIAL);
  assert_int_equal (it.atoms_done, 99000);
  assert_int_equal (it.closed, 1);
  assert_null (it.class_name);
  assert_string_equal (it.webhook, "pending");
}

/* What a program before this one wrote. */
static void
golden_messages_of_older_versions_are_read (void **state)
{
  (void) state;
  auto_buffer struct buffer old_control = golden ("Control.1", "avro");
  auto_buffer struct buffer old_status = golden ("JobStatus.1", "avro");
  auto_buffer struct buffer status_2 = golden ("JobStatus.2", "avro");
  auto_job_status struct job_status second = { 0 };
  assert_int_equal (codec_decode_status (buffer_bytes (&status_2), &second, NULL), 0);
  assert_int_equal (second.closed, 1);
  assert_null (second.webhook);
  auto_buffer struct buffer old_job = golden ("Job.1", "avro");
  auto_control struct control control = { 0 };
  auto_job_status struct job_status status = { 0 };
  auto_job struct job job = { 0 };
  assert_int_equal (codec_decode_job (buffer_bytes (&old_job), &job, NULL), 0);
  assert_int_equal (job.submitted, 1700000000123);
  assert_string_equal (job.queue, "default");
  assert_null (job.webhook);
  auto_buffer struct buffer job_2 = golden ("Job.2", "avro");
  auto_job struct job second_job = { 0 };
  assert_int_equal (codec_decode_job (buffer_bytes (&job_2), &second_job, NULL), 0);
  assert_string_equal (second_job.webhook, "https://h/x");
  assert_int_equal (second_job.max_output_bytes, -1);
  assert_int_equal (second_job.stage_timeout_ms, -1);
  assert_null (second_job.credentials);
  auto_buffer struct buffer job_3 = golden ("Job.3", "avro");
  auto_job struct job third_job = { 0 };
  assert_int_equal (codec_decode_job (buffer_bytes (&job_3), &third_job, NULL), 0);
  assert_string_equal (third_job.credentials, "team-a");
  assert_true (third_job.init);
  assert_null (third_job.stop_signal);
  assert_int_equal (third_job.stop_timeout_ms, -1);
  assert_int_equal (third_job.output_links, OUTPUT_LINKS_FOLLOW);
  assert_null (third_job.hostname);
  assert_int_equal (third_job.shm_size, -1);
  assert_false (third_job.glob_ignore_case);
  assert_int_equal (third_job.retry_memory, -1);
  assert_int_equal (third_job.retry_memory_max, -1);
  auto_buffer struct buffer job_4 = golden ("Job.4", "avro");
  auto_job struct job fourth_job = { 0 };
  assert_int_equal (codec_decode_job (buffer_bytes (&job_4), &fourth_job, NULL), 0);
  assert_int_equal (fourth_job.priority, -3);
  assert_int_equal (fourth_job.order, ORDER_INDEX);
  auto_buffer struct buffer shard_1 = golden ("Shard.1", "avro");
  auto_shard struct shard old_shard = { 0 };
  assert_int_equal (codec_decode_shard (buffer_bytes (&shard_1), &old_shard, NULL), 0);
  assert_int_equal (old_shard.plan_length, 700000);
  assert_int_equal (old_shard.memory, -1);
  auto_buffer struct buffer shard_2 = golden ("Shard.2", "avro");
  auto_shard struct shard second_shard = { 0 };
  assert_int_equal (codec_decode_shard (buffer_bytes (&shard_2), &second_shard, NULL), 0);
  assert_int_equal (second_shard.memory, (int64_t) 1 << 32);
  assert_int_equal (second_shard.volume_pins.count, 0);
  auto_buffer struct buffer event_1 = golden ("Event.1", "avro");
  auto_event struct event old_event = { 0 };
  assert_int_equal (codec_decode_event (buffer_bytes (&event_1), &old_event, NULL), 0);
  assert_string_equal (old_event.reason, "r");
  assert_int_equal (old_event.volume_pins.count, 0);
  assert_null (third_job.platform);
  assert_int_equal (codec_decode_control (buffer_bytes (&old_control), &control, NULL), 0);
  assert_string_equal (control.reason, "not needed");
  assert_int_equal (control.generation, 0);
  auto_buffer struct buffer control_2 = golden ("Control.2", "avro");
  auto_control struct control second_control = { 0 };
  assert_int_equal (codec_decode_control (buffer_bytes (&control_2), &second_control, NULL), 0);
  assert_int_equal (second_control.kind, CONTROL_CANCEL);
  assert_int_equal (second_control.generation, 2);
  assert_int_equal (second_control.priority, CONTROL_KEPT);
  assert_int_equal (codec_decode_status (buffer_bytes (&old_status), &status, NULL), 0);
  assert_int_equal (status.generation, 2);
  assert_int_equal (status.closed, 0);
  assert_string_equal (status.reason, "1 shard failed");
}

static bool
same_text (const char *left, const char *right)
{
  return left == NULL || right == NULL ? left == right : strcmp (left, right) == 0;
}

static void
golden_atoms_are_read_and_written (void **state)
{
  (void) state;
  auto_buffer struct buffer bytes = golden ("Atom", "avro");
  auto_buffer struct buffer again = { 0 };
  auto_atom_cursor struct atom_cursor cursor = atom_cursor_start (buffer_bytes (&bytes));
  struct atom atom = { 0 };
  static const struct atom golden_atoms[] = {
    { .size = 12345, .path = "2019/a.jpg" },
    { .volume = 1, .folder = true, .size = -1, .path = "" },
    { .volume = 70000,
      .size = (int64_t) 1 << 40,
      .path = "new\nline \xff\xfe",
      .source = "s3://b/k" },
    { .size = 3, .path = "a", .version = "\"d41d8c\"" },
    { .size = -1, .path = "b", .version = "v", .source = "https://h/x" },
  };
  size_t count = 0;
  while (atom_cursor_next (&cursor, &atom, NULL) == 1)
    {
      assert_true (count < sizeof golden_atoms / sizeof *golden_atoms);
      const struct atom *wanted = &golden_atoms[count++];
      assert_int_equal (atom.volume, wanted->volume);
      assert_int_equal (atom.folder, wanted->folder);
      assert_int_equal (atom.size, wanted->size);
      assert_string_equal (atom.path, wanted->path);
      assert_true (same_text (atom.source, wanted->source));
      assert_true (same_text (atom.version, wanted->version));
      atom_append (&again, &atom);
    }
  assert_int_equal (count, sizeof golden_atoms / sizeof *golden_atoms);
  assert_int_equal (again.size, bytes.size);
  assert_memory_equal (again.data, bytes.data, bytes.size);
}

/* ---- the rules of change: FULL_TRANSITIVE ----------------------------------------------- */

static bool can_read (const json_t *reader, const json_t *writer);

static const json_t *
field_of (const json_t *record, const char *name)
{
  size_t i = 0;
  const json_t *field = NULL;
  json_array_foreach (json_object_get (record, "fields"), i, field)
    {
      if (strcmp (json_string_value (json_object_get (field, "name")), name) == 0)
        return field;
    }
  return NULL;
}

/* What a reader has and the writer hadn't needs a default; what both have must be readable. */
static bool
can_read_record (const json_t *reader, const json_t *writer)
{
  size_t i = 0;
  const json_t *field = NULL;
  json_array_foreach (json_object_get (reader, "fields"), i, field)
    {
      const json_t *written =
          field_of (writer, json_string_value (json_object_get (field, "name")));
      if (written == NULL
              ? json_object_get (field, "default") == NULL
              : !can_read (json_object_get (field, "type"), json_object_get (written, "type")))
        return false;
    }
  return true;
}

/* Symbols that the reader doesn't know need the enum's default. */
static bool
can_read_enum (const json_t *reader, const json_t *writer)
{
  if (json_object_get (reader, "default") != NULL)
    return true;
  size_t i = 0;
  size_t j = 0;
  const json_t *symbol = NULL;
  const json_t *known = NULL;
  json_array_foreach (json_object_get (writer, "symbols"), i, symbol)
    {
      bool found = false;
      json_array_foreach (json_object_get (reader, "symbols"), j, known)
        {
          found = found || json_equal (symbol, known);
        }
      if (!found)
        return false;
    }
  return true;
}

static bool
can_read_union (const json_t *reader, const json_t *writer)
{
  if (json_array_size (reader) != json_array_size (writer))
    return false;
  for (size_t i = 0; i < json_array_size (reader); i++)
    if (!can_read (json_array_get (reader, i), json_array_get (writer, i)))
      return false;
  return true;
}

/* Stricter than Avro: no promotions, no aliases, unions branch by branch. We read by name
 * ourselves. */
static bool
can_read (const json_t *reader, const json_t *writer)
{
  if (json_is_array (reader) && json_is_array (writer))
    return can_read_union (reader, writer);
  if (!json_is_object (reader) || !json_is_object (writer))
    return json_equal (reader, writer);
  const json_t *kind = json_object_get (reader, "type");
  const json_t *name = json_object_get (reader, "name");
  if (!json_equal (kind, json_object_get (writer, "type"))
      || (name != NULL && !json_equal (name, json_object_get (writer, "name"))))
    return false;
  const char *type = json_string_value (kind);
  if (strcmp (type, "record") == 0)
    return can_read_record (reader, writer);
  if (strcmp (type, "enum") == 0)
    return can_read_enum (reader, writer);
  if (strcmp (type, "array") == 0)
    return can_read (json_object_get (reader, "items"), json_object_get (writer, "items"));
  return json_equal (reader, writer);
}

static bool
are_compatible (const char *one, const char *other)
{
  json_t *a = json_loads (one, 0, NULL);
  json_t *b = json_loads (other, 0, NULL);
  assert_non_null (a);
  assert_non_null (b);
  bool good = can_read (a, b) && can_read (b, a);
  json_decref (a);
  json_decref (b);
  return good;
}

/* Event.avsc is the newest version, Event.1.avsc, Event.2.avsc … the ones before. */
static void
each_pair_of_versions_is_compatible (void **state)
{
  (void) state;
  for (size_t i = 0; i < RECORDS; i++)
    {
      auto_free char *newest = xasprintf ("../schemas/%s.avsc", records[i]);
      auto_free char *older = xasprintf ("../schemas/%s.[0-9]*.avsc", records[i]);
      glob_t versions = { 0 };
      assert_int_equal (glob (newest, 0, NULL, &versions), 0);
      (void) glob (older, GLOB_APPEND, NULL, &versions);
      for (size_t a = 0; a < versions.gl_pathc; a++)
        for (size_t b = 0; b < versions.gl_pathc; b++)
          {
            auto_buffer struct buffer one = read_file (versions.gl_pathv[a], "");
            auto_buffer struct buffer other = read_file (versions.gl_pathv[b], "");
            if (!are_compatible (one.data, other.data))
              fail_msg ("%s and %s can't read each other", versions.gl_pathv[a],
                        versions.gl_pathv[b]);
          }
      globfree (&versions);
    }
}

#define RECORD(fields) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"
#define ENUM(symbols, more)                                                                        \
  "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[" symbols "]" more "}}"
#define A "{\"name\":\"a\",\"type\":\"long\"}"

static void
the_rules_tell_good_changes_from_bad (void **state)
{
  (void) state;
  static const struct
  {
    const char *one;
    const char *other;
    bool good;
  } pairs[] = {
    { RECORD (A), RECORD (A), true },
    { RECORD (A), RECORD (A ",{\"name\":\"b\",\"type\":\"int\",\"default\":0}"), true },
    { RECORD (A), RECORD (A ",{\"name\":\"b\",\"type\":\"int\"}"), false },
    { RECORD (A), RECORD ("{\"name\":\"a\",\"type\":\"int\"}"), false },
    { RECORD (A), RECORD ("{\"name\":\"a\",\"type\":[\"null\",\"long\"]}"), false },
    { RECORD (ENUM ("\"X\"", "")), RECORD (ENUM ("\"X\",\"Y\"", "")), false },
    { RECORD (ENUM ("\"X\"", ",\"default\":\"X\"")),
      RECORD (ENUM ("\"Y\",\"X\"", ",\"default\":\"X\"")), true },
  };
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
    {
      assert_int_equal (are_compatible (pairs[i].one, pairs[i].other), pairs[i].good);
      assert_int_equal (are_compatible (pairs[i].other, pairs[i].one), pairs[i].good);
    }
}

/* ---- a message of another version ------------------------------------------------------- */

/* BODY, written with the schema TEXT, read by what this program knows of the record. */
static void
read_as (const char *text, enum message kind, struct bytes body,
         int (*read) (const struct record *record, void *into, struct error *err), void *into)
{
  struct error err = ERROR_INIT;
  avro_schema_t schema = NULL;
  assert_int_equal (avro_schema_from_json_length (text, strlen (text), &schema), 0);
  avro_value_iface_t *iface = avro_generic_class_from_schema (schema);
  int outcome = message_decode_as (kind, schema, iface, body, read, into, &err);
  avro_value_iface_decref (iface);
  avro_schema_decref (schema);
  if (outcome != 0)
    fail_msg ("%s", err.message);
}

/* An old sender knew four fields of a job: the others get the defaults of the newest schema. */
static void
fields_that_came_later_have_their_defaults (void **state)
{
  (void) state;
  static const char text[] =
      "{\"type\":\"record\",\"name\":\"Job\",\"namespace\":\"shoal\",\"fields\":["
      "{\"name\":\"id\",\"type\":\"string\"},"
      "{\"name\":\"submitted\",\"type\":\"long\"},"
      "{\"name\":\"results\",\"type\":\"string\"},"
      "{\"name\":\"image\",\"type\":\"string\"}]}";
  static const char body[] = "\x02j\x0e\x04/r\x02i";
  auto_job struct job job = { 0 };
  auto_job struct job defaults;
  job_init (&defaults);
  read_as (text, MESSAGE_JOB, (struct bytes){ body, sizeof body - 1 }, job_read, &job);
  assert_string_equal (job.id, "j");
  assert_int_equal (job.submitted, 7);
  assert_string_equal (job.image, "i");
  assert_string_equal (job.runtime, defaults.runtime);
  assert_int_equal (job.batch_size, 1);
  assert_int_equal (job.batch_bytes, -1);
  assert_int_equal (job.shards, -1);
  assert_int_equal (job.memory, -1);
  assert_int_equal (job.cpus, -1);
  assert_int_equal (job.log_limit, defaults.log_limit);
  assert_int_equal (job.retries, defaults.retries);
  assert_int_equal (job.min_success, defaults.min_success);
  assert_int_equal (job.max_failures, -1);
  assert_int_equal (job.max_failures_bp, -1);
  assert_true (job.success_codes.has[0]);
  assert_null (job.glob);
}

/* A newer sender has other symbols, in another order, and a field that nobody here knows. */
static void
symbols_are_read_by_name (void **state)
{
  (void) state;
  static const char text[] =
      "{\"type\":\"record\",\"name\":\"Event\",\"namespace\":\"shoal\",\"fields\":["
      "{\"name\":\"kind\",\"type\":{\"type\":\"enum\",\"name\":\"EventKind\","
      "\"symbols\":[\"FINISHED\",\"PAUSED\",\"PLANNED\",\"UNKNOWN\"],"
      "\"default\":\"UNKNOWN\"}},"
      "{\"name\":\"color\",\"type\":\"string\",\"default\":\"\"},"
      "{\"name\":\"job_id\",\"type\":\"string\"},"
      "{\"name\":\"time\",\"type\":\"long\"}]}";
  static const enum event_kind kinds[] = { EVENT_FINISHED, EVENT_UNKNOWN, EVENT_PLANNED };
  for (size_t i = 0; i < 3; i++)
    {
      char body[] = { (char) (2 * i), 6, 'r', 'e', 'd', 2, 'j', 10 };
      auto_event struct event event = { 0 };
      read_as (text, MESSAGE_EVENT, (struct bytes){ body, sizeof body }, event_read, &event);
      assert_int_equal (event.kind, kinds[i]);
      assert_string_equal (event.job_id, "j");
      assert_int_equal (event.time, 5);
      assert_int_equal (event.shards, -1);
    }
}

static void
what_nobody_could_read_is_not_written (void **state)
{
  (void) state;
  struct error err = ERROR_INIT;
  struct event event = { .kind = EVENT_REOPENED, .job_id = (char[]){ "j" } };
  event.index_count = MESSAGE_SIZE_MAX;
  event.indexes = xcalloc (event.index_count, sizeof *event.indexes);
  auto_buffer struct buffer out = { 0 };
  assert_int_equal (codec_encode_event (&event, &out, &err), -1);
  assert_int_equal (err.class, ERROR_USER);
  assert_int_equal (out.size, 0);
  free (event.indexes);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (fingerprints_are_those_of_fastavro),
    cmocka_unit_test (a_golden_job_is_read_and_written),
    cmocka_unit_test (a_golden_shard_is_read_and_written),
    cmocka_unit_test (a_golden_event_is_read_and_written),
    cmocka_unit_test (a_golden_control_record_is_read_and_written),
    cmocka_unit_test (a_golden_claim_is_read_and_written),
    cmocka_unit_test (golden_messages_of_older_versions_are_read),
    cmocka_unit_test (a_golden_status_is_read_and_written),
    cmocka_unit_test (golden_atoms_are_read_and_written),
    cmocka_unit_test (each_pair_of_versions_is_compatible),
    cmocka_unit_test (the_rules_tell_good_changes_from_bad),
    cmocka_unit_test (fields_that_came_later_have_their_defaults),
    cmocka_unit_test (symbols_are_read_by_name),
    cmocka_unit_test (what_nobody_could_read_is_not_written),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
