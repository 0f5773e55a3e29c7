/* The producer: records and their reports. */
#include "bus/kafka/producer.h"

#include "bus/kafka/access.h"
#include "bus/kafka/client.h"
#include "bus/kafka/kafka.h"
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
kafka_topic_of (const struct kafka_bus *bus, const rd_kafka_topic_t *topic)
{
  int at = 0;
  while (at < bus->topics.count - 1 && bus->outgoing[at] != topic)
    at++;
  return at;
}

/* librdkafka calls it. */
static void
delivery_report_note (rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
  (void) handle;
  const struct kafka_bus *bus = opaque;
  struct delivery_report *report = message->_private;
  report->pending--;
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
    {
      report->failed++;
      report->why = message->err;
      report->topic = kafka_topic_of (bus, message->rkt);
    }
  else
    report->offset = message->offset;
  if (report->left && report->pending == 0)
    free (report);
}

/* ---- the handle ------------------------------------------------------------------------- */

/* WAIT_MS: for the last records to be acknowledged. */
void
producer_close (struct kafka_bus *bus, int wait_ms)
{
  if (bus->producer == NULL)
    return;
  (void) rd_kafka_flush (bus->producer, wait_ms);
  (void) rd_kafka_purge (bus->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  (void) rd_kafka_flush (bus->producer, 100);
  for (int i = 0; i < bus->topics.count; i++)
    if (bus->outgoing[i] != NULL)
      rd_kafka_topic_destroy (bus->outgoing[i]);
  if (bus->reports != NULL)
    rd_kafka_queue_destroy (bus->reports);
  rd_kafka_destroy (bus->producer);
}

/* The first record to a topic that a handle hasn't used waits for a timer of a second unless the
 * topic was asked for. */
int
producer_open (struct kafka_bus *bus, struct error *err)
{
  bus->producer = kafka_handle (bus, RD_KAFKA_PRODUCER, NULL, delivery_report_note, err);
  if (bus->producer == NULL)
    return -1;
  for (int i = 0; i < bus->topics.count; i++)
    bus->outgoing[i] = rd_kafka_topic_new (bus->producer, bus->topics.names[i], NULL);
  uint64_t one = 1;
  bus->reports = rd_kafka_queue_get_main (bus->producer);
  rd_kafka_queue_io_event_enable (bus->reports, bus->wake_fd, &one, sizeof one);
  return 0;
}

/* An idempotent producer that has lost count of its sequence numbers (2.0.2 does when leaders
 * change twice in short time) sends nothing any more. Another one takes its place; what was on its
 * way counts as not sent: who waits for it sees by the epoch that it has to go again. */
void
kafka_renew_producer (struct kafka_bus *bus)
{
  struct error err = ERROR_INIT;
  char text[512] = "";
  rd_kafka_resp_err_t code = rd_kafka_fatal_error (bus->producer, text, sizeof text);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
    return;
  bus->unwritable = access_is_denied (code);
  auto_free char *reason = text_log (text);
  log_warn ("producer_recreated", "reason=%s", reason);
  producer_close (bus, 0);
  bus->epoch++;
  if (producer_open (bus, &err) != 0) /* it could be made once: this is about memory */
    abort ();
}

void
kafka_serve (struct kafka_bus *bus, int timeout_ms)
{
  (void) rd_kafka_poll (bus->producer, timeout_ms);
}

/* ---- records ---------------------------------------------------------------------------- */

/* PAYLOAD as it travels: in the schema registry's frame, where there is one. OWN is the
 * caller's. */
static int
pack (struct kafka_bus *bus, int topic, const struct buffer **payload, struct buffer *own,
      struct error *err)
{
  if (bus->registry == NULL || !kafka_is_packed (topic))
    return 0;
  auto_free char *subject = xasprintf ("%s-value", bus->topics.names[topic]);
  buffer_append (own, (*payload)->data, (*payload)->size);
  *payload = own;
  return wire_pack (bus->registry, subject, own, err);
}

int
kafka_send (struct kafka_bus *bus, int topic, int32_t partition, const char *key,
            const struct buffer *payload, struct delivery_report *report, struct error *err)
{
  auto_buffer struct buffer own = { 0 };
  if (pack (bus, topic, &payload, &own, err) != 0)
    return -1;
  return kafka_send_as_is (bus, topic, partition, key, buffer_bytes (payload), report, err);
}

/* SIGNATURE may be NULL. */
static rd_kafka_resp_err_t
produce (struct kafka_bus *bus, int topic, int32_t partition, struct bytes key,
         struct bytes payload, const char *signature, struct delivery_report *report)
{
  rd_kafka_topic_t *to = bus->outgoing[topic];
  void *bytes = (void *) (uintptr_t) payload.data;
  if (signature != NULL)
    return rd_kafka_producev (
        bus->producer, RD_KAFKA_V_RKT (to), RD_KAFKA_V_PARTITION (partition),
        RD_KAFKA_V_MSGFLAGS (RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY (key.data, key.size),
        RD_KAFKA_V_VALUE (bytes, payload.size), RD_KAFKA_V_HEADER (KEYRING_HEADER, signature, -1),
        RD_KAFKA_V_OPAQUE (report), RD_KAFKA_V_END);
  int failed = rd_kafka_produce (to, partition, RD_KAFKA_MSG_F_COPY, bytes, payload.size, key.data,
                                 key.size, report);
  return failed == 0 ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_last_error ();
}

int
kafka_send_as_is (struct kafka_bus *bus, int topic, int32_t partition, const char *key,
                  struct bytes payload, struct delivery_report *report, struct error *err)
{
  char text[SIGNATURE_SIZE];
  const struct bytes named = { key, key == NULL ? 0 : strlen (key) };
  const char *signature = trust_sign (bus, topic, named, payload, text);
  for (int64_t end = clock_boot_ms () + kafka_at_most (bus, AWAIT_MS);;)
    {
      rd_kafka_resp_err_t code = produce (bus, topic, partition, named, payload, signature, report);
      if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        {
          report->pending++;
          return 0;
        }
      if (code == RD_KAFKA_RESP_ERR__FATAL)
        kafka_renew_producer (bus);
      if (code == RD_KAFKA_RESP_ERR__FATAL && bus->unwritable)
        return access_lacks (bus, "Write", "topic", bus->topics.names[topic], err);
      if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
        return kafka_error (bus, code, bus->topics.names[topic], err);
      if (clock_boot_ms () >= end)
        return kafka_timeout (bus, bus->topics.names[topic], err);
      kafka_serve (bus, FULL_WAIT_MS);
    }
}

int
kafka_await (struct kafka_bus *bus, struct delivery_report *report, const char *what,
             struct error *err)
{
  int64_t end = clock_boot_ms () + AWAIT_MS;
  while (report->pending > 0)
    {
      if (clock_boot_ms () >= end)
        return kafka_timeout (bus, what, err);
      kafka_renew_producer (bus);
      kafka_serve (bus, 20);
    }
  if (report->failed == 0)
    return 0;
  rd_kafka_resp_err_t why = report->why;
  report->failed = 0;
  if (access_is_denied (why) || bus->unwritable)
    return access_lacks (bus, "Write", "topic", bus->topics.names[report->topic], err);
  return kafka_error (bus, why, what, err);
}
