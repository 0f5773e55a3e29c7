/* Dead letters: records that nobody can read or follow, as they came, with where they were and why
 * as headers. */
#include "bus/kafka/dead_letters.h"

#include "bus/dead_letter.h"
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

enum
{
  AGAIN_MS = 5000,    /* between two tries of dead letters that were refused */
  LETTERS_MAX = 1000, /* on their way: more than that are waited for … */
  LETTERS_MS = 5000,  /* … at most for so long */
  AWAIT_STEP_MS = 20,
};

/* ---- writing ---------------------------------------------------------------------------- */

static void
dead_letter_add_header (rd_kafka_headers_t *headers, const char *name, const char *value)
{
  (void) rd_kafka_header_add (headers, name, -1, value, -1);
}

static void
add_number (rd_kafka_headers_t *headers, const char *name, int64_t number)
{
  char text[24];
  (void) snprintf (text, sizeof text, "%" PRId64, number);
  dead_letter_add_header (headers, name, text);
}

/* The record's own headers, and ours. */
static rd_kafka_headers_t *
dead_letter_headers (const struct kafka_dead_letters *letters, const struct cursor *cursor,
                     const rd_kafka_message_t *message, const char *reason, const char *why)
{
  rd_kafka_headers_t *given = NULL;
  rd_kafka_headers_t *headers =
      rd_kafka_message_headers (message, &given) == RD_KAFKA_RESP_ERR_NO_ERROR
          ? rd_kafka_headers_copy (given)
          : rd_kafka_headers_new (8);
  dead_letter_add_header (headers, DEAD_LETTER_HEADER "topic",
                          letters->producer->client->topics.names[cursor->topic]);
  add_number (headers, DEAD_LETTER_HEADER "partition", cursor->partition);
  add_number (headers, DEAD_LETTER_HEADER "offset", message->offset);
  add_number (headers, DEAD_LETTER_HEADER "time", message_time (message));
  if (message->key != NULL)
    (void) rd_kafka_header_add (headers, DEAD_LETTER_HEADER "key", -1, message->key,
                                (ssize_t) message->key_len);
  dead_letter_add_header (headers, DEAD_LETTER_HEADER "reason", reason);
  dead_letter_add_header (headers, DEAD_LETTER_HEADER "error", why);
  return headers;
}

/* TOPIC/PARTITION/OFFSET of MESSAGE. The caller frees. */
static char *
dead_letter_name_of (const struct kafka_dead_letters *letters, const struct cursor *cursor,
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
  auto_free char *name = dead_letter_name_of (letters, cursor, message);
  rd_kafka_headers_t *headers = dead_letter_headers (letters, cursor, message, reason, why);
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
dead_letter_reason_of (const struct error *why)
{
  return why->code == KEYRING_UNSIGNED ? DEAD_LETTER_UNSIGNED
         : why->code == KEYRING_BAD    ? DEAD_LETTER_BAD_SIGNATURE
                                       : DEAD_LETTER_UNDECODABLE;
}

static void
dead_letter_write (struct kafka_dead_letters *letters, const struct cursor *cursor,
                   const rd_kafka_message_t *message, const char *reason, const struct error *why)
{
  auto_free char *name = dead_letter_name_of (letters, cursor, message);
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
  auto_record struct kafka_record record = { 0 };
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

/* ---- the rule --------------------------------------------------------------------------- */

bool
dead_letters_judge_job (const struct kafka_dead_letters *letters, int64_t offset)
{
  return letters->judges_jobs && offset >= letters->jobs_from;
}

static bool
dead_letters_keep (const struct kafka_dead_letters *letters, int topic, int64_t offset)
{
  switch (kafka_topic_kind (topic))
    {
    case TOPIC_SHARDS:
    case TOPIC_CLAIMS:
      return true;
    case TOPIC_JOBS:
      return dead_letters_judge_job (letters, offset);
    case TOPIC_LEASES:
      return letters->judges_jobs;
    case TOPIC_EVENTS:
    case TOPIC_STATUS:
    case TOPIC_CONTROL:
      return letters->follows;
    case TOPIC_DEAD:
    case TOPICS:
      break;
    }
  return false;
}

static void
dead_letters_write_unread (struct kafka_dead_letters *letters, const struct cursor *cursor,
                           const rd_kafka_message_t *message, const struct error *why)
{
  const struct error *cause = true_cause (cursor, why);
  dead_letter_write (letters, cursor, message, dead_letter_reason_of (cause), cause);
}

void
dead_letters_refuse (struct kafka_dead_letters *letters, const struct cursor *cursor,
                     const rd_kafka_message_t *message, const struct error *why)
{
  if (dead_letters_keep (letters, cursor->topic, message->offset))
    {
      dead_letters_write_unread (letters, cursor, message, why);
      return;
    }
  auto_free char *reason = text_log (true_cause (cursor, why)->message);
  log_info ("record_skipped", "topic=%s partition=%d offset=%lld reason=%s",
            letters->producer->client->topics.names[cursor->topic], cursor->partition,
            (long long) message->offset, reason);
}

void
dead_letters_refuse_conflict (struct kafka_dead_letters *letters, const struct cursor *cursor,
                              const rd_kafka_message_t *message, const struct error *why)
{
  if (dead_letters_judge_job (letters, message->offset))
    dead_letter_write (letters, cursor, message, DEAD_LETTER_CONFLICT, why);
}

int
dead_letters_refuse_at (struct kafka_dead_letters *letters, int topic, int32_t partition,
                        int64_t offset, const struct error *why, struct error *err)
{
  auto_record struct kafka_record record = { 0 };
  int got = record_read (&record, letters->reader, topic, partition, offset, err);
  if (got == 1)
    dead_letters_write_unread (letters, &record.cursor, record.message, why);
  return got;
}
