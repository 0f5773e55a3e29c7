/* Taking, keeping, settling, giving back: what this handle holds, and its claims for it. */
#include "common/bus/kafka/lot.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "schemas/codec.h"

#include <string.h>

enum
{
  COMMIT_MS = 1000,
  LOOK_MS = 20,          /* how often waiting parcels are looked at */
  PARTITIONS_MS = 30000, /* how often new partitions are looked for */
  CLOSE_MS = 5000,
  QUERY_MS = 10000,
};

enum holding_phase
{
  HOLDING_CLAIMING,   /* the claim was sent */
  HOLDING_READY,      /* it counted */
  HOLDING_TAKEN,      /* the caller has it */
  HOLDING_SETTLING,   /* how it ended was sent */
  HOLDING_PUBLISHING, /* that counted: event and retry are sent */
  HOLDING_SETTLED,    /* and acknowledged: the caller is to be told */
  HOLDING_LOST,       /* likewise, that it isn't ours */
};

struct holding
{
  struct lot *lot;
  enum holding_phase phase;
  int64_t ticket; /* 0: the caller has nothing to do with it */
  struct claims_entry *entry;
  char *job_id;
  int64_t position; /* of the message */
  uint32_t starts;
  int64_t renewed;           /* boot ms at which the claim was last sent */
  int64_t confirmed;         /* … the one that was last read back */
  struct delivery *delivery; /* until it is taken */
  struct receipt receipt;
  TAILQ_ENTRY (holding) links;
};

void
work_init (struct kafka_bus *bus)
{
  TAILQ_INIT (&bus->holdings);
  bus->jobs = (struct kafka_work){ .bus = bus, .queue = BUS_JOBS };
  bus->shards = (struct kafka_work){ .bus = bus, .queue = BUS_SHARDS };
}

/* ---- records ---------------------------------------------------------------------------- */

static int
send_claim (struct lot *lot, const char *key, struct claim *claim, struct error *err)
{
  struct kafka_bus *bus = lot->work->bus;
  auto_buffer struct buffer payload = { 0 };
  claim->writer = bus->writer;
  claim->lease_ms = claim->lease_ms < 0 ? 0 : bus->lease_ms;
  if (codec_encode_claim (claim, &payload, err) != 0)
    return -1;
  return kafka_send (bus, lot_claims_topic (lot), lot_claims_partition (lot), key, &payload,
                     &bus->quiet, err);
}

void
work_note (struct lot *lot, const struct claims_entry *entry, enum claim_kind kind)
{
  struct error err = ERROR_INIT;
  struct claim claim = { .kind = kind, .starts = entry->starts, .position = entry->position };
  if (send_claim (lot, entry->key, &claim, &err) != 0)
    log_error ("claim_not_sent", "key=%s reason=\"%s\"", entry->key, err.message);
}

/* ---- holdings --------------------------------------------------------------------------- */

static struct holding *
find_holding (struct kafka_bus *bus, int64_t ticket)
{
  struct holding *holding = NULL;
  TAILQ_FOREACH (holding, &bus->holdings, links)
  if (holding->ticket == ticket)
    return holding;
  return NULL;
}

static struct holding *
holding_of (const struct lot *lot, const char *key)
{
  struct holding *holding = NULL;
  TAILQ_FOREACH (holding, &lot->work->bus->holdings, links)
  if (holding->lot == lot && holding->phase < HOLDING_SETTLED
      && strcmp (holding->entry->key, key) == 0)
    return holding;
  return NULL;
}

bool
work_holds (const struct lot *lot, const char *key)
{
  return holding_of (lot, key) != NULL;
}

/* How many more shards are to be claimed: as many as the caller can hold beyond what it has and what is on its way; one at
 * least when it asks and there is nothing. */
static int
wanted (struct kafka_bus *bus)
{
  int coming = 0;
  int taken = 0;
  const struct holding *holding = NULL;
  TAILQ_FOREACH (holding, &bus->holdings, links)
  {
    coming += holding->phase < HOLDING_TAKEN;
    taken += holding->phase == HOLDING_TAKEN;
  }
  int more = bus->slots - taken - coming;
  return more <= 0 && coming == 0 ? 1 : more;
}

