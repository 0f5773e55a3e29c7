/* One partition of work: its messages, and where each stands. */
#include "bus/kafka/partition.h"

#include "bus/dead_letter.h"
#include "bus/kafka/client.h"
#include "bus/kafka/dead_letters.h"
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
  REMEMBERED_MAX = 100000, /* settled keys of a partition, beyond those it still needs */
  DELAY_MAX_MS = 86400000, /* a wall clock that jumped can't hold a retry for longer */
  TICK_MS = 100,           /* between two of our ticks */
  CHANCE_MS = 500,         /* for a renewal that was on its way when the lease ran out */
  PATIENCE_MS = 50,        /* before a lease that should have run out is looked at again */
};

static const char metadata_prefix[] = "claims=";

int32_t
partition_claims_partition (const struct partition *partition)
{
  return partition->set->kind == BUS_JOBS ? 0 : partition->number;
}

int64_t
partition_skew (const struct partition *partition)
{
  return partition->set->kind == BUS_JOBS ? partition->set->leases_cursor->skew
                                          : partition->claims_cursor.skew;
}

int64_t
partition_now (const struct partition *partition)
{
  return clock_wall_ms () + partition_skew (partition);
}

/* ---- messages --------------------------------------------------------------------------- */

static struct message_list *
list_of (struct partition *partition, enum message_state state)
{
  return state == MESSAGE_OPEN       ? &partition->open
         : state == MESSAGE_WAITING  ? &partition->waiting
         : state == MESSAGE_ORPHANED ? &partition->orphans
                                     : NULL;
}

void
message_set (struct message *message, enum message_state state, int64_t look_at)
{
  message->look_at = look_at;
  if (message->state == state)
    return;
  struct message_list *from = list_of (message->partition, message->state);
  struct message_list *to = list_of (message->partition, state);
  if (from != NULL)
    TAILQ_REMOVE (from, message, links);
  if (to != NULL)
    TAILQ_INSERT_TAIL (to, message, links);
  message->partition->open_count += state == MESSAGE_OPEN ? 1 : 0;
  message->partition->open_count -= message->state == MESSAGE_OPEN ? 1 : 0;
  message->state = state;
  if (state == MESSAGE_SETTLED)
    {
      message->partition->unsettled--;
      message->partition->bytes -= message->payload.size;
      buffer_release (&message->payload);
    }
}

/* ---- the log's clock -------------------------------------------------------------------- */

int
claims_tick (struct kafka_producer *producer, int topic, int32_t partition,
             struct delivery_report *report, struct error *err)
{
  auto_buffer struct buffer payload = { 0 };
  const struct claim claim = { .kind = CLAIM_UNKNOWN, .writer = producer->client->writer };
  if (codec_encode_claim (&claim, &payload, err) != 0)
    return -1;
  return kafka_send (producer, topic, partition, "tick", &payload, report, err);
}

static void
partition_tick (struct partition *partition)
{
  struct kafka_producer *producer = partition_producer (partition);
  int64_t now = clock_boot_ms ();
  if (now - partition->ticked < TICK_MS)
    return;
  partition->ticked = now;
  if (claims_tick (producer, partition->set->claims, partition_claims_partition (partition),
                   &producer->quiet, NULL)
          == 0
      && partition->asked == 0)
    partition->asked = now;
}

/* Whether a tick has been on its way for so long that this partition has no leader now, whatever
 * other brokers do. */
static bool
is_slow (const struct partition *partition)
{
  return partition->asked != 0
         && clock_boot_ms () - partition->asked
                > partition_producer (partition)->client->lease_ms / 4;
}

void
partition_note_tick (struct partition *partition)
{
  if (is_slow (partition))
    partition->slow_at = clock_boot_ms ();
  partition->asked = 0;
}

/* ---- our own records -------------------------------------------------------------------- */

void
partition_note_sent (struct partition *partition)
{
  unsigned int epoch = partition_producer (partition)->epoch;
  partition->awaited = partition->epoch == epoch ? partition->awaited + 1 : 1;
  partition->epoch = epoch;
}

