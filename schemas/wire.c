#include "schemas/wire.h"

#include "schemas/codec.h"
#include "schemas/codec_internal.h"

#include <string.h>

enum
{
  WIRE_HEADER_SIZE = 5, /* 00 and the id */
};

/* Bytes that a message of a schema from outside may take when it is read. */
#define READING_MAX ((size_t) 256 << 20)

int
wire_pack (struct registry *registry, const char *subject, struct buffer *message,
           struct error *err)
{
  uint64_t fingerprint = 0;
  int32_t id = -1;
  if (registry == NULL)
    return 0;
  const char *text = message_fingerprint (buffer_bytes (message), &fingerprint)
                         ? codec_schema_text (fingerprint)
                         : NULL;
  if (text == NULL)
    return error_set (err, ERROR_USER, "not a shoal message");
  if (registry_register (registry, subject, text, &id, err) != 0)
    return -1;
  size_t body = message->size - MESSAGE_HEADER_SIZE;
  message->data[0] = 0;
  for (int i = 0; i < 4; i++)
    message->data[1 + i] = (char) ((uint32_t) id >> (24 - 8 * i));
  memmove (message->data + WIRE_HEADER_SIZE, message->data + MESSAGE_HEADER_SIZE, body);
  message->size = WIRE_HEADER_SIZE + body;
  message->data[message->size] = '\0';
  return 0;
}

/* Reads the body by its schema, writes what was read by ours. */
#define TRANSLATE(kind, struct_name, auto_name, short_name)                                        \
  do                                                                                               \
    {                                                                                              \
      auto_name struct struct_name it = { 0 };                                                     \
      if (message_decode_as (kind, schema->schema, schema->iface, body, short_name##_read, &it,    \
                             err)                                                                  \
          != 0)                                                                                    \
        return -1;                                                                                 \
      if (codec_encode_##short_name (&it, out, NULL) == 0)                                         \
        return 0;                                                                                  \
    }                                                                                              \
  while (0)

static int
translate_as (enum message kind, const struct writer_schema *schema, struct bytes body,
              struct buffer *out, struct error *err)
{
  switch (kind)
    {
    case MESSAGE_JOB:
      TRANSLATE (kind, job, auto_job, job);
      break;
    case MESSAGE_SHARD:
      TRANSLATE (kind, shard, auto_shard, shard);
      break;
    case MESSAGE_EVENT:
      TRANSLATE (kind, event, auto_event, event);
      break;
    case MESSAGE_CONTROL:
      TRANSLATE (kind, control, auto_control, control);
      break;
    case MESSAGE_STATUS:
      TRANSLATE (kind, job_status, auto_job_status, status);
      break;
    case MESSAGE_CLAIM:
      return error_set (err, ERROR_USER, "a claim of another bus");
    }
  return error_set (err, ERROR_USER, "a %s without a field that has no default",
                    message_name (kind));
}

int
wire_translate (const struct writer_schema *schema, struct bytes body, struct buffer *out,
                struct error *err)
{
  if (codec_schema_text (schema->fingerprint) != NULL)
    {
      message_put_header (schema->fingerprint, buffer_reserve (out, MESSAGE_HEADER_SIZE));
      out->size += MESSAGE_HEADER_SIZE;
      buffer_append (out, body.data, body.size);
      return 0;
    }
  int kind = codec_kind_of (schema->name);
  if (kind < 0)
    return error_set (err, ERROR_USER, "a record \"%s\" is not a shoal message", schema->name);
  if (body.size > MESSAGE_SIZE_MAX || body.size > READING_MAX / schema->growth)
    return error_set (err, ERROR_USER, "a %s of %zu bytes: too large to decode",
                      message_name ((enum message) kind), body.size);
  return translate_as ((enum message) kind, schema, body, out, err);
}

int
wire_unpack (struct registry *registry, struct bytes *message, struct buffer *own,
             struct error *err)
{
  const unsigned char *at = message->data;
  if (message->size < WIRE_HEADER_SIZE || at[0] != 0)
    return 0; /* single-object encoding, or nothing that codec_decode_… takes */
  int32_t id = (int32_t) ((uint32_t) at[1] << 24 | (uint32_t) at[2] << 16 | (uint32_t) at[3] << 8
                          | (uint32_t) at[4]);
  if (registry == NULL)
    return error_set (
        err, ERROR_USER,
        "written with schema %d of a schema registry, and none is configured: --schema-registry",
        id);
  const struct writer_schema *schema = registry_schema (registry, id, err);
  if (schema == NULL)
    return -1;
  struct bytes body = { at + WIRE_HEADER_SIZE, message->size - WIRE_HEADER_SIZE };
  buffer_clear (own);
  if (wire_translate (schema, body, own, err) != 0)
    return error_wrap (err, "schema %d of the registry", id);
  *message = buffer_bytes (own);
  return 0;
}
