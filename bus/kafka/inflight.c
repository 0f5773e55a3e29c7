/* What this handle holds: its claims' way through the log, and the publishing of ends. */
#include "bus/kafka/inflight.h"

#include "bus/kafka/client.h"
#include "bus/kafka/kafka.h"
#include "bus/kafka/producer.h"
#include "bus/kafka/topic_names.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "schemas/codec.h"

#include <string.h>

enum
{
  AGAIN_MS = 5000, /* before an end that couldn't be sent is looked at again */
};

/* A key is what its topic says. */
static void
log_not_sent (const char *event, const struct claims_entry *entry, const struct error *why)
{
  auto_free char *key = text_log (entry->key);
  log_failure (LOG_ERROR, event, why, "key=%s", key);
}

/* ---- records ---------------------------------------------------------------------------- */

int
holding_send (struct lot *lot, const char *key, struct claim *claim, struct error *err)
{
  struct kafka_bus *bus = lot->work->bus;
  auto_buffer struct buffer payload = { 0 };
  claim->writer = bus->writer;
  claim->lease_ms = claim->lease_ms < 0 ? 0 : bus->lease_ms;
  if (codec_encode_claim (claim, &payload, err) != 0)
    return -1;
  return kafka_send (bus, lot->work->claims, lot_claims_partition (lot), key, &payload, &bus->quiet,
                     err);
}

int
holding_send_settle (struct holding *holding, struct error *err)
{
  int outcome = holding_send (holding->lot, holding->entry->key, &holding->settle, err);
  holding->settle.writer = NULL; /* the bus's */
  holding->epoch = holding->lot->work->bus->epoch;
  return outcome;
}

/* CLAIM or RENEW. Which of several that are on their way was read back is known when all of them
 * are: until then the oldest counts. */
static int
say (struct holding *holding, enum claim_kind kind, struct error *err)
{
  int64_t now = clock_boot_ms ();
  struct claim claim = { .kind = kind, .starts = holding->starts, .position = holding->position };
  int sent = holding_send (holding->lot, holding->entry->key, &claim, err);
  holding->epoch = holding->lot->work->bus->epoch;
  if (sent != 0)
    return -1;
  holding->renewed = now;
  if (holding->unread++ == 0)
    holding->asked = now;
  return 0;
}

static void
note_read (struct holding *holding)
{
  holding->unread -= holding->unread > 0 ? 1 : 0;
  holding->confirmed = holding->unread == 0 ? holding->renewed : holding->asked;
}

int
holding_claim (struct holding *holding, struct error *err)
{
  return say (holding, CLAIM_CLAIM, err);
}

void
holding_renew (struct holding *holding)
{
  struct error err = ERROR_INIT;
  if (say (holding, CLAIM_RENEW, &err) != 0)
    log_not_sent ("claim_publish_failed", holding->entry, &err);
}

bool
holding_is_sure (const struct holding *holding)
{
  return clock_boot_ms () - holding->confirmed < holding->lot->work->bus->lease_ms / 2;
}

void
work_note (struct lot *lot, const struct claims_entry *entry, enum claim_kind kind)
{
  struct error err = ERROR_INIT;
  struct claim claim = { .kind = kind, .starts = entry->starts, .position = entry->position };
  if (holding_send (lot, entry->key, &claim, &err) != 0)
    log_not_sent ("claim_publish_failed", entry, &err);
}

/* ---- holdings --------------------------------------------------------------------------- */

bool
holdings_end (struct kafka_bus *bus)
{
  const struct holding *holding = NULL;
  TAILQ_FOREACH (holding, &bus->holdings, links)
    if (holding->phase == HOLDING_SETTLING || holding->phase == HOLDING_PUBLISHING)
      return true;
  return false;
}

struct holding *
holding_find (struct kafka_bus *bus, int64_t ticket)
{
  struct holding *holding = NULL;
  TAILQ_FOREACH (holding, &bus->holdings, links)
    if (holding->ticket == ticket)
      return holding;
  return NULL;
}

/* From SETTLED on the log has nothing more to say about it. */
static void
set_phase (struct holding *holding, enum holding_phase phase)
{
  holding->phase = phase;
  if (phase >= HOLDING_SETTLED && holding->entry->holding == holding)
    holding->entry->holding = NULL;
}

struct holding *
holding_new (struct lot *lot, const struct parcel *parcel, enum holding_phase phase)
{
  struct holding *holding = xcalloc (1, sizeof *holding);
  holding->lot = lot;
  holding->phase = phase;
  holding->entry = parcel->entry;
  parcel->entry->holding = holding;
  holding->job_id = xstrdup (parcel->job_id);
  holding->position = parcel->offset;
  holding->since = parcel->time;
  holding->epoch = lot->work->bus->epoch;
  TAILQ_INSERT_TAIL (&lot->work->bus->holdings, holding, links);
  lot->work->bus->held++;
  return holding;
}

