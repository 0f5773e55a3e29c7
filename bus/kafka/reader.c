/* Reading one partition, by librdkafka's simple consumer: no group, any partition at any offset. */
#include "bus/kafka/reader.h"

#include "bus/kafka/access.h"
#include "bus/kafka/client.h"
#include "bus/kafka/metadata.h"
#include "bus/kafka/producer.h"
#include "bus/kafka/topic_names.h"
#include "bus/kafka/trouble.h"
#include "bus/kafka/trust.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"

#include <poll.h>
#include <string.h>

enum
{
  QUERY_MS = 10000,
  STALL_MS = 30000, /* without a record on the way to a known end */
  STEP_MS = 100,
  AGAIN_MS = 20,
  SURE_MS = 1000,     /* an end that is too near must stay so */
  LEADER_MS = 1000,   /* for one answer */
  REGISTRY_MS = 1000, /* until a schema registry that was away is asked again */
};

struct kafka_reader *
kafka_reader_open (struct kafka_producer *producer, const char *group, struct error *err)
{
  const char *const extra[] = { "group.id", group, NULL };
  struct kafka_reader *reader = xcalloc (1, sizeof *reader);
  reader->producer = producer;
  reader->handle =
      kafka_handle (producer->client, RD_KAFKA_CONSUMER, group == NULL ? NULL : extra, NULL, err);
  if (reader->handle == NULL)
    {
      free (reader);
      return NULL;
    }
  return reader;
}

static struct kafka_client *
client_of (const struct cursor *cursor)
{
  return cursor->reader->producer->client;
}

static const char *
cursor_name_of (const struct cursor *cursor)
{
  return client_of (cursor)->topics.names[cursor->topic];
}

static rd_kafka_topic_t *
cursor_topic_of (const struct cursor *cursor)
{
  struct kafka_reader *reader = cursor->reader;
  rd_kafka_topic_t **topic = &reader->topics[cursor->topic];
  if (*topic == NULL)
    *topic = rd_kafka_topic_new (reader->handle, cursor_name_of (cursor), NULL);
  return *topic;
}

