/* Work in hand: kept, settled, given back, and published to its end. */
#include "bus/kafka/work.h"

#include "bus/kafka/claims_log.h"
#include "bus/kafka/config.h"
#include "bus/kafka/inflight.h"
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
work_init (struct kafka_work *work)
{
  TAILQ_INIT (&work->inflight->list);
  work->pace_ms = -1;
  work->jobs = (struct partition_set){
    .kind = BUS_JOBS,
    .messages = TOPIC_JOBS,
    .claims = TOPIC_LEASES,
    .tables = work->tables,
    .leases_cursor = &work->leases->cursor,
  };
}

static int
work_serve_queue (struct kafka_work *work, const char *name, struct error *err)
{
  struct kafka_queue *queue = queues_need (work->queues, name, err);
  if (queue == NULL)
    return -1;
  for (int i = 0; i < work->queues->served_count; i++)
    if (work->queues->served[i] == queue)
      return 0;
  uint16_t turn = 0; /* workers begin at different partitions */
  (void) getrandom (&turn, sizeof turn, 0);
  work->queues->served[work->queues->served_count] = queue;
  work->shards[work->queues->served_count++] = (struct partition_set){ .kind = BUS_SHARDS,
                                                                       .tables = work->tables,
                                                                       .messages = queue->shards,
                                                                       .claims = queue->claims,
                                                                       .turn = turn };
  return 0;
}

int
work_serve (struct kafka_work *work, const struct strlist *queues, struct error *err)
{
  if (queues == NULL || queues->count == 0)
    return work_serve_queue (work, "default", err);
  for (size_t i = 0; i < queues->count; i++)
    if (work_serve_queue (work, queues->items[i], err) != 0)
      return -1;
  return 0;
}

/* ---- turning ---------------------------------------------------------------------------- */

/* A claim that counts: the caller takes it soon, or others get it. */
static void
tend_ready (struct kafka_work *work, struct inflight *inflight)
{
  int64_t now = clock_boot_ms ();
  if (now - inflight->ready > READY_MS)
    {
      inflight_give_back (inflight);
      return;
    }
  if (now - inflight->renewed >= work->producer->client->lease_ms / 4)
    inflight_renew (inflight);
}

/* Publishes the ends that handles decided which are gone. What was read since may have another do
 * it. */
static void
redo_orphans (struct kafka_inflight *all, struct partition *partition)
{
  struct message *message = NULL;
  while ((message = TAILQ_FIRST (&partition->orphans)) != NULL)
    {
      message_update (message);
      if (message->state == MESSAGE_ORPHANED)
        inflight_redo (all, message);
    }
}

static void
pump_queue (struct kafka_work *work, struct partition_set *set)
{
  int64_t now = clock_boot_ms ();
  bool looks = now - set->looked >= LOOK_MS;
  set->looked = looks ? now : set->looked;
  for (int i = 0; i < set->count; i++)
    {
      claims_pump_partition (&work->leases->log, set->items[i]);
      if (looks)
        partition_refresh (set->items[i]);
      redo_orphans (work->inflight, set->items[i]);
    }
  if (looks)
    partitions_commit (set, 0);
}

void
work_set_reader (struct kafka_work *work, struct kafka_reader *reader)
{
  work->reader = reader;
  work->jobs.reader = reader;
  for (int i = 0; i < work->queues->served_count; i++)
    work->shards[i].reader = reader;
}

void
work_pump (struct kafka_work *work)
{
  inflight_send_again (work->inflight);
  pump_queue (work, &work->jobs);
  for (int i = 0; i < work->queues->served_count; i++)
    pump_queue (work, &work->shards[i]);
  if (work->shards[0].count > 0 && !work->inflight->quiesced)
    queues_pump (work->queues, claims_now (work->leases->claims));
  if (!work->inflight->quiesced)
    config_pump (work->leases->log.config);
  inflight_advance (work->inflight);
  struct inflight *next = NULL;
  for (struct inflight *inflight = TAILQ_FIRST (&work->inflight->list); inflight != NULL;
       inflight = next)
    {
      next = TAILQ_NEXT (inflight, links);
      if (inflight->phase == INFLIGHT_READY)
        tend_ready (work, inflight);
    }
}

/* ---- what is held ----------------------------------------------------------------------- */

int
work_keep (struct kafka_work *work, struct delivery *delivery, struct error *err)
{
  work_pump (work);
  struct inflight *inflight = inflight_find (work->inflight, delivery->ticket);
  /* We were away for longer than the lease: what happened meanwhile may still be on its way to
   * us. */
  if (inflight != NULL && clock_boot_ms () - inflight->confirmed > work->producer->client->lease_ms)
    {
      if (kafka_is_doubted (
              &work->producer->client->trouble)) /* one question in an outage is enough */
        return kafka_timeout (&work->producer->client->trouble, "leases", err);
      bool all_written = work->producer->quiet.pending == 0;
      int synced = inflight->partition->set->kind == BUS_JOBS
                       ? leases_sync (work->leases, err)
                       : claims_sync_partition (&work->leases->log, inflight->partition, err);
      if (synced != 0)
        return -1;
      inflight = inflight_find (work->inflight, delivery->ticket);
      if (inflight != NULL && all_written)
        inflight->unread = 0; /* what hasn't been read by now was lost */
    }
  if (inflight == NULL || inflight->phase == INFLIGHT_LOST)
    {
      if (inflight != NULL)
        inflight_drop (inflight);
      return 0;
    }
  if (inflight->phase == INFLIGHT_TAKEN)
    inflight_renew (inflight);
  return 1;
}