void
holding_drop (struct kafka_bus *bus, struct holding *holding)
{
  if (holding->phase < HOLDING_SETTLED)
    set_phase (holding, HOLDING_LOST);
  TAILQ_REMOVE (&bus->holdings, holding, links);
  bus->held--;
  delivery_free (holding->delivery);
  receipt_leave (holding->receipt);
  claim_release (&holding->settle);
  free (holding->job_id);
  free (holding);
}

void
holding_give_back (struct kafka_bus *bus, struct holding *holding)
{
  work_note (holding->lot, holding->entry, CLAIM_RELEASE);
  holding_drop (bus, holding);
}

/* It isn't ours any more, or never was: the caller is told when it asks. */
static void
lose (struct kafka_bus *bus, struct holding *holding)
{
  struct claims_entry *entry = holding->entry;
  bool unknown =
      holding->ticket == 0 || holding->phase == HOLDING_CLAIMING || holding->phase == HOLDING_READY;
  set_phase (holding, HOLDING_LOST);
  if (unknown)
    holding_drop (bus, holding);
  lot_entry_changed (entry);
}

/* ---- publishing an end ------------------------------------------------------------------ */

/* To the partition of the message itself, wherever a new one would go. */
static int
send_retry (struct kafka_bus *bus, struct holding *holding, struct error *err)
{
  const struct buffer *payload = &holding->entry->retry;
  auto_shard struct shard retry = { 0 };
  if (codec_decode_shard (buffer_bytes (payload), &retry, err) != 0)
    return -1;
  auto_free char *key = shard_key (&retry);
  return kafka_send (bus, holding->lot->work->messages, holding->lot->partition, key, payload,
                     holding->receipt, err);
}

static int
send_event (struct kafka_bus *bus, struct holding *holding, struct error *err)
{
  int32_t partition = kafka_partition_of_job (&bus->topics, TOPIC_EVENTS, holding->job_id);
  return kafka_send (bus, TOPIC_EVENTS, partition, holding->job_id, &holding->entry->event,
                     holding->receipt, err);
}

/* The event, or the retry, that the claims log has for HOLDING. The log owns them, so that anybody
 * can do this over. The retry waits for the event's acknowledgement: the next attempt's event
 * mustn't come before this one's. */
static void
publish_end (struct kafka_bus *bus, struct holding *holding, bool retry)
{
  struct error err = ERROR_INIT;
  const struct claims_entry *entry = holding->entry;
  const struct buffer *payload = retry ? &entry->retry : &entry->event;
  holding->phase = HOLDING_PUBLISHING;
  claim_release (&holding->settle); /* the log has it now */
  holding->retry_sent = retry;
  receipt_leave (holding->receipt);
  holding->receipt = receipt_new ();
  if (payload->size == 0
      || (retry ? send_retry (bus, holding, &err) : send_event (bus, holding, &err)) == 0)
    return;
  holding->receipt->failed++;
  if (!holding->complained)
    log_not_sent ("completion_publish_failed", entry, &err);
  holding->complained = true;
}

/* What was acknowledged is done; what failed is sent again. */
void
holdings_look (struct kafka_bus *bus)
{
  struct holding *next = NULL;
  for (struct holding *holding = TAILQ_FIRST (&bus->holdings); holding != NULL; holding = next)
    {
      next = TAILQ_NEXT (holding, links);
      if (holding->phase != HOLDING_PUBLISHING || holding->receipt->pending > 0)
        continue;
      if (holding->receipt->failed > 0)
        {
          publish_end (bus, holding, holding->retry_sent);
          continue;
        }
      if (!holding->retry_sent && holding->entry->retry.size > 0)
        {
          publish_end (bus, holding, true);
          continue;
        }
      work_note (holding->lot, holding->entry, CLAIM_DONE);
      set_phase (holding, HOLDING_SETTLED);
      if (holding->ticket == 0)
        holding_drop (bus, holding);
    }
}

/* What was on its way stays unread: it may be in the log, or lost. */
static void
say_again (struct holding *holding)
{
  struct error err = ERROR_INIT;
  int sent = 0;
  if (holding->phase == HOLDING_CLAIMING)
    sent = holding_claim (holding, &err);
  else if (holding->phase == HOLDING_SETTLING)
    sent = holding_send_settle (holding, &err);
  else if (holding->phase < HOLDING_SETTLING)
    holding_renew (holding);
  if (sent != 0)
    log_not_sent ("claim_publish_failed", holding->entry, &err);
}

