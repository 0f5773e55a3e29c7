/* One partition of work: its messages, and where each stands. */
#include "bus/kafka/partition.h"

#include "bus/kafka/client.h"
#include "bus/kafka/dead_letters.h"
#include "bus/kafka/inflight.h"
#include "bus/kafka/kafka.h"
#include "bus/kafka/producer.h"
#include "bus/kafka/tables.h"
#include "bus/kafka/topic_names.h"
#include "bus/kafka/trouble.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "schemas/codec.h"
#include "schemas/job_check.h"

#include <string.h>

enum
{
  AHEAD = 2000,           /* messages that may be claimed and are looked at */
  AHEAD_BYTES = 16 << 20, /* and at most so much of them */
  BEHIND = 1000000,       /* messages in hand, most of them settled behind one that takes long */
  AT_A_TIME = 1000,
  REMEMBERED_MAX = 100000, /* settled keys of a lot, beyond those it still needs */
  DELAY_MAX_MS = 86400000, /* a wall clock that jumped can't hold a retry for longer */
  TICK_MS = 100,           /* between two of our ticks */
  CHANCE_MS = 500,         /* for a renewal that was on its way when the lease ran out */
  PATIENCE_MS = 50,        /* before a lease that should have run out is looked at again */
};

static const char metadata_prefix[] = "claims=";

int32_t
lot_claims_partition (const struct lot *lot)
{
  return lot->work->queue == BUS_JOBS ? 0 : lot->partition;
}

int64_t
lot_skew (const struct lot *lot)
{
  const struct kafka_bus *bus = lot->work->bus;
  return lot->work->queue == BUS_JOBS ? bus->leases_cursor.skew : lot->claims_cursor.skew;
}

int64_t
lot_now (const struct lot *lot)
{
  return clock_wall_ms () + lot_skew (lot);
}

/* ---- parcels ---------------------------------------------------------------------------- */

static struct parcels *
list_of (struct lot *lot, enum parcel_state state)
{
  return state == PARCEL_OPEN       ? &lot->open
         : state == PARCEL_WAITING  ? &lot->waiting
         : state == PARCEL_ORPHANED ? &lot->orphans
                                    : NULL;
}

void
parcel_set (struct parcel *parcel, enum parcel_state state, int64_t look_at)
{
  parcel->look_at = look_at;
  if (parcel->state == state)
    return;
  struct parcels *from = list_of (parcel->lot, parcel->state);
  struct parcels *to = list_of (parcel->lot, state);
  if (from != NULL)
    TAILQ_REMOVE (from, parcel, links);
  if (to != NULL)
    TAILQ_INSERT_TAIL (to, parcel, links);
  parcel->lot->open_count += state == PARCEL_OPEN ? 1 : 0;
  parcel->lot->open_count -= parcel->state == PARCEL_OPEN ? 1 : 0;
  parcel->state = state;
  if (state == PARCEL_SETTLED)
    {
      parcel->lot->unsettled--;
      parcel->lot->bytes -= parcel->payload.size;
      buffer_release (&parcel->payload);
    }
}

/* ---- the log's clock -------------------------------------------------------------------- */

int
claims_tick (struct kafka_bus *bus, int topic, int32_t partition, struct receipt *receipt,
             struct error *err)
{
  auto_buffer struct buffer payload = { 0 };
  const struct claim claim = { .kind = CLAIM_UNKNOWN, .writer = bus->writer };
  if (codec_encode_claim (&claim, &payload, err) != 0)
    return -1;
  return kafka_send (bus, topic, partition, "tick", &payload, receipt, err);
}

static void
tick (struct lot *lot)
{
  struct kafka_bus *bus = lot->work->bus;
  int64_t now = clock_boot_ms ();
  if (now - lot->ticked < TICK_MS)
    return;
  lot->ticked = now;
  if (claims_tick (bus, lot->work->claims, lot_claims_partition (lot), &bus->quiet, NULL) == 0
      && lot->asked == 0)
    lot->asked = now;
}

/* Whether a tick has been on its way for so long that this partition has no leader now, whatever
 * other brokers do. */
