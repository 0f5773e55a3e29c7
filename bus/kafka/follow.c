/* Followers of the events. A group's members share the partitions by claims in the topic of leases:
 * who holds a partition's gets its events, as long as he holds it. Each member claims a name of its
 * own as well, so that all know how many they are: nobody takes more than his share, and who has
 * more gives back what no unfinished job needs. */
#include "bus/kafka/follow.h"

#include "bus/kafka/client.h"
#include "bus/kafka/dead_letters.h"
#include "bus/kafka/kafka.h"
#include "bus/kafka/known.h"
#include "bus/kafka/leases.h"
#include "bus/kafka/metadata.h"
#include "bus/kafka/plan.h"
#include "bus/kafka/producer.h"
#include "bus/kafka/reader.h"
#include "bus/kafka/tables.h"
#include "bus/kafka/topic_names.h"
#include "bus/kafka/trouble.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "schemas/codec.h"

#include <string.h>

enum
{
  SHARE_MS = 1000,     /* how often the members are counted */
  LOOK_MS = 50,        /* how often the end is asked for while there is nothing */
  CHANCE_MS = 500,     /* for a renewal that was on its way when the lease ran out */
  JOIN_MS = 100,       /* how often a partition that may be free is tried for */
  COMMIT_MS = 10000,   /* for the brokers' word */
  PARTITION_BITS = 12, /* of a position */
};

/* A partition of the events. */
struct slice
{
  struct cursor cursor;
  char *key;          /* of its lease; NULL without a group */
  bool held;          /* … and ours, or there is no group; opened when it is read */
  int64_t free_since; /* boot ms at which its lease was first seen to have run out; 0: not */
  int64_t begun;      /* offset it was opened at */
  int64_t delivered;  /* offset behind the last event that was delivered */
  int64_t committed;
};

struct kafka_follower
{
  struct follower follower;
  struct kafka_bus *bus;
  struct kafka_reader *reader;
  char *group;
  char *job_id;
  char *writer;
  struct slice *slices;
  int32_t first; /* partition of the first slice */
  int32_t count;
  int32_t turn;
  int64_t looked; /* boot ms of … */
  int64_t joined;
  int64_t renewed;
  int64_t shared;
  int32_t share; /* partitions, at most */
  char *member;  /* the key of our own name */
  bool lost;     /* a partition was taken from us: nothing until the rewind */
};

/* ---- positions -------------------------------------------------------------------------- */

static int64_t
position_of (int64_t offset, int32_t partition)
{
  return (offset + 1) << PARTITION_BITS | partition;
}

static int64_t
offset_of (int64_t position)
{
  return (position >> PARTITION_BITS) - 1;
}

static int32_t
partition_of (int64_t position)
{
  return (int32_t) (position & ((1 << PARTITION_BITS) - 1));
}

/* ---- leases ----------------------------------------------------------------------------- */

static struct claims_entry *
lease_of (struct kafka_follower *follower, const struct slice *slice)
{
  return claims_find (follower->bus->leases, slice->key);
}

static bool
is_ours (struct kafka_follower *follower, const struct slice *slice)
{
  const struct claims_entry *entry = lease_of (follower, slice);
  return entry != NULL && entry->phase == CLAIMS_HELD
         && strcmp (entry->holder, follower->writer) == 0;
}

/* Whether it is worth trying: it was given back, or the lease has run out, as far as we know the
 * broker's clock, for so long that a renewal that was on its way would have come. While brokers
 * were away nobody could renew. */
static bool
seems_free (struct kafka_follower *follower, struct slice *slice)
{
  struct kafka_bus *bus = follower->bus;
  const struct claims_entry *entry = lease_of (follower, slice);
  if (entry == NULL || entry->phase == CLAIMS_FREE)
    return true;
  int64_t now = clock_boot_ms ();
  int64_t trouble = kafka_trouble_at (bus);
  if (clock_wall_ms () + bus->leases_cursor.skew < entry->expires
      || (trouble != 0 && now < trouble + bus->lease_ms / 2))
    {
      slice->free_since = 0;
      return false;
    }
  if (slice->free_since == 0)
    slice->free_since = leases_sync (bus, NULL) == 0 ? now : 0;
  return slice->free_since != 0 && now - slice->free_since >= CHANCE_MS;
}

