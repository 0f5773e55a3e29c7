/* Work in hand: kept, settled, given back, and published to its end. */
#include "bus/kafka/work.h"

#include "bus/kafka/claims_log.h"
#include "bus/kafka/config.h"
#include "bus/kafka/inflight.h"
#include "bus/kafka/kafka.h"
#include "bus/kafka/leases.h"
#include "bus/kafka/partitions.h"
#include "bus/kafka/producer.h"
#include "bus/kafka/queues.h"
#include "bus/kafka/reader.h"
#include "bus/kafka/trouble.h"

#include "common/clock.h"
#include "common/memory.h"
#include "schemas/codec.h"

#include <string.h>
#include <sys/random.h>

enum
{
  LOOK_MS = 20, /* how often waiting messages are looked at */
  CLOSE_MS = 5000,
  FLUSH_MS = 20000,
  PACE_OF = 8,    /* the average is over about so many */
  READY_MS = 500, /* what the caller hasn't taken for so long is left to others */
};

void
work_init (struct kafka_bus *bus)
{
  TAILQ_INIT (&bus->inflight);
  bus->pace_ms = -1;
  bus->jobs = (struct partition_set){
    .bus = bus, .kind = BUS_JOBS, .messages = TOPIC_JOBS, .claims = TOPIC_LEASES
  };
}

static int
serve (struct kafka_bus *bus, const char *name, struct error *err)
{
  struct kafka_queue *queue = queues_need (bus, name, err);
  if (queue == NULL)
    return -1;
  for (int i = 0; i < bus->served_count; i++)
    if (bus->served[i] == queue)
      return 0;
  uint16_t turn = 0; /* workers begin at different partitions */
  (void) getrandom (&turn, sizeof turn, 0);
  bus->served[bus->served_count] = queue;
  bus->shards[bus->served_count++] = (struct partition_set){
    .bus = bus, .kind = BUS_SHARDS, .messages = queue->shards, .claims = queue->claims, .turn = turn
  };
  return 0;
}

int
work_serve (struct kafka_bus *bus, const struct strlist *queues, struct error *err)
{
  if (queues == NULL || queues->count == 0)
    return serve (bus, "default", err);
  for (size_t i = 0; i < queues->count; i++)
    if (serve (bus, queues->items[i], err) != 0)
      return -1;
  return 0;
}

/* ---- turning ---------------------------------------------------------------------------- */

/* A claim that counts: the caller takes it soon, or others get it. */
static void
tend_ready (struct kafka_bus *bus, struct inflight *inflight)
{
  int64_t now = clock_boot_ms ();
  if (now - inflight->ready > READY_MS)
    {
      inflight_give_back (bus, inflight);
      return;
    }
  if (now - inflight->renewed >= bus->lease_ms / 4)
    inflight_renew (inflight);
}

/* Publishes the ends that handles decided which are gone. What was read since may have another do
 * it. */
static void
redo_orphans (struct partition *partition)
{
  struct message *message = NULL;
  while ((message = TAILQ_FIRST (&partition->orphans)) != NULL)
    {
      message_update (message);
      if (message->state == MESSAGE_ORPHANED)
        inflight_redo (message);
    }
}

static void
pump_queue (struct partition_set *set)
{
  int64_t now = clock_boot_ms ();
  bool looks = now - set->looked >= LOOK_MS;
  set->looked = looks ? now : set->looked;
  for (int i = 0; i < set->count; i++)
    {
      partition_pump (set->items[i]);
      if (looks)
        partition_look (set->items[i]);
      redo_orphans (set->items[i]);
    }
  if (looks)
    partitions_commit (set, 0);
}

void
work_pump (struct kafka_bus *bus)
{
  inflight_send_again (bus);
  pump_queue (&bus->jobs);
  for (int i = 0; i < bus->served_count; i++)
    pump_queue (&bus->shards[i]);
  if (bus->shards[0].count > 0)
    queues_pump (bus);
  config_pump (bus);
  inflight_advance (bus);
  struct inflight *next = NULL;
  for (struct inflight *inflight = TAILQ_FIRST (&bus->inflight); inflight != NULL; inflight = next)
    {
      next = TAILQ_NEXT (inflight, links);
      if (inflight->phase == INFLIGHT_READY)
        tend_ready (bus, inflight);
    }
}

/* ---- what is held ----------------------------------------------------------------------- */

int
kafka_keep (struct bus *base, struct delivery *delivery, struct error *err)
{
  struct kafka_bus *bus = (struct kafka_bus *) base;
  work_pump (bus);
  struct inflight *inflight = inflight_find (bus, delivery->ticket);
  /* We were away for longer than the lease: what happened meanwhile may still be on its way to
   * us. */
  if (inflight != NULL && clock_boot_ms () - inflight->confirmed > bus->lease_ms)
    {
      if (kafka_is_doubted (bus)) /* one question in an outage is enough */
        return kafka_timeout (bus, "leases", err);
      bool all_written = bus->quiet.pending == 0;
      int synced = inflight->partition->set->kind == BUS_JOBS
                       ? leases_sync (bus, err)
                       : partition_sync (inflight->partition, err);
      if (synced != 0)
        return -1;
      inflight = inflight_find (bus, delivery->ticket);
      if (inflight != NULL && all_written)
        inflight->unread = 0; /* what hasn't been read by now was lost */
    }
  if (inflight == NULL || inflight->phase == INFLIGHT_LOST)
    {
      if (inflight != NULL)
        inflight_drop (bus, inflight);
      return 0;
    }
  if (inflight->phase == INFLIGHT_TAKEN)
    inflight_renew (inflight);
  return 1;
}

