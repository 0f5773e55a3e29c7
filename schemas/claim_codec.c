/* Claims, in Avro binary by hand: each handle reads all claims of all, tens of thousands a second.
 * The tests hold it against avro-c and fastavro. */
#include "common/varint.h"
#include "schemas/codec.h"
#include "schemas/codec_internal.h"

#include "common/memory.h"

#include <string.h>

enum
{
  NUMBERS = 7, /* that have a varint: kind, lengths and values, branches */
  STARTS_MAX = 1000000000,
};

static char *
claim_codec_put_bytes (char *at, const void *bytes, size_t size)
{
  at = varint_put (at, (int64_t) size);
  if (size > 0)
    memcpy (at, bytes, size);
  return at + size;
}

/* A union of null and bytes. */
static char *
put_optional (char *at, const struct buffer *bytes)
{
  at = varint_put (at, bytes->size == 0 ? 0 : 1);
  return bytes->size == 0 ? at : claim_codec_put_bytes (at, bytes->data, bytes->size);
}

int
codec_encode_claim (const struct claim *claim, struct buffer *out, struct error *err)
{
  size_t writer = strlen (claim->writer);
  size_t size = MESSAGE_HEADER_SIZE + (size_t) (NUMBERS + 2) * VARINT_MAX + writer
                + claim->event.size + claim->retry.size;
  if (size > MESSAGE_SIZE_MAX)
    return error_set (err, ERROR_USER, "a claim of %zu bytes: the limit is %zu", size,
                      MESSAGE_SIZE_MAX);
  char *start = buffer_reserve (out, size);
  message_put_header (codec_fingerprint (MESSAGE_CLAIM), start);
  char *at = varint_put (start + MESSAGE_HEADER_SIZE, (int64_t) claim->kind);
  at = claim_codec_put_bytes (at, claim->writer, writer);
  at = varint_put (at, (int32_t) claim->starts);
  at = varint_put (at, claim->lease_ms);
  at = varint_put (at, claim->position);
  at = put_optional (at, &claim->event);
  at = put_optional (at, &claim->retry);
  out->size += (size_t) (at - start);
  out->data[out->size] = '\0';
  return 0;
}

/* ---- reading ---------------------------------------------------------------------------- */

struct claim_reader
{
  const char *at; /* NULL: the record is damaged */
  const char *end;
};

static int64_t
claim_codec_get_number (struct claim_reader *reader)
{
  int64_t number = 0;
  if (reader->at != NULL)
    reader->at = varint_get (reader->at, reader->end, &number);
  return reader->at == NULL ? 0 : number;
}

static struct bytes
get_bytes (struct claim_reader *reader)
{
  int64_t size = claim_codec_get_number (reader);
  if (reader->at == NULL || size < 0 || size > reader->end - reader->at)
    {
      reader->at = NULL;
      return (struct bytes){ 0 };
    }
  const struct bytes bytes = { reader->at, (size_t) size };
  reader->at += size;
  return bytes;
}

static void
get_optional (struct claim_reader *reader, struct buffer *into)
{
  int64_t branch = claim_codec_get_number (reader);
  if (branch == 1)
    {
      struct bytes bytes = get_bytes (reader);
      if (bytes.size > 0)
        buffer_append (into, bytes.data, bytes.size);
    }
  else if (branch != 0)
    reader->at = NULL;
}

/* The newest version's fields, within what any of us would write: whoever may write claims can hold
 * something for a while, but not for ever. A kind that isn't known does nothing. */
int
codec_decode_claim (struct bytes message, struct claim *claim, struct error *err)
{
  if (message_check_header (MESSAGE_CLAIM, message, err) != 0)
    return -1;
  const char *start = message.data;
  struct claim_reader reader = { start + MESSAGE_HEADER_SIZE, start + message.size };
  int64_t kind = claim_codec_get_number (&reader);
  struct bytes writer = get_bytes (&reader);
  int64_t starts = claim_codec_get_number (&reader);
  claim->kind = kind < 0 || kind > CLAIM_RENEW ? CLAIM_UNKNOWN : (enum claim_kind) kind;
  claim->writer = xstrndup (writer.size == 0 ? "" : writer.data, writer.size);
  claim->lease_ms = claim_codec_get_number (&reader);
  claim->position = claim_codec_get_number (&reader);
  get_optional (&reader, &claim->event);
  get_optional (&reader, &claim->retry);
  if (starts < 0 || starts > STARTS_MAX || claim->lease_ms < 0
      || claim->lease_ms > CLAIM_LEASE_MAX_MS)
    reader.at = NULL;
  claim->starts = (uint32_t) starts;
  return reader.at == reader.end ? 0 : error_set (err, ERROR_USER, "a damaged claim");
}