static int
send_lease (struct kafka_follower *follower, const char *key, enum claim_kind kind,
            struct delivery_report *report, struct error *err)
{
  struct kafka_bus *bus = follower->bus;
  auto_buffer struct buffer payload = { 0 };
  const struct claims_entry *entry = claims_find (bus->leases, key);
  const uint32_t known = entry == NULL ? 0 : entry->starts;
  const struct claim claim = { .kind = kind,
                               .writer = follower->writer,
                               .starts = kind == CLAIM_CLAIM ? known + 1 : known,
                               .lease_ms = bus->lease_ms };
  if (codec_encode_claim (&claim, &payload, err) != 0)
    return -1;
  return kafka_send (bus, TOPIC_LEASES, 0, key, &payload, report, err);
}

static int
renew (struct kafka_follower *follower, struct error *err)
{
  int64_t now = clock_boot_ms ();
  if (now - follower->renewed < follower->bus->lease_ms / 3)
    return 0;
  follower->renewed = now;
  struct delivery_report *quiet = &follower->bus->quiet;
  for (int32_t i = 0; i < follower->count; i++)
    if (follower->slices[i].held
        && send_lease (follower, follower->slices[i].key, CLAIM_RENEW, quiet, err) != 0)
      return -1;
  return send_lease (follower, follower->member, CLAIM_RENEW, quiet, err);
}

/* ---- shares ----------------------------------------------------------------------------- */

static int32_t
held_count (const struct kafka_follower *follower)
{
  int32_t held = 0;
  for (int32_t i = 0; i < follower->count; i++)
    held += follower->slices[i].held ? 1 : 0;
  return held;
}

static void
count_members (struct kafka_follower *follower)
{
  auto_free char *members = xasprintf ("member/%s/", follower->group);
  int32_t count = (int32_t) claims_held (follower->bus->leases, members);
  count = count < 1 ? 1 : count;
  follower->share = (follower->count + count - 1) / count;
}

/* Says which members have other settings than we: what becomes of a job would depend on who takes
 * it up. */
static void
compare_settings (const struct kafka_follower *follower)
{
  const struct kafka_bus *bus = follower->bus;
  if (bus->settings == NULL)
    return;
  auto_free char *members = xasprintf ("member/%s/", follower->group);
  auto_free char *ours = text_log (bus->settings);
  for (const struct claims_entry *entry = NULL;
       (entry = claims_next_held (bus->leases, members, entry)) != NULL;)
    {
      const char *settings = strchr (entry->key, ' ');
      if (settings == NULL || strcmp (settings + 1, bus->settings) == 0)
        continue;
      const char *name = entry->key + strlen (members);
      auto_free char *member = xstrndup (name, (size_t) (settings - name));
      auto_free char *member_quoted = text_log (member);
      auto_free char *theirs = text_log (settings + 1);
      log_warn ("config_mismatch", "group=%s member=%s theirs=%s ours=%s", follower->group,
                member_quoted, theirs, ours);
    }
}

/* Whether no unfinished job needs what SLICE has delivered, and there is nothing more. */
static bool
is_idle (const struct slice *slice)
{
  return slice->held && cursor_is_open (&slice->cursor) && slice->delivered == slice->committed
         && cursor_is_at_end (&slice->cursor);
}

/* Gives back what is more than our share, as far as it can be given without anybody reading
 * again. */
static int
share_out (struct kafka_follower *follower, struct error *err)
{
  int64_t now = clock_boot_ms ();
  if (now - follower->shared < SHARE_MS)
    return 0;
  follower->shared = now;
  count_members (follower);
  int32_t surplus = held_count (follower) - follower->share;
  for (int32_t i = 0; i < follower->count && surplus > 0; i++)
    {
      struct slice *slice = &follower->slices[i];
      if (!is_idle (slice))
        continue;
      if (send_lease (follower, slice->key, CLAIM_RELEASE, &follower->bus->quiet, err) != 0)
        return -1;
      slice->held = false;
      cursor_close (&slice->cursor);
      surplus--;
      log_info ("partition_revoked", "group=%s partition=%d", follower->group, follower->first + i);
    }
  return 0;
}

/* ---- partitions ------------------------------------------------------------------------- */

