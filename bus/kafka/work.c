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
  LOOK_MS = 20, /* how often waiting parcels are looked at */
  CLOSE_MS = 5000,
  FLUSH_MS = 20000,
  PACE_OF = 8,    /* the average is over about so many */
  READY_MS = 500, /* what the caller hasn't taken for so long is left to others */
};

void
work_init (struct kafka_bus *bus)
{
  TAILQ_INIT (&bus->holdings);
  bus->pace_ms = -1;
  bus->jobs = (struct kafka_work){
    .bus = bus, .queue = BUS_JOBS, .messages = TOPIC_JOBS, .claims = TOPIC_LEASES
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
  uint16_t turn = 0; /* workers begin at different lots */
  (void) getrandom (&turn, sizeof turn, 0);
  bus->served[bus->served_count] = queue;
  bus->shards[bus->served_count++] = (struct kafka_work){ .bus = bus,
                                                          .queue = BUS_SHARDS,
                                                          .messages = queue->shards,
                                                          .claims = queue->claims,
                                                          .turn = turn };
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
tend_ready (struct kafka_bus *bus, struct holding *holding)
{
  int64_t now = clock_boot_ms ();
  if (now - holding->ready > READY_MS)
    {
      holding_give_back (bus, holding);
      return;
    }
  if (now - holding->renewed >= bus->lease_ms / 4)
    holding_renew (holding);
}

/* Publishes the ends that handles decided which are gone. What was read since may have another do
 * it. */
static void
redo_orphans (struct lot *lot)
{
  struct parcel *parcel = NULL;
  while ((parcel = TAILQ_FIRST (&lot->orphans)) != NULL)
    {
      parcel_update (parcel);
      if (parcel->state == PARCEL_ORPHANED)
        work_redo (parcel);
    }
}

static void
pump_queue (struct kafka_work *work)
{
  int64_t now = clock_boot_ms ();
  bool looks = now - work->looked >= LOOK_MS;
  work->looked = looks ? now : work->looked;
  for (int i = 0; i < work->lot_count; i++)
    {
      lot_pump (work->lots[i]);
      if (looks)
        lot_look (work->lots[i]);
      redo_orphans (work->lots[i]);
    }
  if (looks)
    lots_commit (work, 0);
}

void
work_pump (struct kafka_bus *bus)
{
  holdings_say_again (bus);
  pump_queue (&bus->jobs);
  for (int i = 0; i < bus->served_count; i++)
    pump_queue (&bus->shards[i]);
  if (bus->shards[0].lot_count > 0)
    queues_pump (bus);
  config_pump (bus);
  holdings_look (bus);
  struct holding *next = NULL;
  for (struct holding *holding = TAILQ_FIRST (&bus->holdings); holding != NULL; holding = next)
    {
      next = TAILQ_NEXT (holding, links);
      if (holding->phase == HOLDING_READY)
        tend_ready (bus, holding);
    }
}

/* ---- what is held ----------------------------------------------------------------------- */

int
kafka_keep (struct bus *base, struct delivery *delivery, struct error *err)
{
  struct kafka_bus *bus = (struct kafka_bus *) base;
  work_pump (bus);
  struct holding *holding = holding_find (bus, delivery->ticket);
  /* We were away for longer than the lease: what happened meanwhile may still be on its way to
   * us. */
  if (holding != NULL && clock_boot_ms () - holding->confirmed > bus->lease_ms)
    {
      if (kafka_is_doubted (bus)) /* one question in an outage is enough */
        return kafka_timeout (bus, "leases", err);
      bool all_written = bus->quiet.pending == 0;
      int synced = holding->lot->work->queue == BUS_JOBS ? leases_sync (bus, err)
                                                         : lot_sync (holding->lot, err);
      if (synced != 0)
        return -1;
      holding = holding_find (bus, delivery->ticket);
      if (holding != NULL && all_written)
        holding->unread = 0; /* what hasn't been read by now was lost */
    }
  if (holding == NULL || holding->phase == HOLDING_LOST)
    {
      if (holding != NULL)
        holding_drop (bus, holding);
      return 0;
    }
  if (holding->phase == HOLDING_TAKEN)
    holding_renew (holding);
  return 1;
}

static void
note_pace (struct kafka_bus *bus, int64_t ms)
{
  bus->pace_ms = bus->pace_ms < 0 ? ms : bus->pace_ms + (ms - bus->pace_ms) / PACE_OF;
}

static int
begin_settle (struct holding *holding, const struct event *event, const struct shard *retry,
              struct error *err)
{
  struct claim *claim = &holding->settle;
  claim_release (claim);
  *claim = (struct claim){ .kind = CLAIM_SETTLE,
                           .starts = holding->starts,
                           .position = holding->position };
  int outcome = 0;
  if (event != NULL)
    outcome = codec_encode_event (event, &claim->event, err);
  if (outcome == 0 && retry != NULL)
    {
      struct shard dated = *retry; /* by the broker's clock, which all readers know */
      dated.not_before += dated.not_before == 0 ? 0 : lot_skew (holding->lot);
      outcome = codec_encode_shard (&dated, &claim->retry, err);
    }
  if (outcome != 0 || holding_send_settle (holding, err) != 0)
    return -1;
  holding->phase = HOLDING_SETTLING;
  note_pace (holding->lot->work->bus, clock_boot_ms () - holding->taken);
  return 0;
}

int
kafka_settle (struct bus *base, struct delivery *delivery, const struct event *event,
              const struct shard *retry, struct error *err)
{
  struct kafka_bus *bus = (struct kafka_bus *) base;
  struct holding *holding = holding_find (bus, delivery->ticket);
  if (holding != NULL && !(holding->phase == HOLDING_TAKEN && holding_is_sure (holding)))
    {
      kafka_serve (bus, 0);
      leases_pump (bus);
      work_pump (bus);
      holding = holding_find (bus, delivery->ticket);
    }
  if (holding == NULL)
    return 0;
  if (holding->phase == HOLDING_TAKEN)
    {
      bool sure = holding_is_sure (holding);
      if (begin_settle (holding, event, retry, err) != 0)
        return -1;
      holding->ticket = sure ? 0 : holding->ticket; /* without one it goes its way alone */
      return sure ? 1 : BUS_PENDING;
    }
  if (holding->phase != HOLDING_SETTLED && holding->phase != HOLDING_LOST)
    return BUS_PENDING;
  int outcome = holding->phase == HOLDING_SETTLED;
  holding_drop (bus, holding);
  return outcome;
}

int
kafka_give_back (struct bus *base, struct delivery *delivery, struct error *err)
{
  struct kafka_bus *bus = (struct kafka_bus *) base;
  (void) err;
  work_pump (bus);
  struct holding *holding = holding_find (bus, delivery->ticket);
  if (holding == NULL)
    return 0;
  bool ours = holding->phase == HOLDING_TAKEN;
  if (ours)
    holding_give_back (bus, holding);
  else
    holding_drop (bus, holding);
  return ours;
}

/* ---- the end ---------------------------------------------------------------------------- */

void
kafka_rest (struct bus *base)
{
  struct kafka_bus *bus = (struct kafka_bus *) base;
  struct holding *next = NULL;
  bus->resting = true;
  for (struct holding *holding = TAILQ_FIRST (&bus->holdings); holding != NULL; holding = next)
    {
      next = TAILQ_NEXT (holding, links);
      if (holding->phase != HOLDING_READY)
        continue;
      holding_give_back (bus, holding);
    }
}

/* Ends the lease of what the caller has, whose start counts, and of claims that may still count. */
static void
let_go (struct kafka_bus *bus)
{
  struct holding *holding = NULL;
  while ((holding = TAILQ_FIRST (&bus->holdings)) != NULL)
    {
      struct claim claim = { .kind = holding->phase == HOLDING_TAKEN ? CLAIM_RENEW : CLAIM_RELEASE,
                             .starts = holding->starts,
                             .position = holding->position,
                             .lease_ms = -1 };
      if (holding->phase <= HOLDING_TAKEN)
        (void) holding_send (holding->lot, holding->entry->key, &claim, NULL);
      holding_drop (bus, holding);
    }
}

int
work_flush (struct kafka_bus *bus, struct error *err)
{
  for (int64_t end = clock_boot_ms () + FLUSH_MS; holdings_end (bus);)
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
  kafka_rest (&bus->bus);
  for (int64_t end = clock_boot_ms () + CLOSE_MS; holdings_end (bus) && clock_boot_ms () < end;)
    {
      kafka_serve (bus, 5);
      leases_pump (bus);
      work_pump (bus);
    }
  let_go (bus);
  for (int i = 0; i < bus->served_count; i++)
    {
      lots_commit (&bus->shards[i], LOTS_COMMIT_MS);
      lots_close (&bus->shards[i]);
    }
  lots_commit (&bus->jobs, LOTS_COMMIT_MS);
  lots_close (&bus->jobs);
  kafka_reader_close (bus->work_reader);
}
