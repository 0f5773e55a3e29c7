/* Followers of the events, alone or as members of a group. */
#include "bus/kafka/follow.h"

#include "bus/bus_ops.h"

#include "bus/follower.h"
#include "bus/kafka/client.h"
#include "bus/kafka/dead_letters.h"
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
  LOOK_MS = 50,        /* how often the end is asked for while there is nothing */
  COMMIT_MS = 10000,   /* for the brokers' word */
  PARTITION_BITS = 12, /* of a position */
};

struct kafka_follower
{
  struct follower follower;
  struct kafka_plan *plan;
  struct kafka_reader *reader;
  struct kafka_group group;
  char *job_id;
  int32_t turn;
  int64_t looked; /* boot ms */
};

/* ---- positions -------------------------------------------------------------------------- */

static int64_t
position_of (int64_t offset, int32_t partition)
{
  return (offset + 1) << PARTITION_BITS | partition;
}

static int64_t
follow_offset_of (int64_t position)
{
  return (position >> PARTITION_BITS) - 1;
}

static int32_t
partition_of (int64_t position)
{
  return (int32_t) (position & ((1 << PARTITION_BITS) - 1));
}

/* ---- partitions ------------------------------------------------------------------------- */

/* What the group committed of PARTITION; FROM_START when nothing. */
static int
follow_read_committed (struct kafka_follower *follower, int32_t partition, int64_t *offset,
                       struct error *err)
{
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new (1);
  const rd_kafka_topic_partition_t *element = rd_kafka_topic_partition_list_add (
      list, follower->group.producer->client->topics.names[TOPIC_EVENTS], partition);
  rd_kafka_resp_err_t code = kafka_committed (follower->reader, list);
  *offset = element->offset < 0 ? FROM_START : element->offset;
  rd_kafka_topic_partition_list_destroy (list);
  return code == RD_KAFKA_RESP_ERR_NO_ERROR
             ? 0
             : kafka_error (&follower->group.producer->client->trouble, code,
                            "reading what was committed", err);
}

