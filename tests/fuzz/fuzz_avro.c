/* libFuzzer: the first byte chooses the record, the rest is a message (its header is put in front,
 * so that the body is what is explored) or, as it stands, a whole one; the last choice is an atom
 * list. What is read must be written and read again as the same bytes. */
#include "common/memory.h"
#include "schemas/codec.h"
#include "schemas/codec_internal.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* Decodes BYTES; what comes out must survive another turn unchanged. */
#define TURN(struct_name, auto_name, short_name)                                                   \
  do                                                                                               \
    {                                                                                              \
      auto_name struct struct_name first = { 0 };                                                  \
      auto_name struct struct_name second = { 0 };                                                 \
      auto_buffer struct buffer once = { 0 };                                                      \
      auto_buffer struct buffer twice = { 0 };                                                     \
      struct error err = ERROR_INIT;                                                               \
      if (codec_decode_##short_name (bytes, &first, &err) != 0)                                    \
        {                                                                                          \
          if (err.class != ERROR_USER)                                                             \
            abort ();                                                                              \
          break;                                                                                   \
        }                                                                                          \
      if (codec_encode_##short_name (&first, &once, NULL) != 0                                     \
          || codec_decode_##short_name (buffer_bytes (&once), &second, NULL) != 0                  \
          || codec_encode_##short_name (&second, &twice, NULL) != 0 || once.size != twice.size     \
          || memcmp (once.data, twice.data, once.size) != 0)                                       \
        abort ();                                                                                  \
    }                                                                                              \
  while (0)

static void
turn_message (enum message kind, struct bytes bytes)
{
  switch (kind)
    {
    case MESSAGE_JOB:
      TURN (job, auto_job, job);
      break;
    case MESSAGE_SHARD:
      TURN (shard, auto_shard, shard);
      break;
    case MESSAGE_EVENT:
      TURN (event, auto_event, event);
      break;
    case MESSAGE_CONTROL:
      TURN (control, auto_control, control);
      break;
    case MESSAGE_STATUS:
      TURN (job_status, auto_job_status, status);
      break;
    case MESSAGE_CLAIM:
      TURN (claim, auto_claim, claim);
      break;
    }
}

static void
turn_atoms (struct bytes bytes)
{
  auto_buffer struct buffer once = { 0 };
  auto_atom_cursor struct atom_cursor cursor = atom_cursor_start (bytes);
  struct atom atom = { 0 };
  int outcome = 0;
  while ((outcome = atom_cursor_next (&cursor, &atom, NULL)) == 1)
    atom_append (&once, &atom);
  if (outcome != 0)
    return;
  auto_atom_cursor struct atom_cursor again = atom_cursor_start (buffer_bytes (&once));
  while ((outcome = atom_cursor_next (&again, &atom, NULL)) == 1)
    ;
  if (outcome != 0)
    abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  if (size == 0)
    return 0;
  unsigned int choice = data[0] % (2 * (MESSAGE_CLAIM + 1) + 1);
  struct bytes rest = { data + 1, size - 1 };
  if (choice == 2 * (MESSAGE_CLAIM + 1))
    {
      turn_atoms (rest);
      return 0;
    }
  enum message kind = (enum message) (choice / 2);
  if (choice % 2 == 1)
    {
      turn_message (kind, rest);
      return 0;
    }
  auto_buffer struct buffer message = { 0 };
  uint64_t fingerprint = codec_fingerprint (kind);
  buffer_append (&message, "\xc3\x01", 2);
  for (int i = 0; i < 8; i++)
    buffer_putc (&message, (char) (fingerprint >> (8 * i)));
  buffer_append (&message, rest.data, rest.size);
  turn_message (kind, buffer_bytes (&message));
  return 0;
}
