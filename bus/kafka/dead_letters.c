/* Dead letters: records that nobody can read or follow, as they came, with where they were and why
 * as headers. */
#include "bus/kafka/dead_letters.h"

#include "bus/kafka/client.h"
#include "bus/kafka/kafka.h"
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
make_headers (const struct kafka_bus *bus, const struct cursor *cursor,
              const rd_kafka_message_t *message, const char *reason, const char *why)
{
  rd_kafka_headers_t *given = NULL;
  rd_kafka_headers_t *headers =
      rd_kafka_message_headers (message, &given) == RD_KAFKA_RESP_ERR_NO_ERROR
          ? rd_kafka_headers_copy (given)
          : rd_kafka_headers_new (8);
  add_header (headers, HEADER "topic", bus->topics.names[cursor->topic]);
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
name_of (const struct kafka_bus *bus, const struct cursor *cursor,
         const rd_kafka_message_t *message)
{
  return xasprintf ("%s/%d/%lld", bus->topics.names[cursor->topic], cursor->partition,
                    (long long) message->offset);
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
write_letter (struct kafka_bus *bus, const struct cursor *cursor, const rd_kafka_message_t *message,
              const char *reason, const char *why)
{
  auto_free char *name = name_of (bus, cursor, message);
  rd_kafka_headers_t *headers = make_headers (bus, cursor, message, reason, why);
  bus->letters.pending++;
  rd_kafka_resp_err_t code = rd_kafka_producev (
      bus->producer, RD_KAFKA_V_RKT (bus->outgoing[TOPIC_DEAD]), RD_KAFKA_V_PARTITION (0),
      RD_KAFKA_V_MSGFLAGS (RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY (name, strlen (name)),
      RD_KAFKA_V_VALUE (message->payload == NULL ? "" : message->payload, message->len),
      RD_KAFKA_V_HEADERS (headers), RD_KAFKA_V_OPAQUE (&bus->letters), RD_KAFKA_V_END);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
    return;
  bus->letters.pending--;
  bus->letters.failed++;
  bus->letters.why = code;
  rd_kafka_headers_destroy (headers);
}

/* Whoever floods a topic with junk is slowed down, and costs no more memory than some. */
static void
wait_for_letters (struct kafka_bus *bus)
{
  int64_t end = clock_boot_ms () + kafka_at_most (bus, LETTERS_MS);
  if (bus->letters.pending < LETTERS_MAX)
    return;
  while (bus->letters.pending > 0 && clock_boot_ms () < end)
    kafka_serve (bus, AWAIT_STEP_MS);
  if (bus->letters.pending == 0 && bus->letters.failed == 0)
    dead_letters_forget (bus);
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
dead_letter_write_as (struct kafka_bus *bus, const struct cursor *cursor,
                      const rd_kafka_message_t *message, const char *reason,
                      const struct error *why)
{
  auto_free char *name = name_of (bus, cursor, message);
  auto_free char *text = text_log (why->message);
  dead_letter_count (bus->metrics, reason);
  log_error ("dead_lettered", "record=%s reason=%s error=%s", name, reason, text);
  struct unconfirmed *letter = xcalloc (1, sizeof *letter);
  *letter = (struct unconfirmed){ .topic = cursor->topic,
                                  .partition = cursor->partition,
                                  .offset = message->offset,
                                  .reason = xstrdup (reason),
                                  .why = xstrdup (why->message) };
  TAILQ_INSERT_TAIL (&bus->unconfirmed, letter, links);
  write_letter (bus, cursor, message, reason, why->message);
  wait_for_letters (bus);
}

static void
write_again (struct kafka_bus *bus, const struct unconfirmed *letter)
{
  struct error err = ERROR_INIT;
  auto_record struct record record = { 0 };
  int got = record_read (&record, bus, letter->topic, letter->partition, letter->offset, &err);
  if (got == 1)
    write_letter (bus, &record.cursor, record.message, letter->reason, letter->why);
  else if (got < 0)
    bus->letters.failed++;
}

void
dead_letters_forget (struct kafka_bus *bus)
{
  struct unconfirmed *letter = NULL;
  while ((letter = TAILQ_FIRST (&bus->unconfirmed)) != NULL)
    {
      TAILQ_REMOVE (&bus->unconfirmed, letter, links);
      free (letter->reason);
      free (letter->why);
      free (letter);
    }
}

bool
dead_letters_are_safe (struct kafka_bus *bus)
{
  int64_t now = clock_boot_ms ();
  if (bus->letters.pending > 0)
    return false;
  if (bus->letters.failed == 0)
    {
      dead_letters_forget (bus);
      return true;
    }
  if (now - bus->written_again < AGAIN_MS)
    return false;
  log_error ("dead_letter_write_failed", "count=%d reason=%s", (int) bus->letters.failed,
             rd_kafka_err2name (bus->letters.why));
  bus->written_again = now;
  bus->letters.failed = 0;
  const struct unconfirmed *letter = NULL;
  TAILQ_FOREACH (letter, &bus->unconfirmed, links)
    write_again (bus, letter);
  return false;
}

void
dead_letter_write (struct kafka_bus *bus, const struct cursor *cursor,
                   const rd_kafka_message_t *message, const struct error *why)
{
  const struct error *cause = true_cause (cursor, why);
  dead_letter_write_as (bus, cursor, message, reason_of (cause), cause);
}

void
kafka_log_skipped (const struct cursor *cursor, const rd_kafka_message_t *message,
                   const struct error *why)
{
  auto_free char *reason = text_log (true_cause (cursor, why)->message);
  log_info ("record_skipped", "topic=%s partition=%d offset=%lld reason=%s",
            cursor->reader->bus->topics.names[cursor->topic], cursor->partition,
            (long long) message->offset, reason);
}

void
kafka_pass_by (struct kafka_bus *bus, const struct cursor *cursor,
               const rd_kafka_message_t *message, const struct error *why)
{
  if (bus->keeps_dead)
    dead_letter_write (bus, cursor, message, why);
  else
    kafka_log_skipped (cursor, message, why);
}

int
dead_letter_write_at (struct kafka_bus *bus, int topic, int32_t partition, int64_t offset,
                      const struct error *why, struct error *err)
{
  auto_record struct record record = { 0 };
  int got = record_read (&record, bus, topic, partition, offset, err);
  if (got == 1)
    dead_letter_write (bus, &record.cursor, record.message, why);
  return got;
}

/* ---- reading ---------------------------------------------------------------------------- */

struct dead_letters
{
  struct dead_letter *items;
  size_t count;
};

static void
dead_letters_release (struct dead_letters *letters)
{
  for (size_t i = 0; i < letters->count; i++)
    dead_letter_release (&letters->items[i]);
  free (letters->items);
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
find (const struct dead_letters *letters, const char *name)
{
  for (size_t i = 0; i < letters->count; i++)
    if (strcmp (letters->items[i].name, name) == 0)
      return &letters->items[i];
  return NULL;
}

/* The first record of a name is the letter; one without a value says that it was sent again. */
static void
take_in (struct dead_letters *letters, const rd_kafka_message_t *message)
{
  auto_free char *name = message_key (message);
  struct dead_letter *known = find (letters, name);
  if (message->payload == NULL)
    {
      if (known == NULL)
        return;
      dead_letter_release (known);
      *known = letters->items[--letters->count];
      return;
    }
  if (known != NULL)
    return;
  auto_free char *partition = header_text (message, HEADER "partition");
  auto_free char *time = header_text (message, HEADER "time");
  auto_free char *reason = header_text (message, HEADER "reason"); /* older letters have none */
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
  letters->items = xrealloc (letters->items, letters->count + 1, sizeof *letters->items);
  letters->items[letters->count++] = letter;
}

static int
by_time (const void *a, const void *b)
{
  const struct dead_letter *first = a;
  const struct dead_letter *second = b;
  return (first->time > second->time) - (first->time < second->time);
}

static int
read_all (struct kafka_bus *bus, struct dead_letters *letters, struct error *err)
{
  struct cursor cursor = { 0 };
  if (cursor_open (&cursor, bus->reader, TOPIC_DEAD, 0, FROM_START, err) != 0)
    return -1;
  int got = 0;
  do
    {
      auto_message rd_kafka_message_t *message = NULL;
      got = cursor_next_before_end (&cursor, &message, err);
      if (got == 1)
        take_in (letters, message);
    }
  while (got == 1);
  cursor_close (&cursor);
  if (letters->count > 0)
    qsort (letters->items, letters->count, sizeof *letters->items, by_time);
  return got;
}

int
kafka_list_dead_letters (struct bus *base,
                         int (*each) (void *context, const struct dead_letter *letter),
                         void *context, struct error *err)
{
  struct dead_letters letters = { 0 };
  int result = read_all ((struct kafka_bus *) base, &letters, err);
  for (size_t i = 0; result == 0 && i < letters.count; i++)
    result = each (context, &letters.items[i]);
  dead_letters_release (&letters);
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
send_again (struct kafka_bus *bus, int topic, const struct dead_letter *letter,
            struct delivery_report *report, struct error *err)
{
  auto_record struct record record = { 0 };
  int got = record_read (&record, bus, TOPIC_DEAD, 0, letter->position, err);
  if (got != 1)
    return got < 0 ? -1 : error_set (err, ERROR_USER, "%s: this letter is gone", letter->name);
  const char *key = letter->key[0] == '\0' ? NULL : letter->key;
  rd_kafka_headers_t *headers = given_headers (record.message);
  rd_kafka_resp_err_t code = rd_kafka_producev (
      bus->producer, RD_KAFKA_V_RKT (bus->outgoing[topic]),
      RD_KAFKA_V_PARTITION (letter->partition), RD_KAFKA_V_MSGFLAGS (RD_KAFKA_MSG_F_COPY),
      RD_KAFKA_V_KEY (key, strlen (letter->key)),
      RD_KAFKA_V_VALUE (record.message->payload, record.message->len), RD_KAFKA_V_HEADERS (headers),
      RD_KAFKA_V_OPAQUE (report), RD_KAFKA_V_END);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
    {
      report->pending++;
      return kafka_await (bus, report, "sending a letter again", err);
    }
  if (headers != NULL)
    rd_kafka_headers_destroy (headers);
  return kafka_error (bus, code, letter->topic, err);
}

int
kafka_replay_dead_letter (struct bus *base, const struct dead_letter *letter, struct error *err)
{
  struct kafka_bus *bus = (struct kafka_bus *) base;
  static const char shards[] = ".shards.";
  const char *queue = strstr (letter->topic, shards);
  if (queue != NULL && queues_need (bus, queue + strlen (shards), err) == NULL)
    return -1;
  int topic = 0;
  while (topic < bus->topics.count && strcmp (bus->topics.names[topic], letter->topic) != 0)
    topic++;
  if (topic == bus->topics.count)
    return error_set (err, ERROR_USER, "%s: %s is no topic of this bus", letter->name,
                      letter->topic);
  auto_delivery_report struct delivery_report *report = delivery_report_new ();
  const struct bytes nothing = { 0 };
  if (send_again (bus, topic, letter, report, err) != 0
      || kafka_send_as_is (bus, TOPIC_DEAD, 0, letter->name, nothing, report, err) != 0)
    return -1;
  return kafka_await (bus, report, "taking a letter back", err);
}
