/* Dead letters: records that nobody can read or follow, as they came, with where they were and why
 * as headers. */
#include "bus/kafka/dead_letters.h"

#include "bus/kafka/client.h"
#include "bus/kafka/producer.h"
#include "bus/kafka/queues.h"
#include "bus/kafka/topic_names.h"
#include "bus/kafka/trouble.h"

#include "bus/kafka/keyring.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HEADER "shoal-"

enum
{
  AGAIN_MS = 5000,    /* between two tries of dead letters that were refused */
  LETTERS_MAX = 1000, /* on their way: more than that are waited for … */
  LETTERS_MS = 5000,  /* … at most for so long */
  AWAIT_STEP_MS = 20,
};

static const char *const our_headers[] = {
  HEADER "topic", HEADER "partition", HEADER "offset", HEADER "time",
  HEADER "key",   HEADER "reason",    HEADER "error",
};

/* ---- writing ---------------------------------------------------------------------------- */

static void
add_header (rd_kafka_headers_t *headers, const char *name, const char *value)
{
  (void) rd_kafka_header_add (headers, name, -1, value, -1);
}

static void
add_number (rd_kafka_headers_t *headers, const char *name, int64_t number)
{
  char text[24];
  (void) snprintf (text, sizeof text, "%" PRId64, number);
  add_header (headers, name, text);
}

/* The record's own headers, and ours. */
static rd_kafka_headers_t *
make_headers (const struct kafka_dead_letters *letters, const struct cursor *cursor,
              const rd_kafka_message_t *message, const char *reason, const char *why)
{
  rd_kafka_headers_t *given = NULL;
  rd_kafka_headers_t *headers =
      rd_kafka_message_headers (message, &given) == RD_KAFKA_RESP_ERR_NO_ERROR
          ? rd_kafka_headers_copy (given)
          : rd_kafka_headers_new (8);
  add_header (headers, HEADER "topic", letters->producer->client->topics.names[cursor->topic]);
  add_number (headers, HEADER "partition", cursor->partition);
  add_number (headers, HEADER "offset", message->offset);
  add_number (headers, HEADER "time", message_time (message));
  if (message->key != NULL)
    (void) rd_kafka_header_add (headers, HEADER "key", -1, message->key,
                                (ssize_t) message->key_len);
  add_header (headers, HEADER "reason", reason);
  add_header (headers, HEADER "error", why);
  return headers;
}

/* TOPIC/PARTITION/OFFSET of MESSAGE. The caller frees. */
static char *
name_of (const struct kafka_dead_letters *letters, const struct cursor *cursor,
         const rd_kafka_message_t *message)
{
  return xasprintf ("%s/%d/%lld", letters->producer->client->topics.names[cursor->topic],
                    cursor->partition, (long long) message->offset);
}

/* A dead letter that the brokers may not have yet. */
struct unconfirmed
{
  TAILQ_ENTRY (unconfirmed) links;
  int topic;
  int32_t partition;
  int64_t offset;
  char *reason;
  char *why;
};

static void
write_letter (struct kafka_dead_letters *letters, const struct cursor *cursor,
              const rd_kafka_message_t *message, const char *reason, const char *why)
{
  auto_free char *name = name_of (letters, cursor, message);
  rd_kafka_headers_t *headers = make_headers (letters, cursor, message, reason, why);
  letters->report.pending++;
  rd_kafka_resp_err_t code = rd_kafka_producev (
      letters->producer->handle, RD_KAFKA_V_RKT (letters->producer->outgoing[TOPIC_DEAD]),
      RD_KAFKA_V_PARTITION (0), RD_KAFKA_V_MSGFLAGS (RD_KAFKA_MSG_F_COPY),
      RD_KAFKA_V_KEY (name, strlen (name)),
      RD_KAFKA_V_VALUE (message->payload == NULL ? "" : message->payload, message->len),
      RD_KAFKA_V_HEADERS (headers), RD_KAFKA_V_OPAQUE (&letters->report), RD_KAFKA_V_END);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
    return;
  letters->report.pending--;
  letters->report.failed++;
  letters->report.why = code;
  rd_kafka_headers_destroy (headers);
}

/* Whoever floods a topic with junk is slowed down, and costs no more memory than some. */
static void
wait_for_letters (struct kafka_dead_letters *letters)
{
  int64_t end = clock_boot_ms () + kafka_at_most (letters->producer->client, LETTERS_MS);
  if (letters->report.pending < LETTERS_MAX)
    return;
  while (letters->report.pending > 0 && clock_boot_ms () < end)
    kafka_serve (letters->producer, AWAIT_STEP_MS);
  if (letters->report.pending == 0 && letters->report.failed == 0)
    dead_letters_forget (letters);
}

/* What wasn't signed is dead for that, whatever its reader made of it. */
static const struct error *
true_cause (const struct cursor *cursor, const struct error *why)
{
  return error_is_set (&cursor->refused) ? &cursor->refused : why;
}

static const char *
reason_of (const struct error *why)
{
  return why->code == KEYRING_UNSIGNED ? DEAD_LETTER_UNSIGNED
         : why->code == KEYRING_BAD    ? DEAD_LETTER_BAD_SIGNATURE
                                       : DEAD_LETTER_UNDECODABLE;
}

