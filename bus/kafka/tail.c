/* The last records of a topic, by readers of its own: other readers of this handle go on. */
#include "bus/kafka/tail.h"

#include "bus/kafka/reader.h"
#include "bus/kafka/topic_names.h"

#include "common/memory.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum
{
  WAIT_MS = 100, /* for the next record of any partition */
  WIDEN = 4,     /* by which more offsets are looked at where these had too few records */
};

struct tail
{
  struct kafka_client *client;
  struct kafka_reader *reader;
  int topic;
  struct cursor *cursors; /* one a partition */
  int32_t partitions;
  struct tail_record *records; /* found so far */
  size_t count;
};

/* A record that outlives its cursor's next one. */
struct tail_record
{
  struct bus_record record;
  char *key;
  struct buffer message;
  struct strlist headers;
  char *refused;
};

static void
tail_record_release (struct tail_record *record)
{
  free (record->key);
  buffer_release (&record->message);
  strlist_release (&record->headers);
  free (record->refused);
}

static void
tail_release (struct tail *tail)
{
  for (int32_t i = 0; i < tail->partitions; i++)
    cursor_close (&tail->cursors[i]);
  for (size_t i = 0; i < tail->count; i++)
    tail_record_release (&tail->records[i]);
  free (tail->cursors);
  free (tail->records);
  kafka_reader_close (tail->reader);
}

/* ---- which topic ------------------------------------------------------------------------ */

/* The index of the topic NAME, whose partitions are known then; -1 with ERR. */
static int
tail_find_topic (struct kafka_queues *queues, const char *name, struct error *err)
{
  const struct kafka_topics *topics = &queues->producer->client->topics;
  size_t prefix = strlen (queues->producer->client->prefix);
  if (strncmp (name, queues->producer->client->prefix, prefix) == 0 && name[prefix] == '.')
    name += prefix + 1;
  for (int i = 0; i < TOPICS; i++)
    if (strcmp (topics->names[i] + prefix + 1, name) == 0)
      return i;
  bool shards = strncmp (name, "shards.", strlen ("shards.")) == 0;
  if (shards || strncmp (name, "claims.", strlen ("claims.")) == 0)
    {
      const struct kafka_queue *queue = queues_need (queues, name + strlen ("shards."), err);
      return queue == NULL ? -1 : shards ? queue->shards : queue->claims;
    }
  return error_set (err, ERROR_USER,
                    "%s: not a topic of the bus: expected jobs, shards, claims, leases, events, "
                    "control, status or dead, or shards.QUEUE or claims.QUEUE",
                    name);
}

/* ---- reading ---------------------------------------------------------------------------- */

