/* What is taken next: chosen, claimed, handed out. */
#include "bus/kafka/take.h"

#include "bus/kafka/client.h"
#include "bus/kafka/dead_letters.h"
#include "bus/kafka/inflight.h"
#include "bus/kafka/kafka.h"
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
  CONTESTED_MS = 1000,
  AHEAD_MS = 100, /* shards that take less are claimed ahead */
  QUERY_MS = 10000,
  FAIR_TURNS = 8, /* one in so many begins with another queue than the preferred one */
};

/* ---- opening ---------------------------------------------------------------------------- */

static int
open_queues (struct kafka_bus *bus, struct error *err)
{
  int64_t now = clock_boot_ms ();
  bool opened = bus->shards[0].lot_count > 0;
  if (opened && now - bus->partitions_at < PARTITIONS_MS)
    return 0;
  bus->partitions_at = now;
  if (opened ? kafka_look_up_topics (bus, (int) kafka_at_most (bus, QUERY_MS), err) != 0
             : leases_sync (bus, err) != 0)
    return -1;
  for (int i = 0; i < bus->served_count; i++)
    if (lots_open (&bus->shards[i], err) != 0)
      return -1;
  return 0;
}

/* All that taking needs is read up to where it ends now. */
static int
need_work (struct kafka_bus *bus, enum bus_queue queue, struct error *err)
{
  if (bus->work_reader == NULL)
    {
      auto_free char *group = xasprintf ("%s.workers", bus->prefix);
      bus->work_reader = kafka_reader_open (bus, group, err);
      if (bus->work_reader == NULL)
        return -1;
    }
  if (queue == BUS_SHARDS)
    return tables_need_liveness (bus, err) != 0 ? -1 : open_queues (bus, err);
  if (bus->jobs.lot_count > 0 && bus->tables.judges_jobs)
    return 0;
  if (leases_sync_whole (bus, err) != 0 || lots_open (&bus->jobs, err) != 0)
    return -1;
  return tables_judge_jobs (bus, bus->jobs.lots[0]->buried, err);
}

/* ---- jobs that are left to others ------------------------------------------------------- */

/* The place in the list, or where it ends. */
static size_t
find_shunned (const struct kafka_bus *bus, const char *job_id)
{
  size_t at = 0;
  while (at < bus->shunned_count && strcmp (bus->shunned[at].job_id, job_id) != 0)
    at++;
  return at;
}

void
kafka_shun (struct bus *base, const char *job_id, int64_t ms)
{
  struct kafka_bus *bus = (struct kafka_bus *) base;
  size_t at = find_shunned (bus, job_id);
  if (at == bus->shunned_count)
    {
      bus->shunned = xrealloc (bus->shunned, at + 1, sizeof *bus->shunned);
      bus->shunned[bus->shunned_count++] = (struct shunned){ .job_id = xstrdup (job_id) };
    }
  bus->shunned[at].until = clock_boot_ms () + ms;
}

static bool
is_shunned (struct kafka_bus *bus, const char *job_id)
{
  size_t at = find_shunned (bus, job_id);
  if (at == bus->shunned_count)
    return false;
  if (bus->shunned[at].until > clock_boot_ms ())
    return true;
  free (bus->shunned[at].job_id);
  bus->shunned[at] = bus->shunned[--bus->shunned_count];
  return false;
}

/* ---- choosing --------------------------------------------------------------------------- */

/* Where shards take no longer than their claims do, the next ones are claimed while these run. What
 * takes longer, or has done so since SINCE, is left to whoever is free first. */
static int
ahead (const struct kafka_bus *bus, int64_t since)
{
  bool fast = bus->pace_ms >= 0 && bus->pace_ms < AHEAD_MS;
  return fast && since > clock_boot_ms () - AHEAD_MS ? bus->slots : 0;
}

/* How many more shards are to be claimed: as many as the caller can hold beyond what it has and
 * what is on its way; one at least when it asks and there is nothing. */
