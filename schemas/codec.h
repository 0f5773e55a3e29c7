/* codec.h — messages to Avro bytes and back.
 *
 * Encoded messages carry Avro's single-object header: C3 01, then the CRC-64-AVRO fingerprint of
 * the schema, little-endian, then Avro binary. Decoding accepts any schema version this program
 * knows, reads fields by name, enums by symbol, and gives absent fields their defaults; sizes are
 * bounded before anything is allocated. Thread-safe.
 */
#ifndef SHOAL_SCHEMAS_CODEC_H
#define SHOAL_SCHEMAS_CODEC_H

#include "schemas/messages.h"

/* Largest message that is decoded, 8 MiB: a shard's inline atoms are bounded by
 * SHARD_INLINE_MAX. */
#define MESSAGE_SIZE_MAX ((size_t) 8 << 20)
#define SHARD_INLINE_MAX ((size_t) 512 << 10)

/* Append the encoding to OUT; 0 or -1. */
int codec_encode_job (const struct job *job, struct buffer *out, struct error *err);
int codec_encode_shard (const struct shard *shard, struct buffer *out, struct error *err);
int codec_encode_event (const struct event *event, struct buffer *out, struct error *err);
int codec_encode_control (const struct control *control, struct buffer *out, struct error *err);
int codec_encode_status (const struct job_status *status, struct buffer *out, struct error *err);
int codec_encode_claim (const struct claim *claim, struct buffer *out, struct error *err);

/* Fill zeroed structs, which the caller releases whatever is returned. Bad bytes are ERROR_USER. */
int codec_decode_job (struct bytes message, struct job *job, struct error *err);
int codec_decode_shard (struct bytes message, struct shard *shard, struct error *err);
int codec_decode_event (struct bytes message, struct event *event, struct error *err);
int codec_decode_control (struct bytes message, struct control *control, struct error *err);
int codec_decode_status (struct bytes message, struct job_status *status, struct error *err);
int codec_decode_claim (struct bytes message, struct claim *claim, struct error *err);

/* A message of any kind and version as Avro's JSON encoding has it: *NAME is its record's name
 * ("Job"), *JSON one line, which the caller frees. 0; or -1: it is none of ours, or has text that
 * isn't UTF-8. */
int codec_to_json (struct bytes message, const char **name, char **json, struct error *err);

/* Atom lists. Atom.avsc in plain Avro binary, no header, records back to back: written and read
 * here by hand because there may be ten million of them (avro-c needs 1 µs a field); the tests hold
 * it against avro-c. */
void atom_append (struct buffer *list, const struct atom *atom);

struct atom_cursor
{
  const char *at;
  const char *end;
  struct buffer path; /* NUL-ended copies of the current atom's strings */
  struct buffer source;
  struct buffer version;
};

struct atom_cursor atom_cursor_start (struct bytes list);

/* Next atom into ATOM, whose strings are valid until the next call: 1, 0 at the end, or -1. */
int atom_cursor_next (struct atom_cursor *cursor, struct atom *atom, struct error *err);
void atom_cursor_release (struct atom_cursor *cursor);
#define auto_atom_cursor AUTO (atom_cursor_release)

#endif