static bool
is_slow (const struct lot *lot)
{
  return lot->asked != 0 && clock_boot_ms () - lot->asked > lot->work->bus->lease_ms / 4;
}

void
lot_note_tick (struct lot *lot)
{
  if (is_slow (lot))
    lot->slow_at = clock_boot_ms ();
  lot->asked = 0;
}

/* ---- where a parcel stands -------------------------------------------------------------- */

/* When another's claim on PARCEL is void, on the boot clock; INT64_MAX: not known, to be looked at
 * again. By our clock it is only guessed when to ask; the log's own clock must say so. Who was cut
 * off together with us, or stood still with the broker, must get his chance to renew. */
static int64_t
end_of_lease (struct parcel *parcel)
{
  struct lot *lot = parcel->lot;
  const struct claims_entry *entry = parcel->entry;
  int64_t now = clock_boot_ms ();
  int64_t left = entry->expires - lot_now (lot);
  if (claims_now (lot->claims) < entry->expires)
    {
      if (left > 0)
        return now + left;
      tick (lot);
      return INT64_MAX;
    }
  if (parcel->expired != entry->expires)
    {
      parcel->expired = entry->expires;
      parcel->expired_at = now;
    }
  if (is_slow (lot))
    return INT64_MAX;
  int64_t trouble = kafka_trouble_at (lot->work->bus);
  if (trouble < lot->slow_at)
    trouble = lot->slow_at;
  int64_t settled = trouble == 0 ? 0 : trouble + lot->work->bus->lease_ms / 2;
  int64_t chance = parcel->expired_at + CHANCE_MS;
  return settled > chance ? settled : chance;
}

/* Whether PARCEL must wait for another's lease. */
static bool
waits_for_lease (struct parcel *parcel)
{
  if (parcel->entry->phase == CLAIMS_FREE)
    return false;
  int64_t now = clock_boot_ms ();
  int64_t end = end_of_lease (parcel);
  if (end <= now)
    return false;
  parcel_set (parcel, PARCEL_WAITING, end == INT64_MAX ? now + PATIENCE_MS : end);
  return true;
}

void
parcel_update (struct parcel *parcel)
{
  const struct claims_entry *entry = parcel->entry;
  int64_t now = clock_boot_ms ();
  if (parcel->state == PARCEL_SETTLED)
    return;
  if (entry->phase == CLAIMS_DONE)
    parcel_set (parcel, PARCEL_SETTLED, 0);
  else if (entry->holding != NULL)
    parcel_set (parcel, PARCEL_OURS, 0);
  else if (waits_for_lease (parcel))
    return;
  else if (parcel->due > now)
    parcel_set (parcel, PARCEL_WAITING, parcel->due);
  else if (entry->phase == CLAIMS_SETTLING)
    parcel_set (parcel, PARCEL_ORPHANED, 0);
  else
    parcel_set (parcel, PARCEL_OPEN, 0);
}

void
lot_entry_changed (struct claims_entry *entry)
{
  for (struct parcel *parcel = entry->parcels; parcel != NULL; parcel = parcel->twin)
    parcel_update (parcel);
}

void
lot_look (struct lot *lot)
{
  int64_t now = clock_boot_ms ();
  struct parcel *next = NULL;
  for (struct parcel *parcel = TAILQ_FIRST (&lot->waiting); parcel != NULL; parcel = next)
    {
      next = TAILQ_NEXT (parcel, links);
      if (parcel->look_at > now)
        continue;
      parcel_update (parcel);
      if (parcel->state == PARCEL_WAITING && parcel->look_at < now + PATIENCE_MS)
        parcel->look_at = now + PATIENCE_MS;
    }
}

size_t
lot_retries (const struct lot *lot)
{
  size_t count = 0;
  int64_t now = clock_boot_ms ();
  const struct parcel *parcel = NULL;
  TAILQ_FOREACH (parcel, &lot->waiting, links)
    count += parcel->due > now && parcel->unread == 0 ? 1 : 0;
  return count;
}

