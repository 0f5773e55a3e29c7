/* What this handle holds: its claims' way through the log, and the publishing of ends. */
#include "bus/kafka/inflight.h"

#include "bus/kafka/client.h"
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
inflight_send (struct partition *partition, const char *key, struct claim *claim, struct error *err)
{
  struct kafka_producer *producer = partition_producer (partition);
  auto_buffer struct buffer payload = { 0 };
  claim->writer = producer->client->writer;
  claim->lease_ms = claim->lease_ms < 0 ? 0 : producer->client->lease_ms;
  if (codec_encode_claim (claim, &payload, err) != 0)
    return -1;
  if (kafka_send (producer, partition->set->claims, partition_claims_partition (partition), key,
                  &payload, &producer->quiet, err)
      != 0)
    return -1;
  partition_note_sent (partition);
  return 0;
}

int
inflight_send_settle (struct inflight *inflight, struct error *err)
{
  int outcome = inflight_send (inflight->partition, inflight->entry->key, &inflight->settle, err);
  inflight->settle.writer = NULL; /* the bus's */
  inflight->epoch = inflight->all->producer->epoch;
  return outcome;
}

/* CLAIM or RENEW. Which of several that are on their way was read back is known when all of them
 * are: until then the oldest counts. */
static int
inflight_publish_claim (struct inflight *inflight, enum claim_kind kind, struct error *err)
{
  int64_t now = clock_boot_ms ();
  struct claim claim = { .kind = kind, .starts = inflight->starts, .position = inflight->position };
  int sent = inflight_send (inflight->partition, inflight->entry->key, &claim, err);
  inflight->epoch = inflight->all->producer->epoch;
  if (sent != 0)
    return -1;
  inflight->renewed = now;
  if (inflight->unread++ == 0)
    inflight->asked = now;
  return 0;
}

static void
inflight_confirm (struct inflight *inflight)
{
  inflight->unread -= inflight->unread > 0 ? 1 : 0;
  inflight->confirmed = inflight->unread == 0 ? inflight->renewed : inflight->asked;
}

int
inflight_claim (struct inflight *inflight, struct error *err)
{
  return inflight_publish_claim (inflight, CLAIM_CLAIM, err);
}

void
inflight_renew (struct inflight *inflight)
{
  struct error err = ERROR_INIT;
  if (inflight_publish_claim (inflight, CLAIM_RENEW, &err) != 0)
    log_not_sent ("claim_publish_failed", inflight->entry, &err);
}

bool
inflight_is_sure (const struct inflight *inflight)
{
  return clock_boot_ms () - inflight->confirmed < inflight->all->producer->client->lease_ms / 2;
}

void
inflight_note (struct partition *partition, const struct claims_entry *entry, enum claim_kind kind)
{
  struct error err = ERROR_INIT;
  struct claim claim = { .kind = kind, .starts = entry->starts, .position = entry->position };
  if (inflight_send (partition, entry->key, &claim, &err) != 0)
    log_not_sent ("claim_publish_failed", entry, &err);
}

/* ---- what is in flight ------------------------------------------------------------------ */

bool
inflight_is_ending (struct kafka_inflight *all)
{
  const struct inflight *inflight = NULL;
  TAILQ_FOREACH (inflight, &all->list, links)
    if (inflight->phase == INFLIGHT_SETTLING || inflight->phase == INFLIGHT_PUBLISHING)
      return true;
  return false;
}

struct inflight *
inflight_find (struct kafka_inflight *all, int64_t ticket)
{
  struct inflight *inflight = NULL;
  TAILQ_FOREACH (inflight, &all->list, links)
    if (inflight->ticket == ticket)
      return inflight;
  return NULL;
}

/* From SETTLED on the log has nothing more to say about it. */
static void
set_phase (struct inflight *inflight, enum inflight_phase phase)
{
  inflight->phase = phase;
  if (phase >= INFLIGHT_SETTLED && inflight->entry->inflight == inflight)
    inflight->entry->inflight = NULL;
}

struct inflight *
inflight_new (struct kafka_inflight *all, struct partition *partition,
              const struct message *message, enum inflight_phase phase)
{
  struct inflight *inflight = xcalloc (1, sizeof *inflight);
  inflight->all = all;
  inflight->partition = partition;
  inflight->phase = phase;
  inflight->entry = message->entry;
  message->entry->inflight = inflight;
  inflight->job_id = xstrdup (message->job_id);
  inflight->position = message->offset;
  inflight->since = message->time;
  inflight->epoch = all->producer->epoch;
  TAILQ_INSERT_TAIL (&all->list, inflight, links);
  all->producer->client->held++;
  return inflight;
}