static void
tail_add_headers (struct strlist *list, const rd_kafka_message_t *message)
{
  rd_kafka_headers_t *headers = NULL;
  if (rd_kafka_message_headers (message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
    return;
  const char *name = NULL;
  const void *value = NULL;
  size_t size = 0;
  for (size_t i = 0;
       rd_kafka_header_get_all (headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
       i++)
    {
      auto_free char *text = xstrndup (value == NULL ? "" : value, value == NULL ? 0 : size);
      strlist_add (list, name);
      strlist_add (list, text);
    }
}

/* CURSOR's record MESSAGE, as it is told. */
static struct tail_record
tail_record_of (const struct tail *tail, const struct cursor *cursor,
                const rd_kafka_message_t *message)
{
  struct tail_record own = { .key = message_key (message) };
  bool refused = error_is_set (&cursor->refused);
  if (refused)
    own.refused = xstrdup (cursor->refused.message);
  if (refused && message->payload != NULL)
    buffer_append (&own.message, message->payload, message->len);
  else if (cursor->payload.data != NULL)
    buffer_append (&own.message, cursor->payload.data, cursor->payload.size);
  tail_add_headers (&own.headers, message);
  own.record = (struct bus_record){ .topic = tail->client->topics.names[tail->topic],
                                    .partition = message->partition,
                                    .offset = message->offset,
                                    .time = message_time (message),
                                    .tombstone = message->payload == NULL };
  return own;
}

static int
tail_pass_on (struct tail_record *own, int (*each) (void *context, const struct bus_record *record),
              void *context)
{
  own->record.key = own->key;
  own->record.message = buffer_bytes (&own->message);
  own->record.headers = &own->headers;
  own->record.refused = own->refused;
  return each (context, &own->record);
}

/* Reads PARTITION from offset FROM to its end, keeping the last COUNT records: how many, or -1. */
static int64_t
tail_read_from (struct tail *tail, int32_t partition, int64_t from, int64_t count,
                struct error *err)
{
  struct cursor *cursor = &tail->cursors[partition];
  if (cursor_open (cursor, tail->reader, tail->topic, partition, from, err) != 0)
    return -1;
  size_t before = tail->count;
  for (;;)
    {
      auto_message rd_kafka_message_t *message = NULL;
      int got = cursor_next_before_end (cursor, &message, err);
      if (got <= 0)
        return got < 0 ? -1 : (int64_t) (tail->count - before);
      if (tail->records != NULL && (int64_t) (tail->count - before) == count)
        {
          tail_record_release (&tail->records[before]);
          tail->count--;
          memmove (&tail->records[before], &tail->records[before + 1],
                   (tail->count - before) * sizeof *tail->records);
        }
      tail->records = xrealloc (tail->records, tail->count + 1, sizeof *tail->records);
      tail->records[tail->count++] = tail_record_of (tail, cursor, message);
    }
}

/* The last COUNT records of PARTITION. Offsets aren't dense, so that as many offsets may hold
 * fewer of them. */
static int
tail_read_partition (struct tail *tail, int32_t partition, int64_t count, struct error *err)
{
  struct cursor *cursor = &tail->cursors[partition];
  if (cursor_open (cursor, tail->reader, tail->topic, partition, FROM_END, err) != 0)
    return -1;
  int64_t end = cursor->end;
  for (int64_t back = count; back > 0; back *= WIDEN)
    {
      cursor_close (cursor);
      size_t before = tail->count;
      int64_t from = back < end ? end - back : 0;
      int64_t got = tail_read_from (tail, partition, from, count, err);
      if (got < 0)
        return -1;
      if (got >= count || from == 0)
        return 0;
      while (tail->count > before)
        tail_record_release (&tail->records[--tail->count]);
    }
  return 0;
}

static int
tail_record_compare (const void *a, const void *b)
{
  const struct bus_record *first = &((const struct tail_record *) a)->record;
  const struct bus_record *second = &((const struct tail_record *) b)->record;
  if (first->time != second->time)
    return first->time > second->time ? 1 : -1;
  if (first->partition != second->partition)
    return first->partition > second->partition ? 1 : -1;
  return (first->offset > second->offset) - (first->offset < second->offset);
}

/* What comes, until EACH has had enough. */
static int
tail_follow (struct tail *tail, int (*each) (void *context, const struct bus_record *record),
             void *context)
{
  for (;;)
    {
      bool idle = true;
      for (int32_t i = 0; i < tail->partitions; i++)
        {
          auto_message rd_kafka_message_t *message = NULL;
          if (cursor_next (&tail->cursors[i], &message) != 1)
            continue;
          idle = false;
          struct tail_record record = tail_record_of (tail, &tail->cursors[i], message);
          int result = tail_pass_on (&record, each, context);
          tail_record_release (&record);
          if (result != 0)
            return result;
        }
      if (idle)
        kafka_serve (tail->reader->producer, WAIT_MS);
    }
}

int
tail_records (struct kafka_queues *queues, const struct bus_tail *what,
              int (*each) (void *context, const struct bus_record *record), void *context,
              struct error *err)
{
  int topic = tail_find_topic (queues, what->topic, err);
  if (topic < 0)
    return -1;
  struct tail tail = { .client = queues->producer->client, .topic = topic };
  tail.reader = kafka_reader_open (queues->producer, NULL, err);
  if (tail.reader == NULL)
    return -1;
  tail.partitions = tail.client->topics.partitions[topic];
  tail.cursors = xcalloc ((size_t) tail.partitions + 1, sizeof *tail.cursors);
  int result = 0;
  for (int32_t i = 0; result == 0 && i < tail.partitions; i++)
    result = tail_read_partition (&tail, i, what->count, err);
  if (tail.count > 0)
    qsort (tail.records, tail.count, sizeof *tail.records, tail_record_compare);
  size_t first = tail.count > (size_t) what->count ? tail.count - (size_t) what->count : 0;
  for (size_t i = first; result == 0 && i < tail.count; i++)
    result = tail_pass_on (&tail.records[i], each, context);
  if (result == 0 && what->follow)
    result = tail_follow (&tail, each, context);
  tail_release (&tail);
  return result;
}