static void
free_parcel (struct parcel *parcel)
{
  struct lot *lot = parcel->lot;
  parcel_set (parcel, PARCEL_SETTLED, 0);
  TAILQ_REMOVE (&lot->order, parcel, order);
  lot->count--;
  struct parcel **at = &parcel->entry->parcels;
  while (*at != parcel)
    at = &(*at)->twin;
  *at = parcel->twin;
  claims_unneed (lot->claims, parcel->entry);
  buffer_release (&parcel->payload);
  free (parcel->job_id);
  free (parcel);
}

static void
forget_settled (struct lot *lot)
{
  while (!TAILQ_EMPTY (&lot->order) && TAILQ_FIRST (&lot->order)->state == PARCEL_SETTLED)
    free_parcel (TAILQ_FIRST (&lot->order));
  /* Of leases some never end: of members that left, of partitions that nobody follows. */
  claims_retire (lot->claims, lot->messages.next, lot->caught_up, REMEMBERED_MAX,
                 lot->work->queue == BUS_JOBS ? SIZE_MAX : 0);
}

/* ---- messages --------------------------------------------------------------------------- */

/* How long a retry waits: by the broker's clock, as far as we know it, but never longer than its
 * writer meant at writing. */
static int64_t
due_time (const struct lot *lot, const struct shard *shard, const rd_kafka_message_t *message)
{
  if (shard->not_before == 0)
    return 0;
  int64_t left = shard->not_before - lot_now (lot);
  int64_t meant = shard->not_before - message_time (message);
  if (left > meant)
    left = meant;
  if (left > DELAY_MAX_MS)
    left = DELAY_MAX_MS;
  return left <= 0 ? 0 : clock_boot_ms () + left;
}

static void
set_due (struct parcel *parcel, const struct shard *shard, const rd_kafka_message_t *message)
{
  parcel->due = due_time (parcel->lot, shard, message);
  parcel->time = shard->not_before;
}

static int
read_job (struct bytes payload, struct parcel *parcel, char **key, struct error *err)
{
  auto_job struct job job = { 0 };
  if (codec_decode_job (payload, &job, err) != 0 || job_check_id (job.id, err) != 0)
    return -1;
  *key = xasprintf ("job/%s", job.id);
  parcel->job_id = take (&job.id);
  return 0;
}

/* By its key, which says all there is to know of a first attempt before it is taken. What can't be
 * read by us may be by others. */
static bool
read_shard_key (char *key, struct bytes payload, const rd_kafka_message_t *message,
                struct parcel *parcel)
{
  auto_shard struct shard shard = { 0 };
  uint32_t attempt = 0;
  size_t job_size = 0;
  if (!shard_key_parse (key, &job_size, &parcel->generation, &attempt))
    return false;
  parcel->job_id = xstrndup (key, job_size);
  if (attempt > 1 && codec_decode_shard (payload, &shard, NULL) == 0)
    set_due (parcel, &shard, message);
  return true;
}

static int
read_shard (struct bytes payload, const rd_kafka_message_t *message, struct parcel *parcel,
            char **key, struct error *err)
{
  auto_free char *given = message_key (message);
  if (read_shard_key (given, payload, message, parcel))
    {
      *key = take (&given);
      return 0;
    }
  auto_shard struct shard shard = { 0 };
  if (codec_decode_shard (payload, &shard, err) != 0)
    return -1;
  *key = shard_key (&shard);
  parcel->generation = shard.generation;
  set_due (parcel, &shard, message);
  parcel->job_id = take (&shard.job_id);
  return 0;
}

static void
take_in_message (struct lot *lot, const rd_kafka_message_t *message)
{
  auto_free char *key = NULL;
  struct error err = ERROR_INIT;
  struct parcel *parcel = xcalloc (1, sizeof *parcel);
  parcel->lot = lot;
  struct bytes payload = lot->messages.payload;
  int read = error_is_set (&lot->messages.refused) ? -1
             : lot->work->queue == BUS_JOBS        ? read_job (payload, parcel, &key, &err)
                                            : read_shard (payload, message, parcel, &key, &err);
  if (read != 0)
    {
      if (message->offset >= lot->buried)
        kafka_bury (lot->work->bus, &lot->messages, message, &err);
      free (parcel);
      return;
    }
  parcel->offset = message->offset;
  if (parcel->time < message_time (message))
    parcel->time = message_time (message);
  parcel->entry = claims_need (lot->claims, key);
  parcel->twin = parcel->entry->parcels;
  parcel->entry->parcels = parcel;
  buffer_append (&parcel->payload, payload.data, payload.size);
  parcel->state = PARCEL_OPEN;
  TAILQ_INSERT_TAIL (&lot->order, parcel, order);
  TAILQ_INSERT_TAIL (&lot->open, parcel, links);
  lot->count++;
  lot->unsettled++;
  lot->open_count++;
  lot->bytes += parcel->payload.size;
  parcel_update (parcel);
}

