/* The claims as they are read: into the fold, and on to whom they concern. */
#include "bus/kafka/claims_log.h"

#include "bus/kafka/config.h"
#include "bus/kafka/dead_letters.h"
#include "bus/kafka/inflight.h"
#include "bus/kafka/kafka.h"
#include "bus/kafka/partition.h"
#include "bus/kafka/queues.h"

#include "common/clock.h"
#include "common/memory.h"
#include "schemas/codec.h"

#include <string.h>

enum
{
  AT_A_TIME = 1000,
};

/* Whether WRITER is this handle, or a follower of it ("HANDLE.3"). */
static bool
is_of (const struct kafka_bus *bus, const char *writer)
{
  size_t length = strlen (bus->writer);
  return strncmp (writer, bus->writer, length) == 0
         && (writer[length] == '\0' || writer[length] == '.');
}

void
claims_take_in (struct kafka_bus *bus, struct cursor *cursor, struct claims *claims,
                struct lot *lot, const rd_kafka_message_t *message)
{
  auto_claim struct claim claim = { 0 };
  struct error err = ERROR_INIT;
  if (message->payload == NULL) /* a tombstone */
    return;
  if (codec_decode_claim (cursor->payload, &claim, &err) != 0)
    {
      if (lot != NULL)
        kafka_bury (bus, cursor, message, &err);
      else
        kafka_log_skipped (cursor, message, &err);
      return;
    }
  auto_free char *key = message_key (message);
  struct claims_entry *entry = NULL;
  enum claims_verdict verdict =
      claims_apply (claims, key, &claim, message->offset, message_time (message), &entry);
  if (cursor->topic == TOPIC_LEASES)
    {
      queues_take_in (bus, key, &claim, message_time (message));
      config_take_in (bus, key, &claim, message_time (message));
    }
  if (is_of (bus, claim.writer))
    cursor->skew = message_time (message) - clock_wall_ms ();
  if (lot != NULL && claim.kind == CLAIM_UNKNOWN && strcmp (claim.writer, bus->writer) == 0)
    lot_note_tick (lot);
  work_on_claim (bus, lot, &claim, entry, verdict);
  if (verdict == CLAIMS_COUNTED)
    lot_entry_changed (entry);
  if (lot == NULL && entry->phase == CLAIMS_DONE && !bus->leases_whole)
    claims_forget (claims, entry);
  else
    claims_unneed (claims, entry);
}

void
claims_pump (struct kafka_bus *bus, struct cursor *cursor, struct claims *claims, struct lot *lot)
{
  for (int i = 0; i < AT_A_TIME; i++)
    {
      auto_message rd_kafka_message_t *message = NULL;
      if (cursor_next (cursor, &message) == 0)
        return;
      claims_take_in (bus, cursor, claims, lot, message);
    }
  bus->more = true;
}

int
lot_sync (struct lot *lot, struct error *err)
{
  struct kafka_bus *bus = lot->work->bus;
  int outcome = cursor_look_for_end (&lot->claims_cursor, err);
  while (outcome >= 0)
    {
      auto_message rd_kafka_message_t *message = NULL;
      outcome = cursor_next_before_end (&lot->claims_cursor, &message, err);
      if (outcome <= 0)
        break;
      claims_take_in (bus, &lot->claims_cursor, lot->claims, lot, message);
    }
  return outcome;
}

void
lot_pump (struct lot *lot)
{
  struct kafka_bus *bus = lot->work->bus;
  if (lot->work->queue == BUS_SHARDS)
    {
      claims_pump (bus, &lot->claims_cursor, lot->claims, lot);
      lot->loaded = lot->loaded || cursor_is_at_end (&lot->claims_cursor);
    }
  if (lot->loaded)
    lot_read_messages (lot);
}
