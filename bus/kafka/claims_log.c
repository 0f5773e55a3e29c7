/* The claims as they are read: into the fold, and on to whom they concern. */
#include "bus/kafka/claims_log.h"

#include "bus/dead_letter.h"
#include "bus/kafka/config.h"
#include "bus/kafka/dead_letters.h"
#include "bus/kafka/inflight.h"
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
is_of_handle (const struct kafka_client *client, const char *writer)
{
  size_t length = strlen (client->writer);
  return strncmp (writer, client->writer, length) == 0
         && (writer[length] == '\0' || writer[length] == '.');
}

void
claims_take_in (struct kafka_claims_log *log, struct cursor *cursor, struct claims *claims,
                struct partition *partition, const rd_kafka_message_t *message)
{
  auto_claim struct claim claim = { 0 };
  struct error err = ERROR_INIT;
  auto_free char *key = message_key (message);
  if (message->payload == NULL) /* a tombstone */
    {
      if (cursor->topic == TOPIC_LEASES && !error_is_set (&cursor->refused))
        queues_take_in (log->queues, key, NULL, message_time (message));
      return;
    }
  if (codec_decode_claim (cursor->payload, &claim, &err) != 0)
    {
      dead_letters_refuse (log->dead_letters, cursor, message, &err);
      return;
    }
  struct claims_entry *entry = NULL;
  enum claims_verdict verdict =
      claims_apply (claims, key, &claim, message->offset, message_time (message), &entry);
  if (cursor->topic == TOPIC_LEASES)
    {
      queues_take_in (log->queues, key, &claim, message_time (message));
      layout_take_in (log->layout, key, &claim);
      config_take_in (log->config, key, &claim,
                      clock_wall_ms () + cursor->skew - message_time (message));
    }
  if (is_of_handle (log->queues->producer->client, claim.writer))
    cursor->skew = message_time (message) - clock_wall_ms ();
  if (partition != NULL && claim.kind == CLAIM_UNKNOWN
      && strcmp (claim.writer, log->queues->producer->client->writer) == 0)
    partition_note_tick (partition);
  /* What we said before we opened the partition was answered then. */
  if (partition != NULL && partition->loaded)
    inflight_on_claim (log->inflight, partition, &claim, entry, verdict);
  if (verdict == CLAIMS_COUNTED)
    partition_entry_changed (entry);
  if (partition == NULL && entry->phase == CLAIMS_DONE && !log->whole)
    claims_forget (claims, entry);
  else
    claims_unneed (claims, entry);
}

void
claims_pump (struct kafka_claims_log *log, struct cursor *cursor, struct claims *claims,
             struct partition *partition)
{
  for (int i = 0; i < AT_A_TIME; i++)
    {
      auto_message rd_kafka_message_t *message = NULL;
      if (cursor_next (cursor, &message) == 0)
        return;
      claims_take_in (log, cursor, claims, partition, message);
    }
  log->queues->producer->client->more = true;
}

int
claims_sync_partition (struct kafka_claims_log *log, struct partition *partition, struct error *err)
{
  int outcome = cursor_look_for_end (&partition->claims_cursor, err);
  while (outcome >= 0)
    {
      auto_message rd_kafka_message_t *message = NULL;
      outcome = cursor_next_before_end (&partition->claims_cursor, &message, err);
      if (outcome <= 0)
        break;
      claims_take_in (log, &partition->claims_cursor, partition->claims, partition, message);
    }
  return outcome;
}

void
claims_pump_partition (struct kafka_claims_log *log, struct partition *partition)
{
  if (partition->set->kind == BUS_SHARDS)
    {
      claims_pump (log, &partition->claims_cursor, partition->claims, partition);
      partition->loaded = partition->loaded || cursor_is_at_end (&partition->claims_cursor);
    }
  if (partition->loaded)
    partition_read_messages (partition);
}