static struct holding *
new_holding (struct lot *lot, const struct parcel *parcel, enum holding_phase phase)
{
  struct holding *holding = xcalloc (1, sizeof *holding);
  holding->lot = lot;
  holding->phase = phase;
  holding->entry = parcel->entry;
  holding->job_id = xstrdup (parcel->job_id);
  holding->position = parcel->offset;
  holding->renewed = clock_boot_ms ();
  holding->confirmed = holding->renewed;
  TAILQ_INSERT_TAIL (&lot->work->bus->holdings, holding, links);
  return holding;
}

static void
drop_holding (struct kafka_bus *bus, struct holding *holding)
{
  TAILQ_REMOVE (&bus->holdings, holding, links);
  delivery_free (holding->delivery);
  free (holding->job_id);
  free (holding);
}

/* It isn't ours any more, or never was: the caller is told when it asks. */
static void
lose (struct kafka_bus *bus, struct holding *holding)
{
  struct claims_entry *entry = holding->entry;
  bool unknown =
      holding->ticket == 0 || holding->phase == HOLDING_CLAIMING || holding->phase == HOLDING_READY;
  holding->phase = HOLDING_LOST;
  if (unknown)
    drop_holding (bus, holding);
  lot_entry_changed (entry);
}

/* ---- publishing an end ------------------------------------------------------------------ */

/* The event and the retry that the claims log has for HOLDING. The log owns them, so that anybody can do this over. */
static void
publish_end (struct kafka_bus *bus, struct holding *holding)
{
  struct error err = ERROR_INIT;
  const struct claims_entry *entry = holding->entry;
  int outcome = 0;
  holding->phase = HOLDING_PUBLISHING;
  holding->receipt = (struct receipt){ 0 };
  if (entry->event.size > 0)
    outcome =
        kafka_send (bus, TOPIC_EVENTS, kafka_partition_of_job (bus, TOPIC_EVENTS, holding->job_id),
                    holding->job_id, &entry->event, &holding->receipt, &err);
  if (outcome == 0 && entry->retry.size > 0)
    outcome = kafka_send (bus, TOPIC_SHARDS, holding->lot->partition, entry->key, &entry->retry,
                          &holding->receipt, &err);
  if (outcome == 0)
    return;
  holding->receipt.failed++;
  log_error ("end_not_published", "key=%s reason=\"%s\"", entry->key, err.message);
}

/* What was acknowledged is done; what failed is sent again. */
static void
look_at_publishing (struct kafka_bus *bus)
{
  struct holding *next = NULL;
  for (struct holding *holding = TAILQ_FIRST (&bus->holdings); holding != NULL; holding = next)
    {
      next = TAILQ_NEXT (holding, links);
      if (holding->phase != HOLDING_PUBLISHING || holding->receipt.pending > 0)
        continue;
      if (holding->receipt.failed > 0)
        {
          publish_end (bus, holding);
          continue;
        }
      work_note (holding->lot, holding->entry, CLAIM_DONE);
      holding->phase = HOLDING_SETTLED;
      if (holding->ticket == 0)
        drop_holding (bus, holding);
    }
}

void
work_redo (struct parcel *parcel)
{
  struct lot *lot = parcel->lot;
  struct holding *holding = new_holding (lot, parcel, HOLDING_SETTLING);
  struct error err = ERROR_INIT;
  struct claim claim = { .kind = CLAIM_SETTLE,
                         .starts = parcel->entry->starts,
                         .position = parcel->offset,
                         .event = parcel->entry->event, /* borrowed */
                         .retry = parcel->entry->retry };
  log_info ("end_redone", "key=%s of=%s", parcel->entry->key,
            parcel->entry->holder == NULL ? "" : parcel->entry->holder);
  if (send_claim (lot, parcel->entry->key, &claim, &err) == 0)
    return;
  drop_holding (lot->work->bus, holding);
  parcel_set (parcel, PARCEL_WAITING, clock_boot_ms () + CLOSE_MS);
}

/* ---- claims that were read -------------------------------------------------------------- */

