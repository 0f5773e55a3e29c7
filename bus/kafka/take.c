/* What is taken next: claimed, handed out. */
#include "bus/kafka/take.h"

#include "bus/dead_letter.h"
#include "bus/kafka/client.h"
#include "bus/kafka/dead_letters.h"
#include "bus/kafka/inflight.h"
#include "bus/kafka/jobs.h"
#include "bus/kafka/leases.h"
#include "bus/kafka/metadata.h"
#include "bus/kafka/partition.h"
#include "bus/kafka/partitions.h"
#include "bus/kafka/producer.h"
#include "bus/kafka/reader.h"
#include "bus/kafka/tables.h"
#include "bus/kafka/topic_names.h"
#include "bus/kafka/work.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "schemas/codec.h"

#include <string.h>

enum
{
  PARTITIONS_MS = 30000, /* how often new partitions are looked for */
  AHEAD_MS = 100,        /* shards that take less are claimed ahead */
  QUERY_MS = 10000,
};

/* ---- opening ---------------------------------------------------------------------------- */

/* New partitions are looked for now and then. */
static int
look_up_partitions (struct kafka_take *take, struct error *err)
{
  int64_t now = clock_boot_ms ();
  if (now - take->partitions_at < PARTITIONS_MS)
    return 0;
  take->partitions_at = now;
  return kafka_look_up_topics (take->work->producer,
                               (int) kafka_at_most (take->work->producer->client, QUERY_MS), err);
}

/* Who else reads is known from the leases, and others are to know of us before we open what may
 * take long. */
static int
join_readers (struct kafka_take *take, struct error *err)
{
  take->partitions_at = clock_boot_ms ();
  if (leases_sync (take->work->leases, err) != 0
      || leases_need_layout (take->work->leases, err) != 0)
    return -1;
  queues_pump (take->work->queues, claims_now (take->work->leases->claims));
  for (int i = 0; i < take->work->queues->served_count; i++)
    {
      take->readers[i].work = take->work;
      take->readers[i].set = &take->work->shards[i];
      take->readers[i].queue = take->work->queues->served[i];
    }
  return 0;
}

static int
open_queues (struct kafka_take *take, struct error *err)
{
  bool opened = take->work->shards[0].count > 0;
  if ((opened ? look_up_partitions (take, err) : join_readers (take, err)) != 0)
    return -1;
  for (int i = 0; i < take->work->queues->served_count; i++)
    if (readership_tend (&take->readers[i], err) != 0)
      return -1;
  return 0;
}

/* All that taking needs is read up to where it ends now. */
static int
need_work (struct kafka_take *take, enum bus_queue queue, struct error *err)
{
  if (take->work->reader == NULL)
    {
      auto_free char *group = xasprintf ("%s.workers", take->work->producer->client->prefix);
      struct kafka_reader *reader = kafka_reader_open (take->work->producer, group, err);
      if (reader == NULL)
        return -1;
      work_set_reader (take->work, reader);
    }
  if (queue == BUS_SHARDS)
    return tables_need_liveness (take->work->tables, err) != 0 ? -1 : open_queues (take, err);
  if (take->work->jobs.count > 0 && take->work->tables->dead_letters->judges_jobs)
    return 0;
  if (leases_sync_whole (take->work->leases, err) != 0)
    return -1;
  take->work->jobs.leases = take->work->leases->claims;
  if (partitions_open (&take->work->jobs, NULL, 1, err) != 0)
    return -1;
  return tables_judge_jobs (take->work->tables, take->work->jobs.items[0]->committed, err);
}

/* ---- how many --------------------------------------------------------------------------- */

/* Where shards take no longer than their claims do, the next ones are claimed while these run. What
 * takes longer, or has done so since SINCE, is left to whoever is free first. */
static int
ahead (const struct kafka_take *take, int64_t since)
{
  bool fast = take->work->pace_ms >= 0 && take->work->pace_ms < AHEAD_MS;
  return fast && since > clock_boot_ms () - AHEAD_MS ? take->slots : 0;
}

/* How many more shards are to be claimed: as many as the caller can hold beyond what it has and
 * what is on its way; one at least when it asks and there is nothing. */
static int
wanted (struct kafka_take *take)
{
  int coming = 0;
  int taken = 0;
  int64_t since = INT64_MAX;
  const struct inflight *inflight = NULL;
  TAILQ_FOREACH (inflight, &take->work->inflight->list, links)
    {
      coming += inflight->phase < INFLIGHT_TAKEN;
      if (inflight->phase != INFLIGHT_TAKEN)
        continue;
      taken++;
      since = inflight->taken < since ? inflight->taken : since;
    }
  int more = take->slots + ahead (take, since) - taken - coming;
  return more <= 0 && coming == 0 ? 1 : more;
}

/* Who stood still since his claim counted has to look first: it may be another's by now. */
static struct inflight *
find_ready (struct kafka_take *take, enum bus_queue queue, const char *job_id)
{
  struct inflight *inflight = NULL;
  TAILQ_FOREACH (inflight, &take->work->inflight->list, links)
    if (inflight->phase == INFLIGHT_READY && inflight_is_sure (inflight)
        && inflight->partition->set->kind == queue
        && (job_id == NULL || strcmp (inflight->job_id, job_id) == 0))
      return inflight;
  return NULL;
}