void
partition_note_read (struct partition *partition)
{
  partition->awaited -= partition->awaited > 0 ? 1 : 0;
}

bool
partition_is_quiet (const struct partition *partition)
{
  return partition->awaited == 0 || partition->epoch != partition_producer (partition)->epoch;
}

/* ---- where a message stands ------------------------------------------------------------- */

/* When another's claim on MESSAGE is void, on the boot clock; INT64_MAX: not known, to be looked at
 * again. By our clock it is only guessed when to ask; the log's own clock must say so. Who was cut
 * off together with us, or stood still with the broker, must get his chance to renew. */
static int64_t
end_of_lease (struct message *message)
{
  struct partition *partition = message->partition;
  const struct claims_entry *entry = message->entry;
  int64_t now = clock_boot_ms ();
  int64_t left = entry->expires - partition_now (partition);
  if (claims_now (partition->claims) < entry->expires)
    {
      if (left > 0)
        return now + left;
      partition_tick (partition);
      return INT64_MAX;
    }
  if (message->expired != entry->expires)
    {
      message->expired = entry->expires;
      message->expired_at = now;
    }
  if (is_slow (partition))
    return INT64_MAX;
  int64_t trouble = kafka_trouble_at (&partition_producer (partition)->client->trouble);
  if (trouble < partition->slow_at)
    trouble = partition->slow_at;
  int64_t settled =
      trouble == 0 ? 0 : trouble + partition_producer (partition)->client->lease_ms / 2;
  int64_t chance = message->expired_at + CHANCE_MS;
  return settled > chance ? settled : chance;
}

/* Whether MESSAGE must wait for another's lease. */
static bool
waits_for_lease (struct message *message)
{
  if (message->entry->phase == CLAIMS_FREE)
    return false;
  int64_t now = clock_boot_ms ();
  int64_t end = end_of_lease (message);
  if (end <= now)
    return false;
  message_set (message, MESSAGE_WAITING, end == INT64_MAX ? now + PATIENCE_MS : end);
  return true;
}

void
message_update (struct message *message)
{
  const struct claims_entry *entry = message->entry;
  int64_t now = clock_boot_ms ();
  if (message->state == MESSAGE_SETTLED)
    return;
  if (entry->phase == CLAIMS_DONE)
    message_set (message, MESSAGE_SETTLED, 0);
  else if (entry->inflight != NULL)
    message_set (message, MESSAGE_OURS, 0);
  else if (waits_for_lease (message))
    return;
  else if (message->due > now)
    message_set (message, MESSAGE_WAITING, message->due);
  else if (entry->phase == CLAIMS_SETTLING)
    message_set (message, MESSAGE_ORPHANED, 0);
  else
    message_set (message, MESSAGE_OPEN, 0);
}

void
partition_entry_changed (struct claims_entry *entry)
{
  for (struct message *message = entry->messages; message != NULL; message = message->twin)
    message_update (message);
}

void
partition_refresh (struct partition *partition)
{
  int64_t now = clock_boot_ms ();
  struct message *next = NULL;
  for (struct message *message = TAILQ_FIRST (&partition->waiting); message != NULL; message = next)
    {
      next = TAILQ_NEXT (message, links);
      if (message->look_at > now)
        continue;
      message_update (message);
      if (message->state == MESSAGE_WAITING && message->look_at < now + PATIENCE_MS)
        message->look_at = now + PATIENCE_MS;
    }
}

size_t
partition_retries (const struct partition *partition)
{
  size_t count = 0;
  int64_t now = clock_boot_ms ();
  const struct message *message = NULL;
  TAILQ_FOREACH (message, &partition->waiting, links)
    count += message->due > now && message->unread == 0 ? 1 : 0;
  return count;
}

static void
free_message (struct message *message)
{
  struct partition *partition = message->partition;
  message_set (message, MESSAGE_SETTLED, 0);
  TAILQ_REMOVE (&partition->order, message, order);
  partition->count--;
  struct message **at = &message->entry->messages;
  while (*at != message)
    at = &(*at)->twin;
  *at = message->twin;
  claims_unneed (partition->claims, message->entry);
  buffer_release (&message->payload);
  free (message->job_id);
  free (message);
}