void
inflight_drop (struct inflight *inflight)
{
  if (inflight->phase < INFLIGHT_SETTLED)
    set_phase (inflight, INFLIGHT_LOST);
  TAILQ_REMOVE (&inflight->all->list, inflight, links);
  inflight->all->producer->client->held--;
  delivery_free (inflight->delivery);
  delivery_report_leave (inflight->report);
  claim_release (&inflight->settle);
  free (inflight->job_id);
  free (inflight);
}

void
inflight_give_back (struct inflight *inflight)
{
  inflight_note (inflight->partition, inflight->entry, CLAIM_RELEASE);
  inflight_drop (inflight);
}

/* It isn't ours any more, or never was: the caller is told when it asks. */
static void
lose (struct inflight *inflight)
{
  struct claims_entry *entry = inflight->entry;
  bool unknown = inflight->ticket == 0 || inflight->phase == INFLIGHT_CLAIMING
                 || inflight->phase == INFLIGHT_READY;
  set_phase (inflight, INFLIGHT_LOST);
  if (unknown)
    inflight_drop (inflight);
  partition_entry_changed (entry);
}

/* ---- publishing an end ------------------------------------------------------------------ */

/* To the partition of the message itself, wherever a new one would go. */
static int
send_retry (struct kafka_inflight *all, struct inflight *inflight, struct error *err)
{
  const struct buffer *payload = &inflight->entry->retry;
  auto_shard struct shard retry = { 0 };
  if (codec_decode_shard (buffer_bytes (payload), &retry, err) != 0)
    return -1;
  auto_free char *key = shard_key (&retry);
  return kafka_send (all->producer, inflight->partition->set->messages, inflight->partition->number,
                     key, payload, inflight->report, err);
}

static int
send_event (struct kafka_inflight *all, struct inflight *inflight, struct error *err)
{
  int32_t partition =
      kafka_partition_of_job (&all->producer->client->topics, TOPIC_EVENTS, inflight->job_id);
  return kafka_send (all->producer, TOPIC_EVENTS, partition, inflight->job_id,
                     &inflight->entry->event, inflight->report, err);
}

/* The event, or the retry, that the claims log has for INFLIGHT. The log owns them, so that anybody
 * can do this over. The retry waits for the event's acknowledgement: the next attempt's event
 * mustn't come before this one's. */
static void
publish_end (struct kafka_inflight *all, struct inflight *inflight, bool retry)
{
  struct error err = ERROR_INIT;
  const struct claims_entry *entry = inflight->entry;
  const struct buffer *payload = retry ? &entry->retry : &entry->event;
  inflight->phase = INFLIGHT_PUBLISHING;
  claim_release (&inflight->settle); /* the log has it now */
  inflight->retry_sent = retry;
  delivery_report_leave (inflight->report);
  inflight->report = delivery_report_new ();
  if (payload->size == 0
      || (retry ? send_retry (all, inflight, &err) : send_event (all, inflight, &err)) == 0)
    return;
  inflight->report->failed++;
  if (!inflight->complained)
    log_not_sent ("completion_publish_failed", entry, &err);
  inflight->complained = true;
}

/* What was acknowledged is done; what failed is sent again. */
void
inflight_advance (struct kafka_inflight *all)
{
  struct inflight *next = NULL;
  for (struct inflight *inflight = TAILQ_FIRST (&all->list); inflight != NULL; inflight = next)
    {
      next = TAILQ_NEXT (inflight, links);
      if (inflight->phase != INFLIGHT_PUBLISHING || inflight->report->pending > 0)
        continue;
      if (inflight->report->failed > 0)
        {
          publish_end (all, inflight, inflight->retry_sent);
          continue;
        }
      if (!inflight->retry_sent && inflight->entry->retry.size > 0)
        {
          publish_end (all, inflight, true);
          continue;
        }
      inflight_note (inflight->partition, inflight->entry, CLAIM_DONE);
      set_phase (inflight, INFLIGHT_SETTLED);
      if (inflight->ticket == 0)
        inflight_drop (inflight);
    }
}

/* What was on its way stays unread: it may be in the log, or lost. */
static void
inflight_resend (struct inflight *inflight)
{
  struct error err = ERROR_INIT;
  int sent = 0;
  if (inflight->phase == INFLIGHT_CLAIMING)
    sent = inflight_claim (inflight, &err);
  else if (inflight->phase == INFLIGHT_SETTLING)
    sent = inflight_send_settle (inflight, &err);
  else if (inflight->phase < INFLIGHT_SETTLING)
    inflight_renew (inflight);
  if (sent != 0)
    log_not_sent ("claim_publish_failed", inflight->entry, &err);
}

void
inflight_send_again (struct kafka_inflight *all)
{
  struct inflight *inflight = NULL;
  TAILQ_FOREACH (inflight, &all->list, links)
    if (inflight->epoch != all->producer->epoch)
      inflight_resend (inflight);
}