static int
wanted (struct kafka_bus *bus)
{
  int coming = 0;
  int taken = 0;
  int64_t since = INT64_MAX;
  const struct holding *holding = NULL;
  TAILQ_FOREACH (holding, &bus->holdings, links)
    {
      coming += holding->phase < HOLDING_TAKEN;
      if (holding->phase != HOLDING_TAKEN)
        continue;
      taken++;
      since = holding->taken < since ? holding->taken : since;
    }
  int more = bus->slots + ahead (bus, since) - taken - coming;
  return more <= 0 && coming == 0 ? 1 : more;
}

static struct parcel *
candidate_of (struct lot *lot, const char *job_id)
{
  struct kafka_bus *bus = lot->work->bus;
  struct parcel *next = NULL;
  for (struct parcel *parcel = TAILQ_FIRST (&lot->open); parcel != NULL; parcel = next)
    {
      next = TAILQ_NEXT (parcel, links);
      bool shard = lot->work->queue == BUS_SHARDS;
      if (shard && !tables_is_live (bus, parcel->job_id, parcel->generation))
        {
          if (parcel->entry->base >= 0)
            work_note (lot, parcel->entry, CLAIM_DONE);
          parcel_set (parcel, PARCEL_SETTLED, 0);
        }
      else if ((job_id == NULL || strcmp (parcel->job_id, job_id) == 0)
               && !(shard && is_shunned (bus, parcel->job_id)))
        return parcel;
    }
  return NULL;
}

/* The lots in turn. Those where another was faster lately are left to him as long as there is work
 * elsewhere: so workers part company without talking about it. */
static struct parcel *
next_candidate (struct kafka_work *work, const char *job_id)
{
  int64_t recently = clock_boot_ms () - CONTESTED_MS;
  for (int pass = 0; pass < 2; pass++)
    for (int i = 0; i < work->lot_count; i++)
      {
        int at = (work->turn + i) % work->lot_count;
        struct lot *lot = work->lots[at];
        bool contested = lot->contested != 0 && lot->contested > recently;
        struct parcel *parcel = contested == (pass == 1) ? candidate_of (lot, job_id) : NULL;
        if (parcel == NULL)
          continue;
        work->turn = at + 1;
        return parcel;
      }
  return NULL;
}

/* The queues in order of preference; now and then another one comes first, so that none starves. */
static struct parcel *
next_of_queue (struct kafka_bus *bus, enum bus_queue queue, const char *job_id)
{
  if (queue == BUS_JOBS)
    return next_candidate (&bus->jobs, job_id);
  unsigned int turn = bus->turns++;
  unsigned int count = (unsigned int) bus->served_count;
  unsigned int first = turn % FAIR_TURNS == 0 ? turn / FAIR_TURNS % count : 0;
  struct parcel *parcel = NULL;
  for (unsigned int i = 0; parcel == NULL && i < count; i++)
    parcel = next_candidate (&bus->shards[(first + i) % count], job_id);
  return parcel;
}

