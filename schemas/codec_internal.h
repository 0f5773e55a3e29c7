/* codec_internal.h — between the frame of a message (codec.c) and its fields (job_codec.c,
 * message_codec.c). */
#ifndef SHOAL_SCHEMAS_CODEC_INTERNAL_H
#define SHOAL_SCHEMAS_CODEC_INTERNAL_H

#include "common/error.h"
#include "schemas/record.h"

#include <stdint.h>

enum message
{
  MESSAGE_JOB,
  MESSAGE_SHARD,
  MESSAGE_EVENT,
  MESSAGE_CONTROL,
  MESSAGE_STATUS,
  MESSAGE_CLAIM,
};

/* "job", "control record" … */
const char *message_name (enum message kind);

enum
{
  MESSAGE_HEADER_SIZE = 10, /* of single-object encoding: C3 01 and the fingerprint */
};

/* The fingerprint in the header of MESSAGE; false when it has no such header. */
bool message_fingerprint (struct bytes message, uint64_t *fingerprint);
void message_put_header (uint64_t fingerprint, char header[static MESSAGE_HEADER_SIZE]);

/* The original text of the schema with FINGERPRINT, NULL when it isn't compiled in. */
const char *codec_schema_text (uint64_t fingerprint);

/* Which message a record NAME is ("JobStatus"), or -1. */
int codec_kind_of (const char *name);

/* Appends MESSAGE, whose fields FILL sets, to OUT. */
int message_encode (enum message kind, void (*fill) (struct record *record, const void *message),
                    const void *message, struct buffer *out, struct error *err);

/* Reads the fields of BYTES into INTO by READ, by the schema they were written with. */
int message_decode (enum message kind, struct bytes bytes,
                    int (*read) (const struct record *record, void *into, struct error *err),
                    void *into, struct error *err);

/* The same for a BODY without header that was written with SCHEMA, an older version or one that a
 * registry gave; IFACE is avro-c's class of it. */
int message_decode_as (enum message kind, avro_schema_t schema, avro_value_iface_t *iface,
                       struct bytes body,
                       int (*read) (const struct record *record, void *into, struct error *err),
                       void *into, struct error *err);

/* For what is decoded by hand: whether MESSAGE has the header of the version that is written now:
 * 0, or -1. */
int message_check_header (enum message kind, struct bytes message, struct error *err);

/* How a record's fields become a struct job, a struct event. */
int job_read (const struct record *record, void *into, struct error *err);
int shard_read (const struct record *record, void *into, struct error *err);
int event_read (const struct record *record, void *into, struct error *err);
int control_read (const struct record *record, void *into, struct error *err);
int status_read (const struct record *record, void *into, struct error *err);

/* CRC-64-AVRO fingerprint of the schema that is written now. */
uint64_t codec_fingerprint (enum message kind);

#endif