void
inflight_redo (struct kafka_inflight *all, struct message *message)
{
  struct partition *partition = message->partition;
  struct inflight *inflight = inflight_new (all, partition, message, INFLIGHT_SETTLING);
  const struct claims_entry *entry = message->entry;
  struct error err = ERROR_INIT;
  inflight->settle =
      (struct claim){ .kind = CLAIM_SETTLE, .starts = entry->starts, .position = message->offset };
  buffer_append (&inflight->settle.event, entry->event.data, entry->event.size);
  buffer_append (&inflight->settle.retry, entry->retry.data, entry->retry.size);
  auto_free char *key = text_log (entry->key);
  auto_free char *holder = text_log (entry->holder);
  log_info ("completion_republished", "key=%s owner=%s", key, holder);
  message_set (message, MESSAGE_OURS, 0);
  if (inflight_send_settle (inflight, &err) == 0)
    return;
  inflight_drop (inflight);
  message_set (message, MESSAGE_WAITING, clock_boot_ms () + AGAIN_MS);
}

/* ---- claims that were read -------------------------------------------------------------- */

static bool
inflight_is_ours (const struct kafka_inflight *all, const struct claims_entry *entry)
{
  return entry->holder != NULL && strcmp (entry->holder, all->producer->client->writer) == 0;
}

static void
on_own_claim (struct kafka_inflight *all, struct partition *partition, struct inflight *inflight,
              enum claim_kind kind, const struct claims_entry *entry)
{
  if (inflight == NULL)
    {
      /* We had given it up before our claim counted; nothing started by it. */
      if (kind == CLAIM_CLAIM && entry->phase == CLAIMS_HELD && inflight_is_ours (all, entry))
        inflight_note (partition, entry, CLAIM_RELEASE);
      return;
    }
  inflight_confirm (inflight);
  if (inflight->phase != INFLIGHT_CLAIMING)
    return;
  if (entry->phase != CLAIMS_HELD || !inflight_is_ours (all, entry))
    {
      partition->contested = clock_boot_ms ();
      partition->set->met_at = partition->contested;
      lose (inflight);
      return;
    }
  inflight->starts = entry->starts;
  /* A claim that was on its way for so long may end any moment: nothing starts by it before it is
   * renewed. */
  if (clock_boot_ms () - inflight->confirmed > all->producer->client->lease_ms / 3
      && !all->quiesced)
    {
      if (inflight->unread == 0)
        inflight_renew (inflight);
      else /* which of what was said when is here can't be told any more */
        inflight_give_back (inflight);
      return;
    }
  inflight->phase = INFLIGHT_READY;
  inflight->ready = clock_boot_ms ();
  if (all->quiesced)
    inflight_give_back (inflight);
}

static void
on_own_settle (struct kafka_inflight *all, struct inflight *inflight,
               const struct claims_entry *entry)
{
  if (inflight == NULL || inflight->phase != INFLIGHT_SETTLING)
    return;
  if (entry->phase == CLAIMS_SETTLING && inflight_is_ours (all, entry))
    publish_end (all, inflight, false);
  else
    lose (inflight);
}

static void
on_others_claim (struct kafka_inflight *all, struct inflight *inflight,
                 const struct claims_entry *entry)
{
  bool ready = inflight->phase == INFLIGHT_READY || inflight->phase == INFLIGHT_TAKEN;
  if (ready && !inflight_is_ours (all, entry))
    lose (inflight);
  else if (inflight->phase == INFLIGHT_PUBLISHING && entry->phase == CLAIMS_DONE)
    {
      set_phase (inflight, INFLIGHT_SETTLED); /* somebody did it over */
      if (inflight->ticket == 0)
        inflight_drop (inflight);
    }
}

void
inflight_on_claim (struct kafka_inflight *all, struct partition *partition,
                   const struct claim *claim, struct claims_entry *entry,
                   enum claims_verdict verdict)
{
  bool own = strcmp (claim->writer, all->producer->client->writer) == 0;
  struct inflight *inflight = entry->inflight;
  if (own && claim->kind != CLAIM_UNKNOWN)
    partition_note_read (partition);
  if (own && verdict == CLAIMS_TOO_LATE)
    inflight_note (partition, entry, CLAIM_DONE); /* our record may hide the one that says so */
  if (own && (claim->kind == CLAIM_CLAIM || claim->kind == CLAIM_RENEW))
    on_own_claim (all, partition, inflight, claim->kind, entry);
  else if (own && claim->kind == CLAIM_DONE)
    partition_owe (partition, entry->position);
  else if (own && claim->kind == CLAIM_SETTLE)
    on_own_settle (all, inflight, entry);
  else if (!own && inflight != NULL)
    on_others_claim (all, inflight, entry);
}