/* What the group committed of PARTITION; FROM_START when nothing. */
static int
read_committed (struct kafka_follower *follower, int32_t partition, int64_t *offset,
                struct error *err)
{
  struct kafka_bus *bus = follower->bus;
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new (1);
  const rd_kafka_topic_partition_t *element =
      rd_kafka_topic_partition_list_add (list, bus->topics.names[TOPIC_EVENTS], partition);
  rd_kafka_resp_err_t code = kafka_committed (follower->reader, list);
  *offset = element->offset < 0 ? FROM_START : element->offset;
  rd_kafka_topic_partition_list_destroy (list);
  return code == RD_KAFKA_RESP_ERR_NO_ERROR
             ? 0
             : kafka_error (bus, code, "reading what was committed", err);
}

static int
open_slice (struct kafka_follower *follower, int32_t i, int64_t from, struct error *err)
{
  struct slice *slice = &follower->slices[i];
  cursor_close (&slice->cursor);
  if (cursor_open (&slice->cursor, follower->reader, TOPIC_EVENTS, follower->first + i, from, err)
      != 0)
    return -1;
  slice->begun = slice->cursor.next;
  slice->delivered = slice->cursor.next;
  slice->committed = slice->cursor.next;
  return 0;
}

/* A group's partition that has become ours is read from where the group was. */
static int
open_held (struct kafka_follower *follower, int32_t i, struct error *err)
{
  int64_t offset = 0;
  if (read_committed (follower, follower->first + i, &offset, err) != 0
      || open_slice (follower, i, offset, err) != 0)
    return -1;
  log_info ("partition_assigned", "group=%s partition=%d offset=%lld", follower->group,
            follower->first + i, (long long) offset);
  return 0;
}

static int
open_slices (struct kafka_follower *follower, struct error *err)
{
  for (int32_t i = 0; i < follower->count; i++)
    {
      const struct slice *slice = &follower->slices[i];
      if (!slice->held || cursor_is_open (&slice->cursor))
        continue;
      int opened = follower->group != NULL ? open_held (follower, i, err)
                                           : open_slice (follower, i, slice->begun, err);
      if (opened != 0)
        return -1;
    }
  return 0;
}

/* Tries for partitions that nobody has, up to our share. */
static int
join (struct kafka_follower *follower, struct error *err)
{
  auto_delivery_report struct delivery_report *report = delivery_report_new ();
  if (leases_sync (follower->bus, err) != 0)
    return -1;
  count_members (follower);
  int32_t room = follower->share - held_count (follower);
  int32_t tried = 0;
  for (int32_t i = 0; i < follower->count && tried < room; i++)
    {
      struct slice *slice = &follower->slices[i];
      if (slice->held || !seems_free (follower, slice))
        continue;
      tried++;
      if (send_lease (follower, slice->key, CLAIM_CLAIM, report, err) != 0)
        return -1;
    }
  if (tried == 0)
    return 0;
  if (kafka_await (follower->bus, report, "joining a group", err) != 0
      || leases_sync (follower->bus, err) != 0)
    return -1;
  for (int32_t i = 0; i < follower->count; i++)
    follower->slices[i].held |= is_ours (follower, &follower->slices[i]);
  return 0;
}

/* Sees to the leases: what is held is renewed, what was taken from us is noticed, what is free is
 * tried for. */
static int
tend (struct kafka_follower *follower, struct error *err)
{
  int64_t now = clock_boot_ms ();
  leases_pump (follower->bus);
  bool free_ones = false;
  for (int32_t i = 0; i < follower->count; i++)
    {
      struct slice *slice = &follower->slices[i];
      follower->lost = follower->lost || (slice->held && !is_ours (follower, slice));
      free_ones = free_ones || (!slice->held && seems_free (follower, slice));
    }
  if (follower->lost)
    return 0;
  if (share_out (follower, err) != 0)
    return -1;
  if (free_ones && held_count (follower) < follower->share && now - follower->joined >= JOIN_MS)
    {
      follower->joined = now;
      if (join (follower, err) != 0)
        return -1;
    }
  return renew (follower, err);
}

/* ---- reading ---------------------------------------------------------------------------- */

/* 1 when MESSAGE is an event for us. */
static int
read_event (struct kafka_follower *follower, struct slice *slice, const rd_kafka_message_t *message,
            struct event *event)
{
  struct error bad = ERROR_INIT;
  slice->delivered = message->offset + 1;
  if (follower->job_id != NULL)
    {
      size_t length = strlen (follower->job_id);
      if (message->key_len != length || memcmp (message->key, follower->job_id, length) != 0)
        return 0;
    }
  if (codec_decode_event (slice->cursor.payload, event, &bad) != 0)
    {
      kafka_pass_by (follower->bus, &slice->cursor, message, &bad);
      event_release (event);
      return 0;
    }
  event->position = position_of (message->offset, message->partition);
  event->logged = message_time (message);
  return 1;
}

