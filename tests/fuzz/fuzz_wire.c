/* libFuzzer: a schema from outside and a message written with it. Two bytes (big-endian) give the
 * length of the schema's text; what follows is the message's body. What is taken must become a
 * message that the codec reads. The whole input is also unpacked as it stands, as what a topic may
 * hold. */
#include "common/memory.h"
#include "schemas/codec.h"
#include "schemas/codec_internal.h"
#include "schemas/wire.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static int
decode (const char *name, struct bytes bytes, struct error *err)
{
  auto_claim struct claim claim = { 0 };
  auto_control struct control control = { 0 };
  auto_event struct event event = { 0 };
  auto_job struct job job = { 0 };
  auto_job_status struct job_status status = { 0 };
  auto_shard struct shard shard = { 0 };
  switch ((enum message) codec_kind_of (name))
    {
    case MESSAGE_JOB:
      return codec_decode_job (bytes, &job, err);
    case MESSAGE_SHARD:
      return codec_decode_shard (bytes, &shard, err);
    case MESSAGE_EVENT:
      return codec_decode_event (bytes, &event, err);
    case MESSAGE_CONTROL:
      return codec_decode_control (bytes, &control, err);
    case MESSAGE_STATUS:
      return codec_decode_status (bytes, &status, err);
    case MESSAGE_CLAIM:
      return codec_decode_claim (bytes, &claim, err);
    }
  abort ();
}

/* Without a registry only single-object encoding goes through. */
static void
unpack (struct bytes whole)
{
  auto_buffer struct buffer own = { 0 };
  struct bytes bytes = whole;
  struct error err = ERROR_INIT;
  int outcome = wire_unpack (NULL, &bytes, &own, &err);
  if (outcome == 0 && (bytes.data != whole.data || bytes.size != whole.size))
    abort ();
  if (outcome != 0 && err.class != ERROR_USER)
    abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  unpack ((struct bytes){ data, size });
  if (size < 2)
    return 0;
  size_t length = (size_t) data[0] << 8 | data[1];
  if (length > size - 2)
    length = size - 2;
  struct bytes text = { data + 2, length };
  struct bytes body = { data + 2 + length, size - 2 - length };
  struct error err = ERROR_INIT;
  auto_buffer struct buffer message = { 0 };
  auto_writer_schema struct writer_schema *schema = writer_schema_parse (text, &err);
  if (schema == NULL)
    {
      if (err.class != ERROR_USER)
        abort ();
      return 0;
    }
  bool ours = codec_schema_text (schema->fingerprint) != NULL;
  if (wire_translate (schema, body, &message, &err) != 0)
    {
      if (err.class != ERROR_USER || message.size != 0)
        abort ();
    }
  else if (decode (schema->name, buffer_bytes (&message), &err) != 0 && !ours)
    abort ();
  return 0;
}
