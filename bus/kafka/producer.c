/* The producer: records and their reports. */
#include "bus/kafka/producer.h"

#include "bus/kafka/access.h"
#include "bus/kafka/client.h"
#include "bus/kafka/keyring.h"
#include "bus/kafka/topic_names.h"
#include "bus/kafka/trouble.h"
#include "bus/kafka/trust.h"

#include "common/auto.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"

#include <stdlib.h>
#include <string.h>

enum
{
  FULL_WAIT_MS = 50,
  AWAIT_MS = 45000, /* a broker that fails over needs some seconds */
};

/* ---- reports ---------------------------------------------------------------------------- */

struct delivery_report *
delivery_report_new (void)
{
  return xcalloc (1, sizeof (struct delivery_report));
}

void
delivery_report_leave (struct delivery_report *report)
{
  if (report == NULL)
    return;
  if (report->pending == 0)
    free (report);
  else
    report->left = true;
}

static int
producer_topic_of (const struct kafka_topics *topics, const char *name)
{
  int at = 0;
  while (at < topics->count - 1 && strcmp (topics->names[at], name) != 0)
    at++;
  return at;
}

/* librdkafka calls it. */
static void
delivery_report_note (rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
  (void) handle;
  const struct kafka_client *client = opaque;
  struct delivery_report *report = message->_private;
  report->pending--;
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
    {
      report->failed++;
      report->why = message->err;
      report->topic = producer_topic_of (&client->topics, rd_kafka_topic_name (message->rkt));
    }
  else
    report->offset = message->offset;
  if (report->left && report->pending == 0)
    free (report);
}

/* ---- the handle ------------------------------------------------------------------------- */

