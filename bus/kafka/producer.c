/* The producer: records and their receipts. */
#include "bus/kafka/access.h"
#include "bus/kafka/kafka.h"

#include "bus/kafka/keyring.h"
#include "common/clock.h"
#include "common/memory.h"

#include <string.h>

enum
{
  FULL_WAIT_MS = 50,
  AWAIT_MS = 45000, /* a broker that fails over needs some seconds */
};

void
kafka_serve (struct kafka_bus *bus, int timeout_ms)
{
  (void) rd_kafka_poll (bus->producer, timeout_ms);
}

struct receipt *
receipt_new (void)
{
  return xcalloc (1, sizeof (struct receipt));
}

void
receipt_leave (struct receipt *receipt)
{
  if (receipt == NULL)
    return;
  if (receipt->pending == 0)
    free (receipt);
  else
    receipt->left = true;
}

static int
kafka_topic_of (const struct kafka_bus *bus, const rd_kafka_topic_t *topic)
{
  int at = 0;
  while (at < bus->topic_count - 1 && bus->outgoing[at] != topic)
    at++;
  return at;
}

void
receipt_note (rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
  (void) handle;
  const struct kafka_bus *bus = opaque;
  struct receipt *receipt = message->_private;
  receipt->pending--;
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
    {
      receipt->failed++;
      receipt->why = message->err;
      receipt->topic = kafka_topic_of (bus, message->rkt);
    }
  else
    receipt->offset = message->offset;
  if (receipt->left && receipt->pending == 0)
    free (receipt);
}

/* PAYLOAD as it travels: in the schema registry's frame, where there is one. OWN is the
 * caller's. */
static int
pack (struct kafka_bus *bus, int topic, const struct buffer **payload, struct buffer *own,
      struct error *err)
{
  if (bus->registry == NULL || !kafka_is_packed (topic))
    return 0;
  auto_free char *subject = xasprintf ("%s-value", bus->names[topic]);
  buffer_append (own, (*payload)->data, (*payload)->size);
  *payload = own;
  return wire_pack (bus->registry, subject, own, err);
}

int
kafka_send (struct kafka_bus *bus, int topic, int32_t partition, const char *key,
            const struct buffer *payload, struct receipt *receipt, struct error *err)
{
  auto_buffer struct buffer own = { 0 };
  if (pack (bus, topic, &payload, &own, err) != 0)
    return -1;
  return kafka_send_as_is (bus, topic, partition, key, buffer_bytes (payload), receipt, err);
}

/* SIGNATURE may be NULL. */
static rd_kafka_resp_err_t
produce (struct kafka_bus *bus, int topic, int32_t partition, struct bytes key,
         struct bytes payload, const char *signature, struct receipt *receipt)
{
  rd_kafka_topic_t *to = bus->outgoing[topic];
  void *bytes = (void *) (uintptr_t) payload.data;
  if (signature != NULL)
    return rd_kafka_producev (
        bus->producer, RD_KAFKA_V_RKT (to), RD_KAFKA_V_PARTITION (partition),
        RD_KAFKA_V_MSGFLAGS (RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY (key.data, key.size),
        RD_KAFKA_V_VALUE (bytes, payload.size), RD_KAFKA_V_HEADER (KEYRING_HEADER, signature, -1),
        RD_KAFKA_V_OPAQUE (receipt), RD_KAFKA_V_END);
  int failed = rd_kafka_produce (to, partition, RD_KAFKA_MSG_F_COPY, bytes, payload.size, key.data,
                                 key.size, receipt);
  return failed == 0 ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_last_error ();
}

int
kafka_send_as_is (struct kafka_bus *bus, int topic, int32_t partition, const char *key,
                  struct bytes payload, struct receipt *receipt, struct error *err)
{
  char text[SIGNATURE_SIZE];
  const struct bytes named = { key, key == NULL ? 0 : strlen (key) };
  const char *signature = trust_sign (bus, topic, named, payload, text);
  for (int64_t end = clock_boot_ms () + kafka_at_most (bus, AWAIT_MS);;)
    {
      rd_kafka_resp_err_t code =
          produce (bus, topic, partition, named, payload, signature, receipt);
      if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        {
          receipt->pending++;
          return 0;
        }
      if (code == RD_KAFKA_RESP_ERR__FATAL)
        kafka_renew_producer (bus);
      if (code == RD_KAFKA_RESP_ERR__FATAL && bus->unwritable)
        return access_lacks (bus, "Write", "topic", bus->names[topic], err);
      if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
        return kafka_error (bus, code, bus->names[topic], err);
      if (clock_boot_ms () >= end)
        return kafka_timeout (bus, bus->names[topic], err);
      kafka_serve (bus, FULL_WAIT_MS);
    }
}

int
kafka_await (struct kafka_bus *bus, struct receipt *receipt, const char *what, struct error *err)
{
  int64_t end = clock_boot_ms () + AWAIT_MS;
  while (receipt->pending > 0)
    {
      if (clock_boot_ms () >= end)
        return kafka_timeout (bus, what, err);
      kafka_renew_producer (bus);
      kafka_serve (bus, 20);
    }
  if (receipt->failed == 0)
    return 0;
  rd_kafka_resp_err_t why = receipt->why;
  receipt->failed = 0;
  if (access_is_denied (why) || bus->unwritable)
    return access_lacks (bus, "Write", "topic", bus->names[receipt->topic], err);
  return kafka_error (bus, why, what, err);
}