/* The next event before the ends that are known. */
static int
next_before_ends (struct kafka_follower *follower, struct event *event, struct error *err)
{
  for (int32_t i = 0; i < follower->count; i++)
    {
      int32_t at = (follower->turn + i) % follower->count;
      struct slice *slice = &follower->slices[at];
      while (slice->held)
        {
          auto_message rd_kafka_message_t *message = NULL;
          int got = cursor_next_before_end (&slice->cursor, &message, err);
          if (got < 0)
            return -1;
          if (got == 0)
            break;
          if (read_event (follower, slice, message, event) == 1)
            {
              follower->turn = at;
              return 1;
            }
        }
    }
  return 0;
}

static int
look_for_ends (struct kafka_follower *follower, struct error *err)
{
  follower->looked = clock_boot_ms ();
  for (int32_t i = 0; i < follower->count; i++)
    if (follower->slices[i].held && cursor_look_for_end (&follower->slices[i].cursor, err) != 0)
      return -1;
  return 0;
}

static int
kafka_follower_next (struct follower *base, struct event *event, struct error *err)
{
  struct kafka_follower *follower = (struct kafka_follower *) base;
  if (follower->bus->published.pending > 0 && kafka_flush (&follower->bus->bus, err) != 0)
    return -1;
  if (follower->group != NULL && tend (follower, err) != 0)
    return -1;
  if (follower->lost)
    return 0;
  if (open_slices (follower, err) != 0)
    return -1;
  int got = next_before_ends (follower, event, err);
  if (got != 0 || clock_boot_ms () - follower->looked < LOOK_MS)
    return got;
  return look_for_ends (follower, err) != 0 ? -1 : next_before_ends (follower, event, err);
}

/* ---- membership ------------------------------------------------------------------------- */

static bool
kafka_follower_holds (struct follower *base, const char *job_id, struct error *err)
{
  struct kafka_follower *follower = (struct kafka_follower *) base;
  if (follower->group == NULL)
    return true;
  if (leases_sync (follower->bus, err) != 0 || tend (follower, err) != 0)
    return false;
  if (follower->lost || job_id == NULL)
    return !follower->lost && held_count (follower) > 0;
  int32_t partition = kafka_partition_of_job (&follower->bus->topics, TOPIC_EVENTS, job_id);
  return partition >= follower->first && partition < follower->first + follower->count
         && follower->slices[partition - follower->first].held;
}

static void
kafka_follower_rewind (struct follower *base)
{
  struct kafka_follower *follower = (struct kafka_follower *) base;
  for (int32_t i = 0; i < follower->count; i++)
    {
      struct slice *slice = &follower->slices[i];
      cursor_close (&slice->cursor);
      if (follower->group != NULL)
        slice->held = slice->held && is_ours (follower, slice);
    }
  follower->lost = false;
  follower->looked = 0;
}

static int
kafka_follower_commit (struct follower *base, const int64_t *positions, size_t count,
                       struct error *err)
{
  struct kafka_follower *follower = (struct kafka_follower *) base;
  struct kafka_bus *bus = follower->bus;
  if (follower->group == NULL || follower->lost || !dead_letters_are_safe (bus))
    return 0;
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new (follower->count);
  for (int32_t i = 0; i < follower->count; i++)
    {
      struct slice *slice = &follower->slices[i];
      if (!slice->held || !cursor_is_open (&slice->cursor))
        continue;
      int64_t offset = slice->delivered;
      for (size_t j = 0; j < count; j++)
        if (partition_of (positions[j]) == follower->first + i && offset_of (positions[j]) < offset)
          offset = offset_of (positions[j]);
      rd_kafka_topic_partition_list_add (list, bus->topics.names[TOPIC_EVENTS], follower->first + i)
          ->offset = offset;
      slice->committed = offset;
    }
  rd_kafka_resp_err_t code =
      list->cnt == 0 ? RD_KAFKA_RESP_ERR_NO_ERROR
                     : kafka_commit (follower->reader, list, (int) kafka_at_most (bus, COMMIT_MS));
  rd_kafka_topic_partition_list_destroy (list);
  return code == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : kafka_error (bus, code, "committing", err);
}