void
kafka_reader_close (struct kafka_reader *reader)
{
  if (reader == NULL)
    return;
  for (int i = 0; i < TOPICS_MAX; i++)
    if (reader->topics[i] != NULL)
      rd_kafka_topic_destroy (reader->topics[i]);
  rd_kafka_destroy_flags (reader->handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
  free (reader);
}

bool
cursor_is_open (const struct cursor *cursor)
{
  return cursor->queue != NULL;
}

/* Where the partition begins and ends. */
static int
cursor_watermarks (const struct cursor *cursor, int64_t *low, int64_t *high, struct error *err)
{
  struct kafka_producer *producer = cursor->reader->producer;
  *low = metadata_find_offset (producer, cursor->topic, cursor->partition,
                               RD_KAFKA_OFFSET_BEGINNING, err);
  if (*low == NO_OFFSET)
    return -1;
  *high =
      metadata_find_offset (producer, cursor->topic, cursor->partition, RD_KAFKA_OFFSET_END, err);
  return *high == NO_OFFSET ? -1 : 0;
}

/* The log ends before the place that we had read to: it isn't the one that we read. */
static void
cursor_note_anew (const struct cursor *cursor, int64_t end)
{
  client_of (cursor)->anew = cursor_name_of (cursor);
  log_warn ("log_anew", "topic=%s partition=%d read=%lld end=%lld", cursor_name_of (cursor),
            cursor->partition, (long long) cursor->next, (long long) end);
}

/* An end before what was read may be the word of one who doesn't know yet that he isn't the leader
 * any more: it is believed when it stays so. */
int
cursor_look_for_end (struct cursor *cursor, struct error *err)
{
  struct kafka_producer *producer = cursor->reader->producer;
  for (int64_t sure = clock_boot_ms () + SURE_MS;; kafka_serve (producer, AGAIN_MS))
    {
      int64_t end = metadata_find_offset (producer, cursor->topic, cursor->partition,
                                          RD_KAFKA_OFFSET_END, err);
      if (end == NO_OFFSET)
        return -1;
      cursor->end = end;
      if (end >= cursor->next)
        return 0;
      if (clock_boot_ms () >= sure)
        {
          cursor_note_anew (cursor, end);
          return client_check_logs (producer->client, err);
        }
      (void) kafka_look_for_leaders (producer, cursor->topic, LEADER_MS);
    }
}

static int
cursor_start_reading (struct cursor *cursor, int64_t offset, struct error *err)
{
  if (rd_kafka_consume_start_queue (cursor_topic_of (cursor), cursor->partition, offset,
                                    cursor->queue)
      == 0)
    return 0;
  return kafka_error (&client_of (cursor)->trouble, rd_kafka_last_error (), cursor_name_of (cursor),
                      err);
}

int
cursor_open (struct cursor *cursor, struct kafka_reader *reader, int topic, int32_t partition,
             int64_t from, struct error *err)
{
  int64_t low = 0;
  *cursor = (struct cursor){ .reader = reader, .topic = topic, .partition = partition };
  if (cursor_watermarks (cursor, &low, &cursor->end, err) != 0)
    return -1;
  /* A number and never "the beginning": for that librdkafka waits half a second. Who was farther
     than the end was so in another log: nothing of this one may be skipped. */
  cursor->next = from == FROM_END ? cursor->end : from < low || from > cursor->end ? low : from;
  cursor->queue = rd_kafka_queue_new (reader->handle);
  uint64_t one = 1;
  rd_kafka_queue_io_event_enable (cursor->queue, reader->producer->client->wake_fd, &one,
                                  sizeof one);
  if (cursor_start_reading (cursor, cursor->next, err) == 0)
    return 0;
  rd_kafka_queue_destroy (cursor->queue);
  cursor->queue = NULL;
  return -1;
}

void
cursor_close (struct cursor *cursor)
{
  if (cursor->queue == NULL)
    return;
  (void) rd_kafka_consume_stop (cursor_topic_of (cursor), cursor->partition);
  rd_kafka_queue_destroy (cursor->queue);
  buffer_release (&cursor->unpacked);
  *cursor = (struct cursor){ 0 };
}

/* What we read was deleted by retention: goes on at what is left. Or the log ends before the place
 * that we had read to: it isn't the one that we read. Then all of it is read, and whoever has
 * believed the other one must end (client_check_logs). */
static void
cursor_restart (struct cursor *cursor)
{
  struct error err = ERROR_INIT;
  int64_t low = 0;
  int64_t high = 0;

  if (cursor_watermarks (cursor, &low, &high, &err) != 0)
    {
      log_failure (LOG_WARN, "read_failed", &err, "topic=%s partition=%d", cursor_name_of (cursor),
                   cursor->partition);
      return;
    }
  bool anew = cursor->next > high;
  int64_t next = cursor->next < low || anew ? low : cursor->next;
  if (anew)
    cursor_note_anew (cursor, high);
  else
    log_warn ("records_lost", "topic=%s partition=%d from=%lld to=%lld", cursor_name_of (cursor),
              cursor->partition, (long long) cursor->next, (long long) next);
  (void) rd_kafka_consume_stop (cursor_topic_of (cursor), cursor->partition);
  cursor->next = next;
  if (cursor_start_reading (cursor, next, &err) != 0)
    log_failure (LOG_ERROR, "read_failed", &err, NULL);
}

/* Takes MESSAGE out of the frame that it came in, when it is signed as it must be. What can't be is
 * left for its decoder to refuse; false when it has to be read once more, because the schema
 * registry is away or refuses us. */
static bool
record_unpack (struct cursor *cursor, const rd_kafka_message_t *message)
{
  struct error err = ERROR_INIT;
  const struct bytes raw = { message->payload, message->len };
  cursor->payload = (struct bytes){ 0 };
  error_clear (&cursor->refused);
  if (trust_judge (&client_of (cursor)->trust, cursor->topic, cursor_name_of (cursor), message,
                   &cursor->refused)
      != 0)
    return true;
  cursor->payload = raw;
  if (!kafka_is_packed (cursor->topic)
      || wire_unpack (client_of (cursor)->registry, &cursor->payload, &cursor->unpacked, &err) == 0)
    return true;
  cursor->payload = raw;
  auto_free char *reason = text_log (err.message);
  log_warn (err.class == ERROR_USER ? "record_unreadable" : "registry_unavailable",
            "topic=%s partition=%d offset=%lld reason=%s", cursor_name_of (cursor),
            cursor->partition, (long long) message->offset, reason);
  return err.class == ERROR_USER;
}

void
cursor_step_back (struct cursor *cursor, const rd_kafka_message_t *message)
{
  struct error err = ERROR_INIT;
  (void) rd_kafka_consume_stop (cursor_topic_of (cursor), cursor->partition);
  cursor->next = message->offset;
  cursor->stuck_until = clock_boot_ms () + REGISTRY_MS;
  if (cursor_start_reading (cursor, cursor->next, &err) != 0)
    log_failure (LOG_ERROR, "read_failed", &err, NULL);
}

/* As cursor_next, waiting for up to TIMEOUT_MS. */
static int
next_within (struct cursor *cursor, int timeout_ms, rd_kafka_message_t **message)
{
  if (cursor->stuck_until > clock_boot_ms ())
    {
      (void) poll (NULL, 0, timeout_ms);
      return 0;
    }
  for (;;)
    {
      rd_kafka_message_t *got = rd_kafka_consume_queue (cursor->queue, timeout_ms);
      if (got == NULL)
        return 0;
      if (got->err == RD_KAFKA_RESP_ERR_NO_ERROR && !record_unpack (cursor, got))
        {
          cursor_step_back (cursor, got);
          rd_kafka_message_destroy (got);
          return 0;
        }
      cursor->denied = access_is_denied (got->err);
      if (got->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        {
          cursor->next = got->offset + 1;
          *message = got;
          return 1;
        }
      rd_kafka_resp_err_t code = got->err;
      int64_t offset = got->offset;
      rd_kafka_message_destroy (got);
      if (code == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        {
          if (offset > cursor->next) /* offsets aren't dense */
            cursor->next = offset;
          return 0;
        }
      if (code == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE
          || code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
        cursor_restart (cursor);
      else if (cursor->denied)
        {
          struct error err = ERROR_INIT;
          (void) access_lacks (client_of (cursor), "Read", "topic", cursor_name_of (cursor), &err);
          if (!cursor->reader->silent)
            log_failure (LOG_ERROR, "read_denied", &err, "partition=%d", cursor->partition);
          return 0;
        }
      else
        log_info ("read_error", "topic=%s partition=%d reason=%s", cursor_name_of (cursor),
                  cursor->partition, rd_kafka_err2name (code));
    }
}

int
cursor_next (struct cursor *cursor, rd_kafka_message_t **message)
{
  return next_within (cursor, 0, message);
}

int
cursor_next_before_end (struct cursor *cursor, rd_kafka_message_t **message, struct error *err)
{
  struct kafka_producer *producer = cursor->reader->producer;
  int64_t give_up = clock_boot_ms () + kafka_at_most (producer->client, STALL_MS);
  if (client_check_logs (producer->client, err) != 0)
    return -1;
  while (!cursor_is_at_end (cursor))
    {
      int got = next_within (cursor, STEP_MS, message);
      if (client_check_logs (producer->client, err) != 0) /* MESSAGE is of the new log */
        {
          auto_message_ (message);
          *message = NULL;
          return -1;
        }
      if (got == 1)
        return 1;
      if (cursor->denied)
        return access_lacks (producer->client, "Read", "topic", cursor_name_of (cursor), err);
      kafka_serve (producer, 0);
      if (clock_boot_ms () >= give_up)
        return kafka_timeout (&producer->client->trouble, cursor_name_of (cursor), err);
    }
  return 0;
}

/* Whether the tables' own reader reads TOPIC, or will. */
static bool
is_of_tables (int topic)
{
  return topic == TOPIC_JOBS || topic == TOPIC_LEASES || topic == TOPIC_CONTROL
         || topic == TOPIC_STATUS;
}

int
record_read (struct kafka_record *record, struct kafka_reader *reader, int topic, int32_t partition,
             int64_t offset, struct error *err)
{
  if (is_of_tables (topic)
      && (record->own = kafka_reader_open (reader->producer, NULL, err)) == NULL)
    return -1;
  if (cursor_open (&record->cursor, record->own != NULL ? record->own : reader, topic, partition,
                   offset, err)
      != 0)
    return -1;
  int got = cursor_next_before_end (&record->cursor, &record->message, err);
  return got == 1 ? record->message->offset == offset : got;
}

void
record_release (struct kafka_record *record)
{
  auto_message_ (&record->message);
  cursor_close (&record->cursor);
  kafka_reader_close (record->own);
}

rd_kafka_resp_err_t
kafka_commit (struct kafka_reader *reader, rd_kafka_topic_partition_list_t *list, int wait_ms)
{
  if (wait_ms == 0)
    return rd_kafka_commit (reader->handle, list, 1);
  /* rd_kafka_commit itself would wait for as long as brokers are away. */
  rd_kafka_queue_t *answers = rd_kafka_queue_new (reader->handle);
  rd_kafka_resp_err_t code = rd_kafka_commit_queue (reader->handle, list, answers, NULL, NULL);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
    {
      rd_kafka_event_t *event = rd_kafka_queue_poll (answers, wait_ms);
      code = event == NULL ? RD_KAFKA_RESP_ERR__TIMED_OUT : rd_kafka_event_error (event);
      rd_kafka_event_destroy (event);
    }
  rd_kafka_queue_destroy (answers);
  return code;
}

rd_kafka_resp_err_t
kafka_committed (struct kafka_reader *reader, rd_kafka_topic_partition_list_t *list)
{
  int64_t patience = kafka_at_most (reader->producer->client, QUERY_MS);
  for (int64_t end = clock_boot_ms () + patience;; kafka_serve (reader->producer, AGAIN_MS))
    {
      rd_kafka_resp_err_t code = rd_kafka_committed (reader->handle, list, (int) patience);
      if (!kafka_may_pass (code) || clock_boot_ms () >= end)
        return code;
    }
}

char *
message_key (const rd_kafka_message_t *message)
{
  return xstrndup (message->key == NULL ? "" : message->key,
                   message->key == NULL ? 0 : message->key_len);
}

int64_t
message_time (const rd_kafka_message_t *message)
{
  rd_kafka_timestamp_type_t type;
  int64_t time = rd_kafka_message_timestamp (message, &type);
  return time < 0 ? 0 : time;
}