static void
forget_settled (struct partition *partition)
{
  while (!TAILQ_EMPTY (&partition->order)
         && TAILQ_FIRST (&partition->order)->state == MESSAGE_SETTLED)
    free_message (TAILQ_FIRST (&partition->order));
  /* Of leases some never end: of members that left, of partitions that nobody follows. */
  claims_retire (partition->claims, partition->messages.next, partition->caught_up, REMEMBERED_MAX,
                 partition->set->kind == BUS_JOBS ? SIZE_MAX : 0);
}

/* ---- messages --------------------------------------------------------------------------- */

/* How long a retry waits: by the broker's clock, as far as we know it, but never longer than its
 * writer meant at writing. */
static int64_t
partition_due_time (const struct partition *partition, const struct shard *shard,
                    const rd_kafka_message_t *record)
{
  if (shard->not_before == 0)
    return 0;
  int64_t left = shard->not_before - partition_now (partition);
  int64_t meant = shard->not_before - message_time (record);
  if (left > meant)
    left = meant;
  if (left > DELAY_MAX_MS)
    left = DELAY_MAX_MS;
  return left <= 0 ? 0 : clock_boot_ms () + left;
}

static void
set_due (struct message *message, const struct shard *shard, const rd_kafka_message_t *record)
{
  message->due = partition_due_time (message->partition, shard, record);
  message->time = shard->not_before;
}

static int
partition_read_job (struct bytes payload, struct message *message, char **key, struct error *err)
{
  auto_job struct job job = { 0 };
  if (codec_decode_job (payload, &job, err) != 0 || job_check_id (job.id, err) != 0)
    return -1;
  *key = xasprintf ("job/%s", job.id);
  message->job_id = take (&job.id);
  return 0;
}

/* By its key, which says all there is to know of a first attempt before it is taken. What can't be
 * read by us may be by others. */
static bool
read_shard_key (char *key, struct bytes payload, const rd_kafka_message_t *record,
                struct message *message)
{
  auto_shard struct shard shard = { 0 };
  uint32_t attempt = 0;
  size_t job_size = 0;
  if (!shard_key_parse (key, &job_size, &message->generation, &attempt))
    return false;
  message->job_id = xstrndup (key, job_size);
  if (attempt > 1 && codec_decode_shard (payload, &shard, NULL) == 0)
    set_due (message, &shard, record);
  return true;
}

static int
partition_read_shard (struct bytes payload, const rd_kafka_message_t *record,
                      struct message *message, char **key, struct error *err)
{
  auto_free char *given = message_key (record);
  if (read_shard_key (given, payload, record, message))
    {
      *key = take (&given);
      return 0;
    }
  auto_shard struct shard shard = { 0 };
  if (codec_decode_shard (payload, &shard, err) != 0)
    return -1;
  *key = shard_key (&shard);
  message->generation = shard.generation;
  set_due (message, &shard, record);
  message->job_id = take (&shard.job_id);
  return 0;
}

static void
partition_add_message (struct partition *partition, const rd_kafka_message_t *record)
{
  auto_free char *key = NULL;
  struct error err = ERROR_INIT;
  struct message *message = xcalloc (1, sizeof *message);
  message->partition = partition;
  struct bytes payload = partition->messages.payload;
  int read = error_is_set (&partition->messages.refused) ? -1
             : partition->set->kind == BUS_JOBS
                 ? partition_read_job (payload, message, &key, &err)
                 : partition_read_shard (payload, record, message, &key, &err);
  if (read != 0)
    {
      if (partition->set->kind == BUS_SHARDS) /* jobs are read by the tables as well */
        dead_letters_refuse (partition->set->tables->dead_letters, &partition->messages, record,
                             &err);
      partition_owe (partition, record->offset);
      free (message);
      return;
    }
  message->offset = record->offset;
  if (message->time < message_time (record))
    message->time = message_time (record);
  message->entry = claims_need (partition->claims, key);
  message->twin = message->entry->messages;
  message->entry->messages = message;
  buffer_append (&message->payload, payload.data, payload.size);
  message->state = MESSAGE_OPEN;
  TAILQ_INSERT_TAIL (&partition->order, message, order);
  TAILQ_INSERT_TAIL (&partition->open, message, links);
  partition->count++;
  partition->unsettled++;
  partition->open_count++;
  partition->bytes += message->payload.size;
  message_update (message);
}