/* ---- opening, closing ------------------------------------------------------------------- */

static void
kafka_follower_close (struct follower *base)
{
  struct kafka_follower *follower = (struct kafka_follower *) base;
  struct delivery_report *quiet = &follower->bus->quiet;
  for (int32_t i = 0; i < follower->count; i++)
    {
      struct slice *slice = &follower->slices[i];
      if (follower->group != NULL && slice->held)
        (void) send_lease (follower, slice->key, CLAIM_RELEASE, quiet, NULL);
      cursor_close (&slice->cursor);
      free (slice->key);
    }
  if (follower->member != NULL && follower->bus->leases != NULL)
    (void) send_lease (follower, follower->member, CLAIM_RELEASE, quiet, NULL);
  kafka_reader_close (follower->reader);
  free (follower->slices);
  free (follower->group);
  free (follower->member);
  free (follower->job_id);
  free (follower->writer);
  free (follower);
}

static const struct follower_ops kafka_follower_ops = {
  .next = kafka_follower_next,
  .holds = kafka_follower_holds,
  .rewind = kafka_follower_rewind,
  .commit = kafka_follower_commit,
  .close = kafka_follower_close,
};

/* Nothing of a job stands before the job itself. */
static int
open_all (struct kafka_follower *follower, struct error *err)
{
  struct kafka_bus *bus = follower->bus;
  struct error why = ERROR_INIT;
  const struct kafka_job *job =
      follower->job_id == NULL ? NULL : tables_job (bus, follower->job_id, &why);
  for (int32_t i = 0; i < follower->count; i++)
    {
      int64_t from = job == NULL ? FROM_START
                                 : cursor_find_time (follower->reader, TOPIC_EVENTS,
                                                     follower->first + i, job->time, err);
      if (from < 0 || open_slice (follower, i, from, err) != 0)
        return -1;
      follower->slices[i].held = true;
    }
  return 0;
}

static int
become_member (struct kafka_follower *follower, struct error *err)
{
  auto_delivery_report struct delivery_report *report = delivery_report_new ();
  if (leases_sync (follower->bus, err) != 0
      || send_lease (follower, follower->member, CLAIM_CLAIM, report, err) != 0
      || kafka_await (follower->bus, report, "joining a group", err) != 0)
    return -1;
  int joined = join (follower, err);
  compare_settings (follower);
  return joined;
}

/* A group that follows one job keeps its own position: it must not skip other jobs' events. */
struct follower *
kafka_follow (struct bus *base, const char *group, const char *job_id, struct error *err)
{
  struct kafka_bus *bus = (struct kafka_bus *) base;
  struct kafka_follower *follower = xcalloc (1, sizeof *follower);
  follower->follower.ops = &kafka_follower_ops;
  follower->bus = bus;
  bus->keeps_dead = bus->keeps_dead || group != NULL;
  follower->job_id = xstrdup (job_id);
  follower->writer = xasprintf ("%s.%lld", bus->writer, (long long) ++bus->next_ticket);
  if (group != NULL)
    follower->group = job_id == NULL ? xstrdup (group) : xasprintf ("%s.%s", group, job_id);
  follower->first =
      job_id == NULL ? 0 : kafka_partition_of_job (&bus->topics, TOPIC_EVENTS, job_id);
  follower->count = job_id == NULL ? bus->topics.partitions[TOPIC_EVENTS] : 1;
  follower->slices = xcalloc ((size_t) follower->count, sizeof *follower->slices);
  for (int32_t i = 0; group != NULL && i < follower->count; i++)
    follower->slices[i].key = xasprintf ("group/%s/%d", follower->group, follower->first + i);
  if (group != NULL)
    follower->member = xasprintf ("member/%s/%s %s", follower->group, follower->writer,
                                  bus->settings == NULL ? "" : bus->settings);
  auto_free char *consumer_group =
      group == NULL ? NULL : xasprintf ("%s.%s", bus->prefix, follower->group);
  follower->reader = kafka_reader_open (bus, consumer_group, err);
  int outcome = follower->reader == NULL ? -1
                : group == NULL          ? open_all (follower, err)
                                         : become_member (follower, err);
  if (outcome == 0)
    return &follower->follower;
  kafka_follower_close (&follower->follower);
  return NULL;
}