/* WAIT_MS: for the last records to be acknowledged. */
void
producer_close (struct kafka_producer *producer, int wait_ms)
{
  if (producer->handle == NULL)
    return;
  (void) rd_kafka_flush (producer->handle, wait_ms);
  (void) rd_kafka_purge (producer->handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  (void) rd_kafka_flush (producer->handle, 100);
  for (int i = 0; i < producer->client->topics.count; i++)
    if (producer->outgoing[i] != NULL)
      rd_kafka_topic_destroy (producer->outgoing[i]);
  if (producer->reports != NULL)
    rd_kafka_queue_destroy (producer->reports);
  rd_kafka_destroy (producer->handle);
}

/* Whether clients of others read records of TOPIC: several of them can't read lz4 as they are
 * installed (kafkajs 2.2.4, kafka-python 3.0.12). */
static bool
is_read_by_others (int topic)
{
  return topic == TOPIC_EVENTS || topic == TOPIC_STATUS || topic == TOPIC_DEAD;
}

/* The settings of TOPIC, which rd_kafka_topic_new takes; NULL: those of all. What a user says of
 * compression goes for all topics. */
static rd_kafka_topic_conf_t *
producer_topic_conf (const struct kafka_producer *producer, int topic)
{
  const struct strlist *properties = &producer->client->properties;
  for (size_t i = 0; i + 1 < properties->count; i += 2)
    if (strncmp (properties->items[i], "compression.", strlen ("compression.")) == 0)
      return NULL;
  if (!is_read_by_others (topic))
    return NULL;
  rd_kafka_topic_conf_t *conf = rd_kafka_default_topic_conf_dup (producer->handle);
  char text[256];
  if (rd_kafka_topic_conf_set (conf, "compression.codec", "none", text, sizeof text)
      != RD_KAFKA_CONF_OK)
    abort ();
  return conf;
}

/* The first record to a topic that a handle hasn't used waits for a timer of a second unless the
 * topic was asked for. */
int
producer_open (struct kafka_producer *producer, struct error *err)
{
  producer->handle =
      kafka_handle (producer->client, RD_KAFKA_PRODUCER, NULL, delivery_report_note, err);
  if (producer->handle == NULL)
    return -1;
  for (int i = 0; i < producer->client->topics.count; i++)
    producer->outgoing[i] = rd_kafka_topic_new (producer->handle, producer->client->topics.names[i],
                                                producer_topic_conf (producer, i));
  uint64_t one = 1;
  producer->reports = rd_kafka_queue_get_main (producer->handle);
  rd_kafka_queue_io_event_enable (producer->reports, producer->client->wake_fd, &one, sizeof one);
  return 0;
}

/* An idempotent producer that has lost count of its sequence numbers (2.0.2 does when leaders
 * change twice in short time) sends nothing any more. Another one takes its place; what was on its
 * way counts as not sent: who waits for it sees by the epoch that it has to go again. */
void
kafka_renew_producer (struct kafka_producer *producer)
{
  struct error err = ERROR_INIT;
  char text[512] = "";
  rd_kafka_resp_err_t code = rd_kafka_fatal_error (producer->handle, text, sizeof text);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
    return;
  producer->unwritable = access_is_denied (code);
  auto_free char *reason = text_log (text);
  log_warn ("producer_recreated", "reason=%s", reason);
  producer_close (producer, 0);
  producer->epoch++;
  if (producer_open (producer, &err) != 0) /* it could be made once: this is about memory */
    abort ();
}

void
kafka_serve (struct kafka_producer *producer, int timeout_ms)
{
  (void) rd_kafka_poll (producer->handle, timeout_ms);
}

/* ---- records ---------------------------------------------------------------------------- */

/* PAYLOAD as it travels: in the schema registry's frame, where there is one. OWN is the
 * caller's. */
static int
pack (struct kafka_producer *producer, int topic, const struct buffer **payload, struct buffer *own,
      struct error *err)
{
  if (producer->client->registry == NULL || !kafka_is_packed (topic))
    return 0;
  auto_free char *subject = xasprintf ("%s-value", producer->client->topics.names[topic]);
  buffer_append (own, (*payload)->data, (*payload)->size);
  *payload = own;
  return wire_pack (producer->client->registry, subject, own, err);
}

int
kafka_send (struct kafka_producer *producer, int topic, int32_t partition, const char *key,
            const struct buffer *payload, struct delivery_report *report, struct error *err)
{
  auto_buffer struct buffer own = { 0 };
  if (pack (producer, topic, &payload, &own, err) != 0)
    return -1;
  return kafka_send_as_is (producer, topic, partition, key, buffer_bytes (payload), report, err);
}

/* SIGNATURE may be NULL. */
static rd_kafka_resp_err_t
produce (struct kafka_producer *producer, int topic, int32_t partition, struct bytes key,
         struct bytes payload, const char *signature, struct delivery_report *report)
{
  rd_kafka_topic_t *to = producer->outgoing[topic];
  void *bytes = (void *) (uintptr_t) payload.data;
  if (signature != NULL)
    return rd_kafka_producev (
        producer->handle, RD_KAFKA_V_RKT (to), RD_KAFKA_V_PARTITION (partition),
        RD_KAFKA_V_MSGFLAGS (RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY (key.data, key.size),
        RD_KAFKA_V_VALUE (bytes, payload.size), RD_KAFKA_V_HEADER (KEYRING_HEADER, signature, -1),
        RD_KAFKA_V_OPAQUE (report), RD_KAFKA_V_END);
  int failed = rd_kafka_produce (to, partition, RD_KAFKA_MSG_F_COPY, bytes, payload.size, key.data,
                                 key.size, report);
  return failed == 0 ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_last_error ();
}

int
kafka_send_as_is (struct kafka_producer *producer, int topic, int32_t partition, const char *key,
                  struct bytes payload, struct delivery_report *report, struct error *err)
{
  char text[SIGNATURE_SIZE];
  const struct bytes named = { key, key == NULL ? 0 : strlen (key) };
  const char *signature = trust_sign (&producer->client->trust, topic,
                                      producer->client->topics.names[topic], named, payload, text);
  for (int64_t end = clock_boot_ms () + kafka_at_most (producer->client, AWAIT_MS);;)
    {
      rd_kafka_resp_err_t code =
          produce (producer, topic, partition, named, payload, signature, report);
      if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        {
          report->pending++;
          return 0;
        }
      if (code == RD_KAFKA_RESP_ERR__FATAL)
        kafka_renew_producer (producer);
      if (code == RD_KAFKA_RESP_ERR__FATAL && producer->unwritable)
        return access_lacks (producer->client, "Write", "topic",
                             producer->client->topics.names[topic], err);
      if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
        return kafka_error (&producer->client->trouble, code, producer->client->topics.names[topic],
                            err);
      if (clock_boot_ms () >= end)
        return kafka_timeout (&producer->client->trouble, producer->client->topics.names[topic],
                              err);
      kafka_serve (producer, FULL_WAIT_MS);
    }
}

int
kafka_await (struct kafka_producer *producer, struct delivery_report *report, const char *what,
             struct error *err)
{
  int64_t end = clock_boot_ms () + AWAIT_MS;
  while (report->pending > 0)
    {
      if (clock_boot_ms () >= end)
        return kafka_timeout (&producer->client->trouble, what, err);
      kafka_renew_producer (producer);
      kafka_serve (producer, 20);
    }
  if (report->failed == 0)
    return 0;
  rd_kafka_resp_err_t why = report->why;
  report->failed = 0;
  if (access_is_denied (why) || producer->unwritable)
    return access_lacks (producer->client, "Write", "topic",
                         producer->client->topics.names[report->topic], err);
  return kafka_error (&producer->client->trouble, why, what, err);
}