static void
work_measure_pace (struct kafka_work *work, int64_t ms)
{
  work->pace_ms = work->pace_ms < 0 ? ms : work->pace_ms + (ms - work->pace_ms) / PACE_OF;
}

static int
begin_settle (struct kafka_work *work, struct inflight *inflight, const struct event *event,
              const struct shard *retry, struct error *err)
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
  work_measure_pace (work, clock_boot_ms () - inflight->taken);
  return 0;
}

int
work_settle (struct kafka_work *work, struct delivery *delivery, const struct event *event,
             const struct shard *retry, struct error *err)
{
  struct inflight *inflight = inflight_find (work->inflight, delivery->ticket);
  if (inflight != NULL && !(inflight->phase == INFLIGHT_TAKEN && inflight_is_sure (inflight)))
    {
      kafka_serve (work->producer, 0);
      leases_pump (work->leases);
      work_pump (work);
      inflight = inflight_find (work->inflight, delivery->ticket);
    }
  if (inflight == NULL)
    return 0;
  if (inflight->phase == INFLIGHT_TAKEN)
    {
      bool sure = inflight_is_sure (inflight);
      if (begin_settle (work, inflight, event, retry, err) != 0)
        return -1;
      inflight->ticket = sure ? 0 : inflight->ticket; /* without one it goes its way alone */
      return sure ? 1 : BUS_PENDING;
    }
  if (inflight->phase != INFLIGHT_SETTLED && inflight->phase != INFLIGHT_LOST)
    return BUS_PENDING;
  int outcome = inflight->phase == INFLIGHT_SETTLED;
  inflight_drop (inflight);
  return outcome;
}

int
work_give_back (struct kafka_work *work, struct delivery *delivery, struct error *err)
{
  (void) err;
  work_pump (work);
  struct inflight *inflight = inflight_find (work->inflight, delivery->ticket);
  if (inflight == NULL)
    return 0;
  bool ours = inflight->phase == INFLIGHT_TAKEN;
  if (ours)
    inflight_give_back (inflight);
  else
    inflight_drop (inflight);
  return ours;
}

/* ---- the end ---------------------------------------------------------------------------- */

void
work_quiesce (struct kafka_work *work)
{
  struct inflight *next = NULL;
  if (!work->inflight->quiesced)
    queues_leave (work->queues);
  work->inflight->quiesced = true;
  for (struct inflight *inflight = TAILQ_FIRST (&work->inflight->list); inflight != NULL;
       inflight = next)
    {
      next = TAILQ_NEXT (inflight, links);
      if (inflight->phase != INFLIGHT_READY)
        continue;
      inflight_give_back (inflight);
    }
}

/* Ends the lease of what the caller has, whose start counts, and of claims that may still count. */
static void
work_release_all (struct kafka_work *work)
{
  struct inflight *inflight = NULL;
  while ((inflight = TAILQ_FIRST (&work->inflight->list)) != NULL)
    {
      struct claim claim = { .kind =
                                 inflight->phase == INFLIGHT_TAKEN ? CLAIM_RENEW : CLAIM_RELEASE,
                             .starts = inflight->starts,
                             .position = inflight->position,
                             .lease_ms = -1 };
      if (inflight->phase <= INFLIGHT_TAKEN)
        (void) inflight_send (inflight->partition, inflight->entry->key, &claim, NULL);
      inflight_drop (inflight);
    }
}

int
work_flush (struct kafka_work *work, struct error *err)
{
  for (int64_t end = clock_boot_ms () + FLUSH_MS; inflight_is_ending (work->inflight);)
    {
      if (clock_boot_ms () >= end)
        return kafka_timeout (&work->producer->client->trouble, "settling", err);
      kafka_renew_producer (work->producer);
      kafka_serve (work->producer, 1);
      leases_pump (work->leases);
      work_pump (work);
    }
  return 0;
}

void
work_release (struct kafka_work *work)
{
  if (work->reader == NULL)
    return;
  work_quiesce (work);
  for (int64_t end = clock_boot_ms () + CLOSE_MS;
       inflight_is_ending (work->inflight) && clock_boot_ms () < end;)
    {
      kafka_serve (work->producer, 5);
      leases_pump (work->leases);
      work_pump (work);
    }
  work_release_all (work);
  for (int i = 0; i < work->queues->served_count; i++)
    {
      partitions_commit (&work->shards[i], PARTITIONS_COMMIT_MS);
      partitions_close (&work->shards[i]);
    }
  partitions_commit (&work->jobs, PARTITIONS_COMMIT_MS);
  partitions_close (&work->jobs);
  kafka_reader_close (work->reader);
}