static void
note_pace (struct kafka_bus *bus, int64_t ms)
{
  bus->pace_ms = bus->pace_ms < 0 ? ms : bus->pace_ms + (ms - bus->pace_ms) / PACE_OF;
}

static int
begin_settle (struct inflight *inflight, const struct event *event, const struct shard *retry,
              struct error *err)
{
  struct claim *claim = &inflight->settle;
  claim_release (claim);
  *claim = (struct claim){ .kind = CLAIM_SETTLE,
                           .starts = inflight->starts,
                           .position = inflight->position };
  int outcome = 0;
  if (event != NULL)
    outcome = codec_encode_event (event, &claim->event, err);
  if (outcome == 0 && retry != NULL)
    {
      struct shard dated = *retry; /* by the broker's clock, which all readers know */
      dated.not_before += dated.not_before == 0 ? 0 : partition_skew (inflight->partition);
      outcome = codec_encode_shard (&dated, &claim->retry, err);
    }
  if (outcome != 0 || inflight_send_settle (inflight, err) != 0)
    return -1;
  inflight->phase = INFLIGHT_SETTLING;
  note_pace (inflight->partition->set->bus, clock_boot_ms () - inflight->taken);
  return 0;
}

int
kafka_settle (struct bus *base, struct delivery *delivery, const struct event *event,
              const struct shard *retry, struct error *err)
{
  struct kafka_bus *bus = (struct kafka_bus *) base;
  struct inflight *inflight = inflight_find (bus, delivery->ticket);
  if (inflight != NULL && !(inflight->phase == INFLIGHT_TAKEN && inflight_is_sure (inflight)))
    {
      kafka_serve (bus, 0);
      leases_pump (bus);
      work_pump (bus);
      inflight = inflight_find (bus, delivery->ticket);
    }
  if (inflight == NULL)
    return 0;
  if (inflight->phase == INFLIGHT_TAKEN)
    {
      bool sure = inflight_is_sure (inflight);
      if (begin_settle (inflight, event, retry, err) != 0)
        return -1;
      inflight->ticket = sure ? 0 : inflight->ticket; /* without one it goes its way alone */
      return sure ? 1 : BUS_PENDING;
    }
  if (inflight->phase != INFLIGHT_SETTLED && inflight->phase != INFLIGHT_LOST)
    return BUS_PENDING;
  int outcome = inflight->phase == INFLIGHT_SETTLED;
  inflight_drop (bus, inflight);
  return outcome;
}

int
kafka_give_back (struct bus *base, struct delivery *delivery, struct error *err)
{
  struct kafka_bus *bus = (struct kafka_bus *) base;
  (void) err;
  work_pump (bus);
  struct inflight *inflight = inflight_find (bus, delivery->ticket);
  if (inflight == NULL)
    return 0;
  bool ours = inflight->phase == INFLIGHT_TAKEN;
  if (ours)
    inflight_give_back (bus, inflight);
  else
    inflight_drop (bus, inflight);
  return ours;
}

/* ---- the end ---------------------------------------------------------------------------- */

void
kafka_quiesce (struct bus *base)
{
  struct kafka_bus *bus = (struct kafka_bus *) base;
  struct inflight *next = NULL;
  bus->quiesced = true;
  for (struct inflight *inflight = TAILQ_FIRST (&bus->inflight); inflight != NULL; inflight = next)
    {
      next = TAILQ_NEXT (inflight, links);
      if (inflight->phase != INFLIGHT_READY)
        continue;
      inflight_give_back (bus, inflight);
    }
}

/* Ends the lease of what the caller has, whose start counts, and of claims that may still count. */
static void
let_go (struct kafka_bus *bus)
{
  struct inflight *inflight = NULL;
  while ((inflight = TAILQ_FIRST (&bus->inflight)) != NULL)
    {
      struct claim claim = { .kind =
                                 inflight->phase == INFLIGHT_TAKEN ? CLAIM_RENEW : CLAIM_RELEASE,
                             .starts = inflight->starts,
                             .position = inflight->position,
                             .lease_ms = -1 };
      if (inflight->phase <= INFLIGHT_TAKEN)
        (void) inflight_send (inflight->partition, inflight->entry->key, &claim, NULL);
      inflight_drop (bus, inflight);
    }
}

int
work_flush (struct kafka_bus *bus, struct error *err)
{
  for (int64_t end = clock_boot_ms () + FLUSH_MS; inflight_is_ending (bus);)
    {
      if (clock_boot_ms () >= end)
        return kafka_timeout (bus, "settling", err);
      kafka_renew_producer (bus);
      kafka_serve (bus, 1);
      leases_pump (bus);
      work_pump (bus);
    }
  return 0;
}

void
work_release (struct kafka_bus *bus)
{
  if (bus->work_reader == NULL)
    return;
  kafka_quiesce (&bus->bus);
  for (int64_t end = clock_boot_ms () + CLOSE_MS;
       inflight_is_ending (bus) && clock_boot_ms () < end;)
    {
      kafka_serve (bus, 5);
      leases_pump (bus);
      work_pump (bus);
    }
  let_go (bus);
  for (int i = 0; i < bus->served_count; i++)
    {
      partitions_commit (&bus->shards[i], PARTITIONS_COMMIT_MS);
      partitions_close (&bus->shards[i]);
    }
  partitions_commit (&bus->jobs, PARTITIONS_COMMIT_MS);
  partitions_close (&bus->jobs);
  kafka_reader_close (bus->work_reader);
}