/* What waits for its time, or is another's, doesn't count: it would keep what stands behind it from
 * being run. */
static bool
lot_has_room (const struct lot *lot)
{
  return lot->open_count < AHEAD && lot->bytes < AHEAD_BYTES && lot->count < BEHIND;
}

void
lot_read_messages (struct lot *lot)
{
  for (int i = 0; i < AT_A_TIME && lot_has_room (lot); i++)
    {
      auto_message rd_kafka_message_t *message = NULL;
      if (cursor_next (&lot->messages, &message) == 0)
        {
          if (cursor_is_at_end (&lot->messages))
            lot->caught_up = claims_now (lot->claims);
          break;
        }
      take_in_message (lot, message);
    }
  forget_settled (lot);
}

/* ---- committing ------------------------------------------------------------------------- */

/* All before it is a job, or a letter. */
static int64_t
judged (const struct lot *lot)
{
  const struct kafka_bus *bus = lot->work->bus;
  return lot->messages.next < bus->tables.jobs.next ? lot->messages.next : bus->tables.jobs.next;
}

int64_t
lot_watermark (const struct lot *lot, char **metadata)
{
  const struct parcel *first = TAILQ_FIRST (&lot->order);
  if (!kafka_buried (lot->work->bus))
    return lot->committed;
  if (lot->work->queue == BUS_JOBS)
    return judged (lot);
  *metadata = xasprintf ("%s%lld", metadata_prefix,
                         (long long) claims_base (lot->claims, lot->claims_cursor.next));
  return first == NULL ? lot->messages.next : first->offset;
}

static int64_t
parse_metadata (const char *metadata)
{
  size_t length = sizeof metadata_prefix - 1;
  if (metadata == NULL || strncmp (metadata, metadata_prefix, length) != 0)
    return FROM_START;
  int64_t offset = strtoll (metadata + length, NULL, 10);
  return offset < 0 ? FROM_START : offset;
}

/* ---- opening, closing ------------------------------------------------------------------- */

struct lot *
lot_open (struct kafka_work *work, int32_t partition, int64_t committed, const char *metadata,
          struct error *err)
{
  struct kafka_bus *bus = work->bus;
  bool jobs = work->queue == BUS_JOBS;
  struct lot *lot = xcalloc (1, sizeof *lot);
  lot->work = work;
  lot->partition = partition;
  lot->committed = committed;
  lot->buried = committed;
  TAILQ_INIT (&lot->order);
  TAILQ_INIT (&lot->open);
  TAILQ_INIT (&lot->waiting);
  TAILQ_INIT (&lot->orphans);
  lot->loaded = jobs; /* leases_sync came before */
  lot->claims = jobs ? bus->leases : claims_new (bus->lease_ms);
  int outcome = 0;
  if (!jobs)
    outcome = cursor_open (&lot->claims_cursor, bus->work_reader, work->claims, partition,
                           parse_metadata (metadata), err);
  if (outcome == 0)
    outcome = cursor_open (&lot->messages, bus->work_reader, work->messages, partition,
                           jobs || committed < 0 ? FROM_START : committed, err);
  if (outcome == 0)
    return lot;
  lot_close (lot);
  return NULL;
}

void
lot_close (struct lot *lot)
{
  if (lot == NULL)
    return;
  while (!TAILQ_EMPTY (&lot->order))
    free_parcel (TAILQ_FIRST (&lot->order));
  cursor_close (&lot->messages);
  cursor_close (&lot->claims_cursor);
  if (lot->work->queue != BUS_JOBS)
    claims_free (lot->claims);
  free (lot);
}