static bool
is_ours (const struct kafka_bus *bus, const struct claims_entry *entry)
{
  return entry->holder != NULL && strcmp (entry->holder, bus->writer) == 0;
}

static void
on_own_claim (struct kafka_bus *bus, struct lot *lot, struct holding *holding,
              const struct claims_entry *entry)
{
  if (holding == NULL)
    {
      /* A renewal that came after we had lost it, and found it free. */
      if (entry->phase == CLAIMS_HELD && is_ours (bus, entry))
        work_note (lot, entry, CLAIM_RELEASE);
      return;
    }
  holding->confirmed = holding->renewed;
  if (holding->phase != HOLDING_CLAIMING)
    return;
  if (entry->phase != CLAIMS_HELD || !is_ours (bus, entry))
    {
      lose (bus, holding);
      return;
    }
  holding->phase = HOLDING_READY;
  holding->starts = entry->starts;
  if (bus->resting)
    {
      work_note (lot, entry, CLAIM_RELEASE);
      drop_holding (bus, holding);
    }
}

static void
on_own_settle (struct kafka_bus *bus, struct holding *holding, const struct claims_entry *entry)
{
  if (holding == NULL || holding->phase != HOLDING_SETTLING)
    return;
  if (entry->phase == CLAIMS_SETTLING && is_ours (bus, entry))
    publish_end (bus, holding);
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
      holding->phase = HOLDING_SETTLED; /* somebody did it over */
      if (holding->ticket == 0)
        drop_holding (bus, holding);
    }
}

void
work_on_claim (struct kafka_bus *bus, struct lot *lot, const struct claim *claim,
               struct claims_entry *entry, enum claims_verdict verdict)
{
  if (lot == NULL)
    return;
  bool own = strcmp (claim->writer, bus->writer) == 0;
  struct holding *holding = holding_of (lot, entry->key);
  if (own && verdict == CLAIMS_TOO_LATE)
    work_note (lot, entry, CLAIM_DONE); /* our record may hide the one that says so */
  if (own && claim->kind == CLAIM_CLAIM)
    on_own_claim (bus, lot, holding, entry);
  else if (own && claim->kind == CLAIM_SETTLE)
    on_own_settle (bus, holding, entry);
  else if (!own && holding != NULL)
    on_others_claim (bus, holding, entry);
}

/* ---- opening ---------------------------------------------------------------------------- */

/* Where each partition from FIRST on was committed. */
static rd_kafka_topic_partition_list_t *
read_committed (struct kafka_bus *bus, int first, struct error *err)
{
  rd_kafka_topic_partition_list_t *list =
      rd_kafka_topic_partition_list_new (bus->partitions[TOPIC_SHARDS]);
  for (int32_t i = first; i < bus->partitions[TOPIC_SHARDS]; i++)
    (void) rd_kafka_topic_partition_list_add (list, bus->names[TOPIC_SHARDS], i);
  rd_kafka_resp_err_t code = rd_kafka_committed (bus->work_reader->handle, list, QUERY_MS);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
    return list;
  rd_kafka_topic_partition_list_destroy (list);
  (void) kafka_error (bus, code, "reading what was committed", err);
  return NULL;
}

static int
add_lot (struct kafka_work *work, int32_t partition, int64_t committed, const char *metadata,
         struct error *err)
{
  struct lot *lot = lot_open (work, partition, committed, metadata, err);
  if (lot == NULL)
    return -1;
  work->lots = xrealloc (work->lots, (size_t) work->lot_count + 1, sizeof (struct lot *));
  work->lots[work->lot_count++] = lot;
  return 0;
}

static int
open_shards (struct kafka_work *work, struct error *err)
{
  struct kafka_bus *bus = work->bus;
  if (work->lot_count >= bus->partitions[TOPIC_SHARDS])
    return 0;
  rd_kafka_topic_partition_list_t *list = read_committed (bus, work->lot_count, err);
  int outcome = list == NULL ? -1 : 0;
  for (int i = 0; outcome == 0 && i < list->cnt; i++)
    {
      auto_free char *metadata =
          xstrndup (list->elems[i].metadata == NULL ? "" : list->elems[i].metadata,
                    list->elems[i].metadata_size);
      outcome = add_lot (work, list->elems[i].partition, list->elems[i].offset, metadata, err);
    }
  if (list != NULL)
    rd_kafka_topic_partition_list_destroy (list);
  return outcome;
}

