/* Taking, keeping, settling, giving back: what this handle holds, and its claims for it. */
#include "bus/kafka/inflight.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "schemas/codec.h"

#include <string.h>
#include <sys/random.h>

enum
{
  LOOK_MS = 20,          /* how often waiting parcels are looked at */
  PARTITIONS_MS = 30000, /* how often new partitions are looked for */
  CLOSE_MS = 5000,
  FLUSH_MS = 20000,
  CONTESTED_MS = 1000,
  AHEAD_MS = 100, /* shards that take less are claimed ahead */
  READY_MS = 500, /* what the caller hasn't taken for so long is left to others */
  PACE_OF = 8,    /* the average is over about so many */
  QUERY_MS = 10000,
  FAIR_TURNS = 8, /* one in so many begins with another queue than the preferred one */
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
  if (leases_sync (bus, err) != 0 || lots_open (&bus->jobs, err) != 0)
    return -1;
  return tables_judge_jobs (bus, bus->jobs.lots[0]->buried, err);
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

static void
pump_queue (struct kafka_work *work)
{
  int64_t now = clock_boot_ms ();
  for (int i = 0; i < work->lot_count; i++)
    lot_pump (work->lots[i]);
  if (now - work->looked < LOOK_MS)
    return;
  work->looked = now;
  for (int i = 0; i < work->lot_count; i++)
    lot_look (work->lots[i]);
  lots_commit (work, 0);
}

void
work_pump (struct kafka_bus *bus)
{
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

/* ---- taking ----------------------------------------------------------------------------- */

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
        struct parcel *parcel = contested == (pass == 1) ? lot_candidate (lot, job_id) : NULL;
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

bool
work_is_shunned (struct kafka_bus *bus, const char *job_id)
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
  for (size_t i = 0; i < bus->shunned_count; i++)
    free (bus->shunned[i].job_id);
  free (bus->shunned);
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
