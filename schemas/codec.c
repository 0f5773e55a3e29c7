/* The frame around every message: header, schema lookup, avro-c. What is in each message:
 * job_codec.c and message_codec.c. */
#include "schemas/codec.h"

#include "common/memory.h"
#include "schemas/avsc.h"
#include "schemas/codec_internal.h"
#include "schemas/fingerprint.h"
#include "schemas/skim.h"

#include <pthread.h>
#include <string.h>

/* One version of a message's schema. A newer one goes before the older ones of its kind: the first
 * is written. */
struct version
{
  enum message kind;
  const char *text;
  uint64_t fingerprint;
  avro_schema_t schema;
  avro_value_iface_t *iface;
};

static struct version versions[] = {
  { .kind = MESSAGE_JOB, .text = avsc_Job },
  { .kind = MESSAGE_JOB, .text = avsc_Job_4 },
  { .kind = MESSAGE_JOB, .text = avsc_Job_3 },
  { .kind = MESSAGE_JOB, .text = avsc_Job_2 },
  { .kind = MESSAGE_JOB, .text = avsc_Job_1 },
  { .kind = MESSAGE_SHARD, .text = avsc_Shard },
  { .kind = MESSAGE_SHARD, .text = avsc_Shard_2 },
  { .kind = MESSAGE_SHARD, .text = avsc_Shard_1 },
  { .kind = MESSAGE_EVENT, .text = avsc_Event },
  { .kind = MESSAGE_EVENT, .text = avsc_Event_1 },
  { .kind = MESSAGE_CONTROL, .text = avsc_Control },
  { .kind = MESSAGE_CONTROL, .text = avsc_Control_2 },
  { .kind = MESSAGE_CONTROL, .text = avsc_Control_1 },
  { .kind = MESSAGE_STATUS, .text = avsc_JobStatus },
  { .kind = MESSAGE_STATUS, .text = avsc_JobStatus_1 },
  { .kind = MESSAGE_STATUS, .text = avsc_JobStatus_2 },
  { .kind = MESSAGE_CLAIM, .text = avsc_Claim },
};

static const char *const message_names[] = { "job",        "shard", "event", "control record",
                                             "job status", "claim" };

enum
{
  VERSIONS = sizeof versions / sizeof versions[0]
};

static pthread_once_t loaded = PTHREAD_ONCE_INIT;

/* The schemas are compiled in: that they can't be read is a bug, not an error. */
static void
codec_load (void)
{
  for (size_t i = 0; i < VERSIONS; i++)
    {
      struct version *version = &versions[i];
      struct error err = ERROR_INIT;
      if (fingerprint_of (version->text, &version->fingerprint, &err) != 0
          || avro_schema_from_json_length (version->text, strlen (version->text), &version->schema)
                 != 0)
        abort ();
      version->iface = avro_generic_class_from_schema (version->schema);
    }
}

static const struct version *
codec_current (enum message kind)
{
  (void) pthread_once (&loaded, codec_load);
  for (size_t i = 0; i < VERSIONS; i++)
    if (versions[i].kind == kind)
      return &versions[i];
  abort ();
}

static const struct version *
by_fingerprint (enum message kind, uint64_t fingerprint)
{
  (void) pthread_once (&loaded, codec_load);
  for (size_t i = 0; i < VERSIONS; i++)
    if (versions[i].kind == kind && versions[i].fingerprint == fingerprint)
      return &versions[i];
  return NULL;
}

uint64_t
codec_fingerprint (enum message kind)
{
  return codec_current (kind)->fingerprint;
}

static const struct version *
by_fingerprint_alone (uint64_t fingerprint)
{
  (void) pthread_once (&loaded, codec_load);
  for (size_t i = 0; i < VERSIONS; i++)
    if (versions[i].fingerprint == fingerprint)
      return &versions[i];
  return NULL;
}

const char *
codec_schema_text (uint64_t fingerprint)
{
  const struct version *version = by_fingerprint_alone (fingerprint);
  return version == NULL ? NULL : version->text;
}

int
codec_kind_of (const char *name)
{
  (void) pthread_once (&loaded, codec_load);
  for (size_t i = 0; i < VERSIONS; i++)
    if (strcmp (avro_schema_name (versions[i].schema), name) == 0)
      return (int) versions[i].kind;
  return -1;
}

const char *
message_name (enum message kind)
{
  return message_names[kind];
}

void
message_put_header (uint64_t fingerprint, char header[static MESSAGE_HEADER_SIZE])
{
  header[0] = (char) 0xc3;
  header[1] = 0x01;
  for (int i = 0; i < 8; i++)
    header[2 + i] = (char) (fingerprint >> (8 * i));
}

int
message_encode (enum message kind, void (*fill) (struct record *record, const void *message),
                const void *message, struct buffer *out, struct error *err)
{
  const struct version *version = codec_current (kind);
  struct record record = { 0 };
  if (avro_generic_value_new (version->iface, &record.value) != 0)
    return error_set (err, ERROR_FATAL, "encoding a %s: out of memory", message_names[kind]);
  fill (&record, message);
  size_t size = 0;
  bool fits = true;
  if (!record.failed && avro_value_sizeof (&record.value, &size) == 0)
    fits = size <= MESSAGE_SIZE_MAX - MESSAGE_HEADER_SIZE;
  if (!record.failed && fits)
    {
      char *at = buffer_reserve (out, MESSAGE_HEADER_SIZE + size);
      message_put_header (version->fingerprint, at);
      avro_writer_t writer = avro_writer_memory (at + MESSAGE_HEADER_SIZE, (int64_t) size);
      record.failed = avro_value_write (writer, &record.value) != 0;
      avro_writer_free (writer);
      if (!record.failed)
        {
          out->size += MESSAGE_HEADER_SIZE + size;
          out->data[out->size] = '\0';
        }
    }
  avro_value_decref (&record.value);
  if (!fits)
    return error_set (err, ERROR_USER, "a %s of %zu bytes: the limit is %zu", message_names[kind],
                      size, MESSAGE_SIZE_MAX);
  if (record.failed)
    return error_set (err, ERROR_FATAL, "encoding a %s: a field does not fit its schema",
                      message_names[kind]);
  return 0;
}