/* Who stood still since his claim counted has to look first: it may be another's by now. */
static struct holding *
find_ready (struct kafka_bus *bus, enum bus_queue queue, const char *job_id)
{
  struct holding *holding = NULL;
  TAILQ_FOREACH (holding, &bus->holdings, links)
    if (holding->phase == HOLDING_READY && holding_is_sure (holding)
        && holding->lot->work->queue == queue
        && (job_id == NULL || strcmp (holding->job_id, job_id) == 0))
      return holding;
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
make_delivery (struct kafka_bus *bus, struct holding *holding, const struct parcel *parcel,
               struct error *err)
{
  auto_delivery struct delivery *delivery = xcalloc (1, sizeof *delivery);
  delivery->queue = holding->lot->work->queue;
  delivery->ticket = holding->ticket;
  delivery->job = xcalloc (1, sizeof *delivery->job);
  if (delivery->queue == BUS_SHARDS
      && (codec_decode_shard (buffer_bytes (&parcel->payload), &delivery->shard, err) != 0
          || check_key (&delivery->shard, parcel->entry->key, err) != 0))
    return -1;
  int found = kafka_get_job (&bus->bus, parcel->job_id, delivery->job, err);
  if (found < 0)
    return -1;
  if (found == 0)
    return error_set (err, ERROR_USER, "there is no job %s", parcel->job_id);
  holding->delivery = take (&delivery);
  return 0;
}

/* PARCEL can't be read by us, but perhaps by others: by those with a schema registry, or with newer
 * schemas. It stays open to them, and no offset behind it is committed. What nobody has settled a
 * lease later is a letter as well. */
static void
leave_to_others (struct parcel *parcel, const struct error *why)
{
  struct kafka_bus *bus = parcel->lot->work->bus;
  auto_free char *key = text_log (parcel->entry->key);
  parcel->due = clock_boot_ms () + bus->lease_ms;
  parcel_set (parcel, PARCEL_WAITING, parcel->due);
  if (parcel->unread == 0)
    log_failure (LOG_ERROR, "shard_unreadable", why, "key=%s", key);
  else if (parcel->unread == 1
           && kafka_bury_at (bus, parcel->lot->work->messages, parcel->lot->partition,
                             parcel->offset, why, NULL)
                  < 0)
    return; /* it is tried again */
  parcel->unread++;
}

/* 0, or -1 with ERR of the bus. */
static int
start_claim (struct kafka_bus *bus, struct parcel *parcel, struct error *err)
{
  struct holding *holding = holding_new (parcel->lot, parcel, HOLDING_CLAIMING);
  struct error why = ERROR_INIT;
  holding->ticket = ++bus->next_ticket;
  if (make_delivery (bus, holding, parcel, &why) != 0)
    {
      holding_drop (bus, holding);
      if (why.class != ERROR_USER)
        {
          if (err != NULL)
            *err = why;
          return -1;
        }
      leave_to_others (parcel, &why);
      return 0;
    }
  holding->starts = parcel->entry->starts + 1;
  if (holding_claim (holding, err) != 0)
    {
      holding_drop (bus, holding);
      return -1;
    }
  lot_entry_changed (parcel->entry);
  return 0;
}

/* ---- handing out ------------------------------------------------------------------------ */

int
kafka_take (struct bus *base, enum bus_queue queue, const char *job_id, struct delivery **delivery,
            struct error *err)
{
  struct kafka_bus *bus = (struct kafka_bus *) base;
  if (bus->resting)
    return 0;
  if (need_work (bus, queue, err) != 0)
    return -1;
  struct holding *ready = find_ready (bus, queue, job_id);
  if (ready == NULL)
    {
      kafka_serve (bus, 0);
      tables_pump (bus);
      leases_pump (bus);
      work_pump (bus);
      ready = find_ready (bus, queue, job_id);
    }
  for (int more = ready != NULL ? wanted (bus) - 1 : wanted (bus); more > 0; more--)
    {
      struct parcel *parcel = next_of_queue (bus, queue, job_id);
      if (parcel == NULL)
        break;
      if (start_claim (bus, parcel, err) != 0)
        return -1;
    }
  if (ready == NULL || !holding_is_sure (ready)) /* claiming others may have taken long */
    return 0;
  ready->phase = HOLDING_TAKEN;
  ready->taken = clock_boot_ms ();
  ready->delivery->starts = ready->starts;
  int64_t waited = lot_now (ready->lot) - ready->since;
  ready->delivery->waited_ms = waited < 0 ? 0 : waited;
  *delivery = take (&ready->delivery);
  return 1;
}

void
take_release (struct kafka_bus *bus)
{
  for (size_t i = 0; i < bus->shunned_count; i++)
    free (bus->shunned[i].job_id);
  free (bus->shunned);
}