/* All that taking needs is read up to where it ends now. */
static int
need_work (struct kafka_work *work, struct error *err)
{
  struct kafka_bus *bus = work->bus;
  int64_t now = clock_boot_ms ();
  if (bus->work_reader == NULL)
    {
      auto_free char *group = xasprintf ("%s.workers", bus->prefix);
      bus->work_reader = kafka_reader_open (bus, group, err);
      if (bus->work_reader == NULL)
        return -1;
    }
  if (work->queue == BUS_JOBS)
    {
      if (work->lot_count > 0)
        return 0;
      return leases_sync (bus, err) != 0 ? -1 : add_lot (work, 0, FROM_START, NULL, err);
    }
  if (tables_need_liveness (bus, err) != 0)
    return -1;
  if (work->lot_count > 0 && now - work->partitions_at < PARTITIONS_MS)
    return 0;
  work->partitions_at = now;
  if (work->lot_count > 0 && kafka_look_up_topics (bus, QUERY_MS, err) != 0)
    return -1;
  return open_shards (work, err);
}

/* ---- committing ------------------------------------------------------------------------- */

static void
commit (struct kafka_work *work, bool wait)
{
  struct kafka_bus *bus = work->bus;
  int64_t now = clock_boot_ms ();
  if (work->queue != BUS_SHARDS || (!wait && now - work->committed_at < COMMIT_MS))
    return;
  work->committed_at = now;
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new (work->lot_count);
  for (int i = 0; i < work->lot_count; i++)
    {
      struct lot *lot = work->lots[i];
      char *metadata = NULL;
      int64_t offset = lot->loaded ? lot_watermark (lot, &metadata) : lot->committed;
      if (offset <= lot->committed)
        {
          free (metadata);
          continue;
        }
      rd_kafka_topic_partition_t *element =
          rd_kafka_topic_partition_list_add (list, bus->names[TOPIC_SHARDS], lot->partition);
      element->offset = offset;
      element->metadata = metadata; /* librdkafka frees it */
      element->metadata_size = strlen (metadata);
      lot->committed = offset;
    }
  if (list->cnt > 0)
    (void) rd_kafka_commit (bus->work_reader->handle, list, !wait);
  rd_kafka_topic_partition_list_destroy (list);
}

/* ---- turning ---------------------------------------------------------------------------- */

static void
renew (struct holding *holding)
{
  int64_t now = clock_boot_ms ();
  if (now - holding->renewed < holding->lot->work->bus->lease_ms / 4)
    return;
  holding->renewed = now;
  work_note (holding->lot, holding->entry, CLAIM_CLAIM);
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
  commit (work, false);
}

void
work_pump (struct kafka_bus *bus)
{
  pump_queue (&bus->jobs);
  pump_queue (&bus->shards);
  look_at_publishing (bus);
  struct holding *holding = NULL;
  TAILQ_FOREACH (holding, &bus->holdings, links)
  if (holding->phase == HOLDING_READY)
    renew (holding);
}

/* ---- taking ----------------------------------------------------------------------------- */

static int
make_delivery (struct kafka_bus *bus, struct holding *holding, const struct parcel *parcel,
               struct error *err)
{
  auto_delivery struct delivery *delivery = xcalloc (1, sizeof *delivery);
  delivery->queue = holding->lot->work->queue;
  delivery->ticket = holding->ticket;
  delivery->job = xcalloc (1, sizeof *delivery->job);
  if (delivery->queue == BUS_SHARDS
      && codec_decode_shard (buffer_bytes (&parcel->payload), &delivery->shard, err) != 0)
    return -1;
  int found = kafka_get_job (&bus->bus, parcel->job_id, delivery->job, err);
  if (found < 0)
    return -1;
  if (found == 0)
    return error_set (err, ERROR_USER, "there is no job %s", parcel->job_id);
  holding->delivery = take (&delivery);
  return 0;
}

