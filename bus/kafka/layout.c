/* Over how many partitions of events the jobs of a bus are spread. */
#include "bus/kafka/layout.h"

#include "bus/kafka/client.h"
#include "bus/kafka/metadata.h"
#include "bus/kafka/producer.h"
#include "bus/kafka/topic_names.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "schemas/codec.h"

#include <string.h>
#include <sys/random.h>

enum
{
  SAY_MS = 600000,   /* without a word, and one of the services says the number again */
  ANSWER_MS = 10000, /* from one answer to the next */
  LOOK_UP_MS = 10000,
};

static const char layout_key[] = "layout/events";

/* The number that KEY and CLAIM are word of; 0: they aren't. */
static int32_t
layout_number (const char *key, const struct claim *claim)
{
  bool is_word = strcmp (key, layout_key) == 0 && claim->kind == CLAIM_UNKNOWN;
  return is_word && claim->starts <= INT32_MAX ? (int32_t) claim->starts : 0;
}

/* Of many services the one whose time comes first speaks for all. */
static int64_t
layout_word_is_due (void)
{
  uint16_t salt = 0;
  (void) getrandom (&salt, sizeof salt, 0);
  return clock_boot_ms () + SAY_MS + (int64_t) SAY_MS * salt / UINT16_MAX;
}

void
layout_take_in (struct kafka_layout *layout, const char *key, const struct claim *claim)
{
  struct kafka_topics *topics = &layout->producer->client->topics;
  int32_t number = layout_number (key, claim);
  if (number <= 0)
    return;
  if (topics->spread == 0)
    topics->spread = number;
  layout->other = number == topics->spread ? 0 : number;
  if (layout->other == 0)
    layout->say_at = layout_word_is_due ();
}

/* ---- our own word ----------------------------------------------------------------------- */

static int
layout_say (struct kafka_layout *layout, int32_t number, struct delivery_report *report,
            struct error *err)
{
  auto_buffer struct buffer payload = { 0 };
  const struct claim claim = { .kind = CLAIM_UNKNOWN,
                               .writer = layout->producer->client->writer,
                               .starts = (uint32_t) number };
  layout->say_at = layout_word_is_due ();
  if (client_check_logs (layout->producer->client, err) != 0
      || codec_encode_claim (&claim, &payload, err) != 0)
    return -1;
  return kafka_send (layout->producer, TOPIC_LEASES, 0, layout_key, &payload, report, err);
}

int
layout_say_first (struct kafka_layout *layout, struct error *err)
{
  auto_delivery_report struct delivery_report *report = delivery_report_new ();
  int32_t number = layout->producer->client->topics.partitions[TOPIC_EVENTS];
  if (layout_say (layout, number, report, err) != 0)
    return -1;
  return kafka_await (layout->producer, report, "saying how many partitions events have", err);
}

static void
layout_warn (struct kafka_layout *layout)
{
  const struct kafka_topics *topics = &layout->producer->client->topics;
  int32_t have = topics->partitions[TOPIC_EVENTS];
  if (have <= topics->spread || have == layout->warned_of)
    return;
  layout->warned_of = have;
  log_warn ("partitions_unused", "topic=%s partitions=%d used=%d", topics->names[TOPIC_EVENTS],
            have, topics->spread);
}

/* Of the last word that was read; it is answered not too often, should one fleet have two numbers.
 */
static bool
layout_answers (struct kafka_layout *layout)
{
  const struct kafka_topics *topics = &layout->producer->client->topics;
  int64_t now = clock_boot_ms ();
  if (layout->other == 0 || now < layout->answer_at)
    return false;
  log_warn ("layout_mismatch", "topic=%s theirs=%d used=%d", topics->names[TOPIC_EVENTS],
            layout->other, topics->spread);
  layout->answer_at = now + ANSWER_MS;
  return true;
}

void
layout_pump (struct kafka_layout *layout)
{
  struct error err = ERROR_INIT;
  int32_t number = layout->producer->client->topics.spread;
  if (!layout->says || number == 0 || layout->producer->client->anew != NULL)
    return;
  layout_warn (layout);
  if ((layout_answers (layout) || clock_boot_ms () >= layout->say_at)
      && layout_say (layout, number, &layout->producer->quiet, &err) != 0)
    log_failure (LOG_WARN, "layout_unsaid", &err, NULL);
}

/* ---- asked for it ----------------------------------------------------------------------- */

int
layout_check (struct kafka_layout *layout, struct error *err)
{
  struct kafka_client *client = layout->producer->client;
  const struct kafka_topics *topics = &client->topics;
  if (topics->partitions[TOPIC_EVENTS] < topics->spread /* as we know it; they may be new */
      && kafka_look_up_topics (layout->producer, (int) kafka_at_most (client, LOOK_UP_MS), err)
             != 0)
    return -1;
  return topics->partitions[TOPIC_EVENTS] >= topics->spread
             ? 0
             : error_set (err, ERROR_USER,
                          "%s: %s has %d partitions, jobs are spread over %d: add the missing ones "
                          "with kafka-topics.sh --alter",
                          client->url, topics->names[TOPIC_EVENTS],
                          topics->partitions[TOPIC_EVENTS], topics->spread);
}

int32_t
layout_read (struct kafka_producer *producer, struct error *err)
{
  struct cursor cursor = { 0 };
  struct kafka_reader *reader = kafka_reader_open (producer, NULL, err);
  int outcome =
      reader == NULL ? -1 : cursor_open (&cursor, reader, TOPIC_LEASES, 0, FROM_START, err);
  int32_t number = 0;
  if (reader != NULL)
    reader->silent = true;
  while (outcome >= 0 && number <= 0)
    {
      auto_message rd_kafka_message_t *message = NULL;
      auto_claim struct claim claim = { 0 };
      outcome = cursor_next_before_end (&cursor, &message, err);
      if (outcome <= 0)
        break;
      auto_free char *key = message_key (message);
      if (message->payload != NULL && codec_decode_claim (cursor.payload, &claim, NULL) == 0)
        number = layout_number (key, &claim);
    }
  cursor_close (&cursor);
  kafka_reader_close (reader);
  return outcome < 0 ? -1 : number;
}