static int
open_slice (struct kafka_follower *follower, int32_t i, int64_t from, struct error *err)
{
  struct slice *slice = &follower->group.slices[i];
  cursor_close (&slice->cursor);
  if (cursor_open (&slice->cursor, follower->reader, TOPIC_EVENTS, follower->group.first + i, from,
                   err)
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
  if (follow_read_committed (follower, follower->group.first + i, &offset, err) != 0
      || open_slice (follower, i, offset, err) != 0)
    return -1;
  log_info ("partition_assigned", "group=%s partition=%d offset=%lld", follower->group.name,
            follower->group.first + i, (long long) offset);
  return 0;
}

static int
open_slices (struct kafka_follower *follower, struct error *err)
{
  for (int32_t i = 0; i < follower->group.count; i++)
    {
      const struct slice *slice = &follower->group.slices[i];
      if (!slice->held || cursor_is_open (&slice->cursor))
        continue;
      int opened = follower->group.name != NULL ? open_held (follower, i, err)
                                                : open_slice (follower, i, slice->begun, err);
      if (opened != 0)
        return -1;
    }
  return 0;
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
      dead_letters_refuse (follower->group.leases->log.dead_letters, &slice->cursor, message, &bad);
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
  for (int32_t i = 0; i < follower->group.count; i++)
    {
      int32_t at = (follower->turn + i) % follower->group.count;
      struct slice *slice = &follower->group.slices[at];
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
follower_query_ends (struct kafka_follower *follower, struct error *err)
{
  follower->looked = clock_boot_ms ();
  for (int32_t i = 0; i < follower->group.count; i++)
    if (follower->group.slices[i].held
        && cursor_look_for_end (&follower->group.slices[i].cursor, err) != 0)
      return -1;
  return 0;
}

static int
kafka_follower_next (struct follower *base, struct event *event, struct error *err)
{
  struct kafka_follower *follower = (struct kafka_follower *) base;
  if (client_check_logs (follower->group.producer->client, err) != 0)
    return -1;
  if (follower->group.producer->published.pending > 0 && plan_flush (follower->plan, err) != 0)
    return -1;
  if (follower->group.name != NULL && group_tend (&follower->group, err) != 0)
    return -1;
  if (follower->group.lost)
    return 0;
  if (open_slices (follower, err) != 0)
    return -1;
  int got = next_before_ends (follower, event, err);
  if (got != 0 || clock_boot_ms () - follower->looked < LOOK_MS)
    return got;
  return follower_query_ends (follower, err) != 0 ? -1 : next_before_ends (follower, event, err);
}

/* ---- membership ------------------------------------------------------------------------- */

static bool
kafka_follower_holds (struct follower *base, const char *job_id, struct error *err)
{
  struct kafka_follower *follower = (struct kafka_follower *) base;
  if (follower->group.name == NULL)
    return true;
  if (leases_sync (follower->group.leases, err) != 0 || group_tend (&follower->group, err) != 0)
    return false;
  if (follower->group.lost || job_id == NULL)
    return !follower->group.lost && group_held (&follower->group) > 0;
  int32_t partition =
      kafka_partition_of_job (&follower->group.producer->client->topics, TOPIC_EVENTS, job_id);
  return partition >= follower->group.first
         && partition < follower->group.first + follower->group.count
         && follower->group.slices[partition - follower->group.first].held;
}

static void
kafka_follower_rewind (struct follower *base)
{
  struct kafka_follower *follower = (struct kafka_follower *) base;
  for (int32_t i = 0; i < follower->group.count; i++)
    {
      struct slice *slice = &follower->group.slices[i];
      cursor_close (&slice->cursor);
      if (follower->group.name != NULL)
        slice->held = slice->held && group_has (&follower->group, slice);
    }
  follower->group.lost = false;
  follower->looked = 0;
}

static int
kafka_follower_commit (struct follower *base, const int64_t *positions, size_t count,
                       struct error *err)
{
  struct kafka_follower *follower = (struct kafka_follower *) base;
  if (follower->group.name == NULL || follower->group.lost
      || follower->group.producer->client->anew != NULL
      || !dead_letters_are_safe (follower->group.leases->log.dead_letters))
    return 0;
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new (follower->group.count);
  for (int32_t i = 0; i < follower->group.count; i++)
    {
      struct slice *slice = &follower->group.slices[i];
      if (!slice->held || !cursor_is_open (&slice->cursor))
        continue;
      int64_t offset = slice->delivered;
      for (size_t j = 0; j < count; j++)
        if (partition_of (positions[j]) == follower->group.first + i
            && follow_offset_of (positions[j]) < offset)
          offset = follow_offset_of (positions[j]);
      rd_kafka_topic_partition_list_add (
          list, follower->group.producer->client->topics.names[TOPIC_EVENTS],
          follower->group.first + i)
          ->offset = offset;
      slice->committed = offset;
    }
  rd_kafka_resp_err_t code =
      list->cnt == 0
          ? RD_KAFKA_RESP_ERR_NO_ERROR
          : kafka_commit (follower->reader, list,
                          (int) kafka_at_most (follower->group.producer->client, COMMIT_MS));
  rd_kafka_topic_partition_list_destroy (list);
  return code == RD_KAFKA_RESP_ERR_NO_ERROR
             ? 0
             : kafka_error (&follower->group.producer->client->trouble, code, "committing", err);
}

/* ---- opening, closing ------------------------------------------------------------------- */

static void
kafka_follower_close (struct follower *base)
{
  struct kafka_follower *follower = (struct kafka_follower *) base;
  if (follower->group.member != NULL)
    group_leave (&follower->group);
  for (int32_t i = 0; i < follower->group.count; i++)
    {
      cursor_close (&follower->group.slices[i].cursor);
      free (follower->group.slices[i].key);
    }
  kafka_reader_close (follower->reader);
  free (follower->group.slices);
  free (follower->group.name);
  free (follower->group.member);
  free (follower->job_id);
  free (follower->group.writer);
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
  struct error why = ERROR_INIT;
  const struct kafka_job *job =
      follower->job_id == NULL ? NULL
                               : tables_job (follower->plan->work->tables, follower->job_id, &why);
  for (int32_t i = 0; i < follower->group.count; i++)
    {
      int64_t from = job == NULL ? FROM_START
                                 : metadata_find_time (follower->reader->producer, TOPIC_EVENTS,
                                                       follower->group.first + i, job->time, err);
      if (from < 0 || open_slice (follower, i, from, err) != 0)
        return -1;
      follower->group.slices[i].held = true;
    }
  return 0;
}

/* A group that follows one job keeps its own position: it must not skip other jobs' events. */
struct follower *
follow_open (struct kafka_plan *plan, const char *group, const char *job_id, struct error *err)
{
  if (leases_need_layout (plan->work->leases, err) != 0)
    return NULL;
  struct kafka_follower *follower = xcalloc (1, sizeof *follower);
  follower->follower.ops = &kafka_follower_ops;
  follower->plan = plan;
  follower->group.leases = plan->work->leases;
  follower->group.producer = plan->work->producer;
  plan->work->tables->dead_letters->follows |= group != NULL;
  follower->job_id = xstrdup (job_id);
  follower->group.writer = xasprintf ("%s.%lld", follower->group.producer->client->writer,
                                      (long long) ++plan->work->inflight->next_ticket);
  if (group != NULL)
    follower->group.name = job_id == NULL ? xstrdup (group) : xasprintf ("%s.%s", group, job_id);
  follower->group.first = job_id == NULL
                              ? 0
                              : kafka_partition_of_job (&follower->group.producer->client->topics,
                                                        TOPIC_EVENTS, job_id);
  follower->group.count =
      job_id == NULL ? kafka_spread (&follower->group.producer->client->topics, TOPIC_EVENTS) : 1;
  follower->group.slices = xcalloc ((size_t) follower->group.count, sizeof *follower->group.slices);
  for (int32_t i = 0; group != NULL && i < follower->group.count; i++)
    follower->group.slices[i].key =
        xasprintf ("group/%s/%d", follower->group.name, follower->group.first + i);
  if (group != NULL)
    follower->group.member =
        xasprintf ("member/%s/%s %s", follower->group.name, follower->group.writer,
                   follower->group.leases->log.config->settings == NULL
                       ? ""
                       : follower->group.leases->log.config->settings);
  auto_free char *consumer_group =
      group == NULL
          ? NULL
          : xasprintf ("%s.%s", follower->group.producer->client->prefix, follower->group.name);
  follower->reader = kafka_reader_open (follower->group.producer, consumer_group, err);
  int outcome = follower->reader == NULL ? -1
                : group == NULL          ? open_all (follower, err)
                                         : group_join (&follower->group, err);
  if (outcome == 0)
    return &follower->follower;
  kafka_follower_close (&follower->follower);
  return NULL;
}