bool
message_fingerprint (struct bytes message, uint64_t *fingerprint)
{
  const unsigned char *at = message.data;
  if (message.size < MESSAGE_HEADER_SIZE || at[0] != 0xc3 || at[1] != 0x01)
    return false;
  *fingerprint = 0;
  for (int i = 0; i < 8; i++)
    *fingerprint |= (uint64_t) at[2 + i] << (8 * i);
  return true;
}

/* The schema that MESSAGE was written with, from its header; NULL with ERR. */
static const struct version *
read_header (enum message kind, struct bytes message, struct error *err)
{
  uint64_t fingerprint = 0;
  if (!message_fingerprint (message, &fingerprint))
    {
      (void) error_set (err, ERROR_USER, "not a %s: no Avro single-object header",
                        message_names[kind]);
      return NULL;
    }
  const struct version *version = by_fingerprint (kind, fingerprint);
  if (version != NULL)
    return version;
  if (by_fingerprint (kind, __builtin_bswap64 (fingerprint)) != NULL)
    (void) error_set (err, ERROR_USER,
                      "not a %s: its schema's fingerprint is in big-endian order, and Avro's "
                      "single-object encoding has it in little-endian order",
                      message_names[kind]);
  else
    (void) error_set (err, ERROR_USER,
                      "not a %s of a version this program knows (schema fingerprint %016llx)",
                      message_names[kind], (unsigned long long) fingerprint);
  return NULL;
}

int
message_check_header (enum message kind, struct bytes message, struct error *err)
{
  if (message.size > MESSAGE_SIZE_MAX)
    return error_set (err, ERROR_USER, "a %s of %zu bytes: the limit is %zu", message_names[kind],
                      message.size, MESSAGE_SIZE_MAX);
  const struct version *version = read_header (kind, message, err);
  if (version == NULL)
    return -1;
  if (version != codec_current (kind))
    return error_set (err, ERROR_USER, "a %s of an older version", message_names[kind]);
  return 0;
}

int
message_decode_as (enum message kind, avro_schema_t schema, avro_value_iface_t *iface,
                   struct bytes body,
                   int (*read) (const struct record *record, void *into, struct error *err),
                   void *into, struct error *err)
{
  if (!skim (schema, body))
    return error_set (err, ERROR_USER, "a damaged %s", message_names[kind]);
  struct record record = { 0 };
  if (avro_generic_value_new (iface, &record.value) != 0)
    return error_set (err, ERROR_FATAL, "decoding a %s: out of memory", message_names[kind]);
  avro_reader_t reader = avro_reader_memory (body.data, (int64_t) body.size);
  int outcome = avro_value_read (reader, &record.value);
  avro_reader_free (reader);
  if (outcome == 0)
    outcome = read (&record, into, err);
  else
    outcome = error_set (err, ERROR_USER, "a damaged %s", message_names[kind]);
  avro_value_decref (&record.value);
  return outcome;
}

int
message_decode (enum message kind, struct bytes message,
                int (*read) (const struct record *record, void *into, struct error *err),
                void *into, struct error *err)
{
  if (message.size > MESSAGE_SIZE_MAX)
    return error_set (err, ERROR_USER, "a %s of %zu bytes: the limit is %zu", message_names[kind],
                      message.size, MESSAGE_SIZE_MAX);
  const struct version *version = read_header (kind, message, err);
  if (version == NULL)
    return -1;
  struct bytes body = { (const char *) message.data + MESSAGE_HEADER_SIZE,
                        message.size - MESSAGE_HEADER_SIZE };
  return message_decode_as (kind, version->schema, version->iface, body, read, into, err);
}

struct json_target
{
  enum message kind;
  char **json;
};

static int
codec_read_as_json (const struct record *record, void *into, struct error *err)
{
  const struct json_target *target = into;
  return avro_value_to_json (&record->value, 1, target->json) == 0
             ? 0
             : error_set (err, ERROR_USER, "a %s with text that isn't UTF-8",
                          message_names[target->kind]);
}

int
codec_to_json (struct bytes message, const char **name, char **json, struct error *err)
{
  uint64_t fingerprint = 0;
  const struct version *version = NULL;
  if (message.size <= MESSAGE_SIZE_MAX && message_fingerprint (message, &fingerprint))
    version = by_fingerprint_alone (fingerprint);
  if (version == NULL)
    return error_set (err, ERROR_USER, "not a message of a version this program knows");
  struct bytes body = { (const char *) message.data + MESSAGE_HEADER_SIZE,
                        message.size - MESSAGE_HEADER_SIZE };
  struct json_target target = { version->kind, json };
  *name = avro_schema_name (version->schema);
  return message_decode_as (version->kind, version->schema, version->iface, body,
                            codec_read_as_json, &target, err);
}