/* 0, or -1 with ERR of the bus. A parcel that can't become a delivery is dropped. */
static int
start_claim (struct kafka_bus *bus, struct parcel *parcel, struct error *err)
{
  struct holding *holding = new_holding (parcel->lot, parcel, HOLDING_CLAIMING);
  struct error why = ERROR_INIT;
  holding->ticket = ++bus->next_ticket;
  if (make_delivery (bus, holding, parcel, &why) != 0)
    {
      drop_holding (bus, holding);
      if (why.class != ERROR_USER)
        {
          if (err != NULL)
            *err = why;
          return -1;
        }
      log_error ("shard_dropped", "key=%s reason=\"%s\"", parcel->entry->key, why.message);
      parcel_set (parcel, PARCEL_SETTLED, 0);
      return 0;
    }
  struct claim claim = { .kind = CLAIM_CLAIM,
                         .starts = parcel->entry->starts + 1,
                         .position = parcel->offset };
  if (send_claim (parcel->lot, parcel->entry->key, &claim, err) != 0)
    {
      drop_holding (bus, holding);
      return -1;
    }
  lot_entry_changed (parcel->entry);
  return 0;
}

static struct parcel *
next_candidate (struct kafka_work *work, const char *job_id)
{
  for (int i = 0; i < work->lot_count; i++)
    {
      int at = (work->turn + i) % work->lot_count;
      struct parcel *parcel = lot_candidate (work->lots[at], job_id);
      if (parcel == NULL)
        continue;
      work->turn = at + 1;
      return parcel;
    }
  return NULL;
}

static struct holding *
find_ready (struct kafka_work *work, const char *job_id)
{
  struct holding *holding = NULL;
  TAILQ_FOREACH (holding, &work->bus->holdings, links)
  if (holding->phase == HOLDING_READY && holding->lot->work == work
      && (job_id == NULL || strcmp (holding->job_id, job_id) == 0))
    return holding;
  return NULL;
}

int
kafka_take (struct bus *base, enum bus_queue queue, const char *job_id, struct delivery **delivery,
            struct error *err)
{
  struct kafka_bus *bus = (struct kafka_bus *) base;
  struct kafka_work *work = queue == BUS_JOBS ? &bus->jobs : &bus->shards;
  if (bus->resting)
    return 0;
  if (need_work (work, err) != 0)
    return -1;
  struct holding *ready = find_ready (work, job_id);
  if (ready == NULL)
    {
      kafka_serve (bus, 0);
      tables_pump (bus);
      leases_pump (bus);
      work_pump (bus);
      ready = find_ready (work, job_id);
    }
  for (int more = ready != NULL ? wanted (bus) - 1 : wanted (bus); more > 0; more--)
    {
      struct parcel *parcel = next_candidate (work, job_id);
      if (parcel == NULL)
        break;
      if (start_claim (bus, parcel, err) != 0)
        return -1;
    }
  if (ready == NULL)
    return 0;
  ready->phase = HOLDING_TAKEN;
  ready->delivery->starts = ready->starts;
  *delivery = take (&ready->delivery);
  return 1;
}

/* ---- what is held ----------------------------------------------------------------------- */

int
kafka_keep (struct bus *base, struct delivery *delivery, struct error *err)
{
  struct kafka_bus *bus = (struct kafka_bus *) base;
  work_pump (bus);
  struct holding *holding = find_holding (bus, delivery->ticket);
  /* We were away for longer than the lease: what happened meanwhile may still be on its way to us. */
  if (holding != NULL && clock_boot_ms () - holding->confirmed > bus->lease_ms)
    {
      int synced = holding->lot->work->queue == BUS_JOBS ? leases_sync (bus, err)
                                                         : lot_sync (holding->lot, err);
      if (synced != 0)
        return -1;
      holding = find_holding (bus, delivery->ticket);
    }
  if (holding == NULL || holding->phase == HOLDING_LOST)
    {
      if (holding != NULL)
        drop_holding (bus, holding);
      return 0;
    }
  holding->renewed = clock_boot_ms ();
  if (holding->phase == HOLDING_TAKEN)
    work_note (holding->lot, holding->entry, CLAIM_CLAIM);
  return 1;
}