void
holdings_say_again (struct kafka_bus *bus)
{
  struct holding *holding = NULL;
  TAILQ_FOREACH (holding, &bus->holdings, links)
    if (holding->epoch != bus->epoch)
      say_again (holding);
}

void
work_redo (struct parcel *parcel)
{
  struct lot *lot = parcel->lot;
  struct holding *holding = holding_new (lot, parcel, HOLDING_SETTLING);
  const struct claims_entry *entry = parcel->entry;
  struct error err = ERROR_INIT;
  holding->settle =
      (struct claim){ .kind = CLAIM_SETTLE, .starts = entry->starts, .position = parcel->offset };
  buffer_append (&holding->settle.event, entry->event.data, entry->event.size);
  buffer_append (&holding->settle.retry, entry->retry.data, entry->retry.size);
  auto_free char *key = text_log (entry->key);
  auto_free char *holder = text_log (entry->holder);
  log_info ("completion_republished", "key=%s owner=%s", key, holder);
  parcel_set (parcel, PARCEL_OURS, 0);
  if (holding_send_settle (holding, &err) == 0)
    return;
  holding_drop (lot->work->bus, holding);
  parcel_set (parcel, PARCEL_WAITING, clock_boot_ms () + AGAIN_MS);
}

/* ---- claims that were read -------------------------------------------------------------- */

static bool
is_ours (const struct kafka_bus *bus, const struct claims_entry *entry)
{
  return entry->holder != NULL && strcmp (entry->holder, bus->writer) == 0;
}

static void
on_own_claim (struct kafka_bus *bus, struct lot *lot, struct holding *holding, enum claim_kind kind,
              const struct claims_entry *entry)
{
  if (holding == NULL)
    {
      /* We had given it up before our claim counted; nothing started by it. */
      if (kind == CLAIM_CLAIM && entry->phase == CLAIMS_HELD && is_ours (bus, entry))
        work_note (lot, entry, CLAIM_RELEASE);
      return;
    }
  note_read (holding);
  if (holding->phase != HOLDING_CLAIMING)
    return;
  if (entry->phase != CLAIMS_HELD || !is_ours (bus, entry))
    {
      lot->contested = clock_boot_ms ();
      lose (bus, holding);
      return;
    }
  holding->starts = entry->starts;
  /* A claim that was on its way for so long may end any moment: nothing starts by it before it is
   * renewed. */
  if (clock_boot_ms () - holding->confirmed > bus->lease_ms / 3 && !bus->resting)
    {
      if (holding->unread == 0)
        holding_renew (holding);
      else /* which of what was said when is here can't be told any more */
        holding_give_back (bus, holding);
      return;
    }
  holding->phase = HOLDING_READY;
  holding->ready = clock_boot_ms ();
  if (bus->resting)
    holding_give_back (bus, holding);
}

static void
on_own_settle (struct kafka_bus *bus, struct holding *holding, const struct claims_entry *entry)
{
  if (holding == NULL || holding->phase != HOLDING_SETTLING)
    return;
  if (entry->phase == CLAIMS_SETTLING && is_ours (bus, entry))
    publish_end (bus, holding, false);
  else
    lose (bus, holding);
}

static void
on_others_claim (struct kafka_bus *bus, struct holding *holding, const struct claims_entry *entry)
{
  bool ready = holding->phase == HOLDING_READY || holding->phase == HOLDING_TAKEN;
  if (ready && !is_ours (bus, entry))
    lose (bus, holding);
  else if (holding->phase == HOLDING_PUBLISHING && entry->phase == CLAIMS_DONE)
    {
      set_phase (holding, HOLDING_SETTLED); /* somebody did it over */
      if (holding->ticket == 0)
        holding_drop (bus, holding);
    }
}

void
work_on_claim (struct kafka_bus *bus, struct lot *lot, const struct claim *claim,
               struct claims_entry *entry, enum claims_verdict verdict)
{
  if (lot == NULL)
    return;
  bool own = strcmp (claim->writer, bus->writer) == 0;
  struct holding *holding = entry->holding;
  if (own && verdict == CLAIMS_TOO_LATE)
    work_note (lot, entry, CLAIM_DONE); /* our record may hide the one that says so */
  if (own && (claim->kind == CLAIM_CLAIM || claim->kind == CLAIM_RENEW))
    on_own_claim (bus, lot, holding, claim->kind, entry);
  else if (own && claim->kind == CLAIM_SETTLE)
    on_own_settle (bus, holding, entry);
  else if (!own && holding != NULL)
    on_others_claim (bus, holding, entry);
}