/* What waits for its time, or is another's, doesn't count: it would keep what stands behind it from
 * being run. */
static bool
partition_has_room (const struct partition *partition)
{
  return partition->open_count < AHEAD && partition->bytes < AHEAD_BYTES
         && partition->count < BEHIND;
}

void
partition_read_messages (struct partition *partition)
{
  for (int i = 0; i < AT_A_TIME && partition_has_room (partition); i++)
    {
      auto_message rd_kafka_message_t *record = NULL;
      if (cursor_next (&partition->messages, &record) == 0)
        {
          if (cursor_is_at_end (&partition->messages))
            partition->caught_up = claims_now (partition->claims);
          break;
        }
      partition_add_message (partition, record);
    }
  forget_settled (partition);
}

/* ---- committing ------------------------------------------------------------------------- */

/* All before it is a job, or a dead letter. */
static int64_t
judged (const struct partition *partition)
{
  const struct kafka_tables *tables = partition->set->tables;
  return partition->messages.next < tables->jobs.next ? partition->messages.next
                                                      : tables->jobs.next;
}

int64_t
partition_watermark (const struct partition *partition, char **metadata)
{
  const struct message *first = TAILQ_FIRST (&partition->order);
  if (!dead_letters_are_safe (partition->set->tables->dead_letters))
    return partition->committed;
  if (partition->set->kind == BUS_JOBS)
    return judged (partition);
  if (metadata != NULL)
    *metadata =
        xasprintf ("%s%lld", metadata_prefix,
                   (long long) claims_base (partition->claims, partition->claims_cursor.next));
  return first == NULL ? partition->messages.next : first->offset;
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

/* Nothing that was committed holds: the messages are read from their start, and so are the claims.
 */
static int
partition_forget_commit (struct partition *partition, struct error *err)
{
  const struct partition_set *set = partition->set;
  partition->committed = partition->owed = -1;
  if (set->kind == BUS_JOBS)
    return 0;
  cursor_close (&partition->claims_cursor);
  return cursor_open (&partition->claims_cursor, set->reader, set->claims, partition->number,
                      FROM_START, err);
}

struct partition *
partition_open (struct partition_set *set, int32_t number, int64_t committed, const char *metadata,
                struct error *err)
{
  bool jobs = set->kind == BUS_JOBS;
  struct partition *partition = xcalloc (1, sizeof *partition);
  partition->set = set;
  partition->number = number;
  partition->committed = committed;
  partition->owed = committed;
  TAILQ_INIT (&partition->order);
  TAILQ_INIT (&partition->open);
  TAILQ_INIT (&partition->waiting);
  TAILQ_INIT (&partition->orphans);
  partition->loaded = jobs; /* leases_sync came before */
  partition->claims = jobs ? set->leases : claims_new (set->reader->producer->client->lease_ms);
  /* The claims first, so that the first fetch has them as well: our own tell how clocks differ. */
  int outcome = jobs ? 0
                     : cursor_open (&partition->claims_cursor, set->reader, set->claims, number,
                                    parse_metadata (metadata), err);
  if (outcome == 0)
    outcome = cursor_open (&partition->messages, set->reader, set->messages, number,
                           jobs || committed < 0 ? FROM_START : committed, err);
  if (outcome == 0 && committed > partition->messages.end) /* it is of another log */
    outcome = partition_forget_commit (partition, err);
  if (outcome == 0)
    return partition;
  partition_close (partition);
  return NULL;
}

void
partition_close (struct partition *partition)
{
  if (partition == NULL)
    return;
  while (!TAILQ_EMPTY (&partition->order))
    free_message (TAILQ_FIRST (&partition->order));
  cursor_close (&partition->messages);
  cursor_close (&partition->claims_cursor);
  if (partition->set->kind != BUS_JOBS)
    claims_free (partition->claims);
  free (partition);
}