static int
begin_settle (struct holding *holding, const struct event *event, const struct shard *retry,
              struct error *err)
{
  auto_claim struct claim claim = { .kind = CLAIM_SETTLE,
                                    .starts = holding->starts,
                                    .position = holding->position };
  int outcome = 0;
  if (event != NULL)
    outcome = codec_encode_event (event, &claim.event, err);
  if (outcome == 0 && retry != NULL)
    outcome = codec_encode_shard (retry, &claim.retry, err);
  if (outcome == 0)
    outcome = send_claim (holding->lot, holding->entry->key, &claim, err);
  claim.writer = NULL; /* the bus's */
  if (outcome != 0)
    return -1;
  holding->phase = HOLDING_SETTLING;
  return BUS_PENDING;
}

int
kafka_settle (struct bus *base, struct delivery *delivery, const struct event *event,
              const struct shard *retry, struct error *err)
{
  struct kafka_bus *bus = (struct kafka_bus *) base;
  kafka_serve (bus, 0);
  leases_pump (bus);
  work_pump (bus);
  struct holding *holding = find_holding (bus, delivery->ticket);
  if (holding == NULL)
    return 0;
  if (holding->phase == HOLDING_TAKEN)
    return begin_settle (holding, event, retry, err);
  if (holding->phase != HOLDING_SETTLED && holding->phase != HOLDING_LOST)
    return BUS_PENDING;
  int outcome = holding->phase == HOLDING_SETTLED;
  drop_holding (bus, holding);
  return outcome;
}

int
kafka_give_back (struct bus *base, struct delivery *delivery, struct error *err)
{
  struct kafka_bus *bus = (struct kafka_bus *) base;
  (void) err;
  work_pump (bus);
  struct holding *holding = find_holding (bus, delivery->ticket);
  if (holding == NULL)
    return 0;
  bool ours = holding->phase == HOLDING_TAKEN;
  if (ours)
    work_note (holding->lot, holding->entry, CLAIM_RELEASE);
  drop_holding (bus, holding);
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
      work_note (holding->lot, holding->entry, CLAIM_RELEASE);
      drop_holding (bus, holding);
    }
}

static bool
is_publishing (struct kafka_bus *bus)
{
  const struct holding *holding = NULL;
  TAILQ_FOREACH (holding, &bus->holdings, links)
  if (holding->phase == HOLDING_SETTLING || holding->phase == HOLDING_PUBLISHING)
    return true;
  return false;
}

/* Ends the lease of what the caller has, whose start counts, and of claims that may still count. */
static void
let_go (struct kafka_bus *bus)
{
  struct holding *holding = NULL;
  while ((holding = TAILQ_FIRST (&bus->holdings)) != NULL)
    {
      struct claim claim = { .kind = holding->phase == HOLDING_TAKEN ? CLAIM_CLAIM : CLAIM_RELEASE,
                             .starts = holding->starts,
                             .position = holding->position,
                             .lease_ms = -1 };
      if (holding->phase <= HOLDING_TAKEN)
        (void) send_claim (holding->lot, holding->entry->key, &claim, NULL);
      drop_holding (bus, holding);
    }
}

void
work_release (struct kafka_bus *bus)
{
  if (bus->work_reader == NULL)
    return;
  kafka_rest (&bus->bus);
  for (int64_t end = clock_boot_ms () + CLOSE_MS; is_publishing (bus) && clock_boot_ms () < end;)
    {
      kafka_serve (bus, 5);
      leases_pump (bus);
      work_pump (bus);
    }
  let_go (bus);
  commit (&bus->shards, true);
  struct kafka_work *works[] = { &bus->jobs, &bus->shards };
  for (int i = 0; i < 2; i++)
    {
      for (int j = 0; j < works[i]->lot_count; j++)
        lot_close (works[i]->lots[j]);
      free (works[i]->lots);
    }
  kafka_reader_close (bus->work_reader);
}