void
dead_letter_write_as (struct kafka_dead_letters *letters, const struct cursor *cursor,
                      const rd_kafka_message_t *message, const char *reason,
                      const struct error *why)
{
  auto_free char *name = name_of (letters, cursor, message);
  auto_free char *text = text_log (why->message);
  dead_letter_count (letters->producer->client->metrics, reason);
  log_error ("dead_lettered", "record=%s reason=%s error=%s", name, reason, text);
  struct unconfirmed *letter = xcalloc (1, sizeof *letter);
  *letter = (struct unconfirmed){ .topic = cursor->topic,
                                  .partition = cursor->partition,
                                  .offset = message->offset,
                                  .reason = xstrdup (reason),
                                  .why = xstrdup (why->message) };
  TAILQ_INSERT_TAIL (&letters->unconfirmed, letter, links);
  write_letter (letters, cursor, message, reason, why->message);
  wait_for_letters (letters);
}

static void
write_again (struct kafka_dead_letters *letters, const struct unconfirmed *letter)
{
  struct error err = ERROR_INIT;
  auto_record struct record record = { 0 };
  int got = record_read (&record, letters->reader, letter->topic, letter->partition, letter->offset,
                         &err);
  if (got == 1)
    write_letter (letters, &record.cursor, record.message, letter->reason, letter->why);
  else if (got < 0)
    letters->report.failed++;
}

void
dead_letters_forget (struct kafka_dead_letters *letters)
{
  struct unconfirmed *letter = NULL;
  while ((letter = TAILQ_FIRST (&letters->unconfirmed)) != NULL)
    {
      TAILQ_REMOVE (&letters->unconfirmed, letter, links);
      free (letter->reason);
      free (letter->why);
      free (letter);
    }
}

bool
dead_letters_are_safe (struct kafka_dead_letters *letters)
{
  int64_t now = clock_boot_ms ();
  if (letters->report.pending > 0)
    return false;
  if (letters->report.failed == 0)
    {
      dead_letters_forget (letters);
      return true;
    }
  if (now - letters->written_again < AGAIN_MS)
    return false;
  log_error ("dead_letter_write_failed", "count=%d reason=%s", (int) letters->report.failed,
             rd_kafka_err2name (letters->report.why));
  letters->written_again = now;
  letters->report.failed = 0;
  const struct unconfirmed *letter = NULL;
  TAILQ_FOREACH (letter, &letters->unconfirmed, links)
    write_again (letters, letter);
  return false;
}

void
dead_letter_write (struct kafka_dead_letters *letters, const struct cursor *cursor,
                   const rd_kafka_message_t *message, const struct error *why)
{
  const struct error *cause = true_cause (cursor, why);
  dead_letter_write_as (letters, cursor, message, reason_of (cause), cause);
}

void
kafka_log_skipped (const struct cursor *cursor, const rd_kafka_message_t *message,
                   const struct error *why)
{
  auto_free char *reason = text_log (true_cause (cursor, why)->message);
  log_info ("record_skipped", "topic=%s partition=%d offset=%lld reason=%s",
            cursor->reader->producer->client->topics.names[cursor->topic], cursor->partition,
            (long long) message->offset, reason);
}

void
kafka_pass_by (struct kafka_dead_letters *letters, const struct cursor *cursor,
               const rd_kafka_message_t *message, const struct error *why)
{
  if (letters->keeps)
    dead_letter_write (letters, cursor, message, why);
  else
    kafka_log_skipped (cursor, message, why);
}

int
dead_letter_write_at (struct kafka_dead_letters *letters, int topic, int32_t partition,
                      int64_t offset, const struct error *why, struct error *err)
{
  auto_record struct record record = { 0 };
  int got = record_read (&record, letters->reader, topic, partition, offset, err);
  if (got == 1)
    dead_letter_write (letters, &record.cursor, record.message, why);
  return got;
}

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
find (const struct letter_list *list, const char *name)
{
  for (size_t i = 0; i < list->count; i++)
    if (strcmp (list->items[i].name, name) == 0)
      return &list->items[i];
  return NULL;
}

/* The first record of a name is the letter; one without a value says that it was sent again. */
static void
take_in (struct letter_list *list, const rd_kafka_message_t *message)
{
  auto_free char *name = message_key (message);
  struct dead_letter *known = find (list, name);
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
  auto_free char *partition = header_text (message, HEADER "partition");
  auto_free char *time = header_text (message, HEADER "time");
  auto_free char *reason = header_text (message, HEADER "reason"); /* older list have none */
  struct dead_letter letter = { .name = take (&name),
                                .position = message->offset,
                                .topic = header_text (message, HEADER "topic"),
                                .partition = (int32_t) strtol (partition, NULL, 10),
                                .time = strtoll (time, NULL, 10),
                                .key = header_text (message, HEADER "key"),
                                .reason =
                                    xstrdup (reason[0] == '\0' ? DEAD_LETTER_UNDECODABLE : reason),
                                .error = header_text (message, HEADER "error") };
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
read_all (struct kafka_dead_letters *letters, struct letter_list *list, struct error *err)
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
        take_in (list, message);
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
  int result = read_all (letters, &list, err);
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
send_again (struct kafka_dead_letters *letters, int topic, const struct dead_letter *letter,
            struct delivery_report *report, struct error *err)
{
  auto_record struct record record = { 0 };
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
  if (send_again (letters, topic, letter, report, err) != 0
      || kafka_send_as_is (letters->producer, TOPIC_DEAD, 0, letter->name, nothing, report, err)
             != 0)
    return -1;
  return kafka_await (letters->producer, report, "taking a letter back", err);
}
