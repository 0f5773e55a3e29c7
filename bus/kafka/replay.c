/* Dead letters listed, and sent again to where they were. */
#include "bus/kafka/replay.h"

#include "bus/dead_letter.h"
#include "bus/kafka/client.h"
#include "bus/kafka/producer.h"
#include "bus/kafka/queues.h"
#include "bus/kafka/topic_names.h"
#include "bus/kafka/trouble.h"

#include "common/memory.h"

#include <stdlib.h>
#include <string.h>

static const char *const our_headers[] = {
  DEAD_LETTER_HEADER "topic", DEAD_LETTER_HEADER "partition", DEAD_LETTER_HEADER "offset",
  DEAD_LETTER_HEADER "time",  DEAD_LETTER_HEADER "key",       DEAD_LETTER_HEADER "reason",
  DEAD_LETTER_HEADER "error",
};

/* ---- reading ---------------------------------------------------------------------------- */

struct letter_list
{
  struct dead_letter *items;
  size_t count;
};

static void
letter_list_release (struct letter_list *list)
{
  for (size_t i = 0; i < list->count; i++)
    dead_letter_release (&list->items[i]);
  free (list->items);
}

/* The header NAME as text, "" when there is none. The caller frees. */
static char *
header_text (const rd_kafka_message_t *message, const char *name)
{
  rd_kafka_headers_t *headers = NULL;
  const void *value = NULL;
  size_t size = 0;
  if (rd_kafka_message_headers (message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR
      || rd_kafka_header_get_last (headers, name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
    return xstrdup ("");
  return xstrndup (value, size);
}

static struct dead_letter *
letter_list_find (const struct letter_list *list, const char *name)
{
  for (size_t i = 0; i < list->count; i++)
    if (strcmp (list->items[i].name, name) == 0)
      return &list->items[i];
  return NULL;
}

/* The first record of a name is the letter; one without a value says that it was sent again. */
static void
letter_list_apply (struct letter_list *list, const rd_kafka_message_t *message)
{
  auto_free char *name = message_key (message);
  struct dead_letter *known = letter_list_find (list, name);
  if (message->payload == NULL)
    {
      if (known == NULL)
        return;
      dead_letter_release (known);
      *known = list->items[--list->count];
      return;
    }
  if (known != NULL)
    return;
  auto_free char *partition = header_text (message, DEAD_LETTER_HEADER "partition");
  auto_free char *time = header_text (message, DEAD_LETTER_HEADER "time");
  auto_free char *reason =
      header_text (message, DEAD_LETTER_HEADER "reason"); /* older ones have none */
  struct dead_letter letter = { .name = take (&name),
                                .position = message->offset,
                                .topic = header_text (message, DEAD_LETTER_HEADER "topic"),
                                .partition = (int32_t) strtol (partition, NULL, 10),
                                .time = strtoll (time, NULL, 10),
                                .key = header_text (message, DEAD_LETTER_HEADER "key"),
                                .reason =
                                    xstrdup (reason[0] == '\0' ? DEAD_LETTER_UNDECODABLE : reason),
                                .error = header_text (message, DEAD_LETTER_HEADER "error") };
  buffer_append (&letter.payload, message->payload, message->len);
  list->items = xrealloc (list->items, list->count + 1, sizeof *list->items);
  list->items[list->count++] = letter;
}

static int
by_time (const void *a, const void *b)
{
  const struct dead_letter *first = a;
  const struct dead_letter *second = b;
  return (first->time > second->time) - (first->time < second->time);
}

static int
letter_list_read (struct kafka_dead_letters *letters, struct letter_list *list, struct error *err)
{
  struct cursor cursor = { 0 };
  if (cursor_open (&cursor, letters->reader, TOPIC_DEAD, 0, FROM_START, err) != 0)
    return -1;
  int got = 0;
  do
    {
      auto_message rd_kafka_message_t *message = NULL;
      got = cursor_next_before_end (&cursor, &message, err);
      if (got == 1)
        letter_list_apply (list, message);
    }
  while (got == 1);
  cursor_close (&cursor);
  if (list->count > 0)
    qsort (list->items, list->count, sizeof *list->items, by_time);
  return got;
}

int
dead_letters_list (struct kafka_dead_letters *letters,
                   int (*each) (void *context, const struct dead_letter *letter), void *context,
                   struct error *err)
{
  struct letter_list list = { 0 };
  int result = letter_list_read (letters, &list, err);
  for (size_t i = 0; result == 0 && i < list.count; i++)
    result = each (context, &list.items[i]);
  letter_list_release (&list);
  return result;
}

/* ---- sending again ---------------------------------------------------------------------- */

/* The headers that the record of LETTER came with, NULL for none; the caller frees. */
static rd_kafka_headers_t *
given_headers (const rd_kafka_message_t *letter)
{
  rd_kafka_headers_t *all = NULL;
  if (rd_kafka_message_headers (letter, &all) != RD_KAFKA_RESP_ERR_NO_ERROR)
    return NULL;
  rd_kafka_headers_t *given = rd_kafka_headers_copy (all);
  for (size_t i = 0; i < sizeof our_headers / sizeof *our_headers; i++)
    (void) rd_kafka_header_remove (given, our_headers[i]);
  return given;
}

/* Sends LETTER's record to where it was, as it came. */
static int
letter_send_again (struct kafka_dead_letters *letters, int topic, const struct dead_letter *letter,
                   struct delivery_report *report, struct error *err)
{
  auto_record struct kafka_record record = { 0 };
  int got = record_read (&record, letters->reader, TOPIC_DEAD, 0, letter->position, err);
  if (got != 1)
    return got < 0 ? -1 : error_set (err, ERROR_USER, "%s: this letter is gone", letter->name);
  const char *key = letter->key[0] == '\0' ? NULL : letter->key;
  rd_kafka_headers_t *headers = given_headers (record.message);
  rd_kafka_resp_err_t code = rd_kafka_producev (
      letters->producer->handle, RD_KAFKA_V_RKT (letters->producer->outgoing[topic]),
      RD_KAFKA_V_PARTITION (letter->partition), RD_KAFKA_V_MSGFLAGS (RD_KAFKA_MSG_F_COPY),
      RD_KAFKA_V_KEY (key, strlen (letter->key)),
      RD_KAFKA_V_VALUE (record.message->payload, record.message->len), RD_KAFKA_V_HEADERS (headers),
      RD_KAFKA_V_OPAQUE (report), RD_KAFKA_V_END);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
    {
      report->pending++;
      return kafka_await (letters->producer, report, "sending a letter again", err);
    }
  if (headers != NULL)
    rd_kafka_headers_destroy (headers);
  return kafka_error (&letters->producer->client->trouble, code, letter->topic, err);
}

int
dead_letters_replay (struct kafka_dead_letters *letters, const struct dead_letter *letter,
                     struct error *err)
{
  static const char shards[] = ".shards.";
  const char *queue = strstr (letter->topic, shards);
  if (queue != NULL && queues_need (letters->queues, queue + strlen (shards), err) == NULL)
    return -1;
  int topic = 0;
  while (topic < letters->producer->client->topics.count
         && strcmp (letters->producer->client->topics.names[topic], letter->topic) != 0)
    topic++;
  if (topic == letters->producer->client->topics.count)
    return error_set (err, ERROR_USER, "%s: %s is no topic of this bus", letter->name,
                      letter->topic);
  auto_delivery_report struct delivery_report *report = delivery_report_new ();
  const struct bytes nothing = { 0 };
  if (letter_send_again (letters, topic, letter, report, err) != 0
      || kafka_send_as_is (letters->producer, TOPIC_DEAD, 0, letter->name, nothing, report, err)
             != 0)
    return -1;
  return kafka_await (letters->producer, report, "taking a letter back", err);
}