/* ---- claiming --------------------------------------------------------------------------- */

/* The key was believed until now. */
static int
check_key (const struct shard *shard, const char *key, struct error *err)
{
  auto_free char *true_key = shard_key (shard);
  return strcmp (true_key, key) == 0
             ? 0
             : error_set (err, ERROR_USER, "the message under this key is %s", true_key);
}

static int
make_delivery (struct kafka_take *take, struct inflight *inflight, const struct message *message,
               struct error *err)
{
  auto_delivery struct delivery *delivery = xcalloc (1, sizeof *delivery);
  delivery->queue = inflight->partition->set->kind;
  delivery->ticket = inflight->ticket;
  delivery->job = xcalloc (1, sizeof *delivery->job);
  if (delivery->queue == BUS_SHARDS
      && (codec_decode_shard (buffer_bytes (&message->payload), &delivery->shard, err) != 0
          || check_key (&delivery->shard, message->entry->key, err) != 0))
    return -1;
  int found = jobs_get (take->work->tables, message->job_id, delivery->job, err);
  if (found < 0)
    return -1;
  if (found == 0)
    return error_set (err, ERROR_USER, "no job %s", message->job_id);
  inflight->delivery = take (&delivery);
  return 0;
}

/* MESSAGE can't be read by us, but perhaps by others: by those with a schema registry, or with
 * newer schemas. It stays open to them, and no offset behind it is committed. What nobody has
 * settled a lease later is a dead letter as well. */
static void
take_leave_undecodable (struct kafka_take *take, struct message *message, const struct error *why)
{
  auto_free char *key = text_log (message->entry->key);
  message->due = clock_boot_ms () + take->work->producer->client->lease_ms;
  message_set (message, MESSAGE_WAITING, message->due);
  if (message->unread == 0)
    log_failure (LOG_ERROR, "shard_unreadable", why, "key=%s", key);
  else if (message->unread == 1
           && dead_letters_refuse_at (take->work->tables->dead_letters,
                                      message->partition->set->messages, message->partition->number,
                                      message->offset, why, NULL)
                  < 0)
    return; /* it is tried again */
  message->unread++;
}

/* 0, or -1 with ERR of the bus. */
static int
start_claim (struct kafka_take *take, struct message *message, struct error *err)
{
  struct inflight *inflight =
      inflight_new (take->work->inflight, message->partition, message, INFLIGHT_CLAIMING);
  struct error why = ERROR_INIT;
  inflight->ticket = ++take->work->inflight->next_ticket;
  if (make_delivery (take, inflight, message, &why) != 0)
    {
      inflight_drop (inflight);
      if (why.class != ERROR_USER)
        {
          if (err != NULL)
            *err = why;
          return -1;
        }
      take_leave_undecodable (take, message, &why);
      return 0;
    }
  inflight->starts = message->entry->starts + 1;
  if (inflight_claim (inflight, err) != 0)
    {
      inflight_drop (inflight);
      return -1;
    }
  partition_entry_changed (message->entry);
  return 0;
}

/* ---- handing out ------------------------------------------------------------------------ */

/* Who finds nothing goes where there may be something. */
static void
note_found (struct kafka_take *take, bool found)
{
  for (int i = 0; i < take->work->queues->served_count; i++)
    if (found)
      readership_feed (&take->readers[i]);
    else
      readership_seek (&take->readers[i]);
}

void
take_release (struct kafka_take *take)
{
  choice_release (&take->choice);
  for (int i = 0; i < QUEUES_MAX; i++)
    readership_release (&take->readers[i]);
}

int
take_delivery (struct kafka_take *take, enum bus_queue queue, const char *job_id,
               struct delivery **delivery, struct error *err)
{
  if (take->work->inflight->quiesced)
    return 0;
  if (need_work (take, queue, err) != 0)
    return -1;
  struct inflight *ready = find_ready (take, queue, job_id);
  if (ready == NULL)
    {
      kafka_serve (take->work->producer, 0);
      tables_pump (take->work->tables);
      leases_pump (take->work->leases);
      work_pump (take->work);
      ready = find_ready (take, queue, job_id);
    }
  for (int more = ready != NULL ? wanted (take) - 1 : wanted (take); more > 0; more--)
    {
      struct message *message = choice_next (&take->choice, queue, job_id);
      if (queue == BUS_SHARDS)
        note_found (take, message != NULL);
      if (message == NULL)
        break;
      if (start_claim (take, message, err) != 0)
        return -1;
    }
  if (ready == NULL || !inflight_is_sure (ready)) /* claiming others may have taken long */
    return 0;
  ready->phase = INFLIGHT_TAKEN;
  ready->taken = clock_boot_ms ();
  ready->delivery->starts = ready->starts;
  ready->delivery->lost = ready->starts - 1;
  int64_t waited = partition_now (ready->partition) - ready->since;
  ready->delivery->waited_ms = waited < 0 ? 0 : waited;
  *delivery = take (&ready->delivery);
  return 1;
}
