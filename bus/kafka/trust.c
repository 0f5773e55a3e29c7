/* Signatures of records: ours on what is sent, others' on what is read. What isn't signed as it
 * must be has no payload to any reader, so that none can take it for what it says it is. */
#include "bus/kafka/trust.h"

#include "bus/kafka/keyring.h"
#include "bus/kafka/topic_names.h"

#include <stdlib.h>

int
trust_init (struct kafka_trust *trust, struct error *err)
{
  const char *path = getenv ("SHOAL_JOB_KEY");
  if (path == NULL || path[0] == '\0')
    return 0;
  trust->keyring = keyring_read (path, err);
  return trust->keyring != NULL ? 0 : error_wrap (err, "--job-key (SHOAL_JOB_KEY)");
}

void
trust_release (struct kafka_trust *trust)
{
  keyring_free (trust->keyring);
}

/* Letters are others' records with headers of ours: what counts is the signature that they came
 * with. */
static bool
trust_is_signed (int topic)
{
  return kafka_topic_kind (topic) != TOPIC_DEAD;
}

const char *
trust_sign (const struct kafka_trust *trust, int topic, const char *name, struct bytes key,
            struct bytes value, char text[static SIGNATURE_SIZE])
{
  const struct signed_record record = { name, key, value };
  if (trust->keyring == NULL || !trust_is_signed (topic))
    return NULL;
  return keyring_sign (trust->keyring, &record, text);
}

static struct bytes
signature_of (const rd_kafka_message_t *message)
{
  rd_kafka_headers_t *headers = NULL;
  struct bytes signature = { 0 };
  if (rd_kafka_message_headers (message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR
      || rd_kafka_header_get_last (headers, KEYRING_HEADER, &signature.data, &signature.size)
             != RD_KAFKA_RESP_ERR_NO_ERROR)
    return (struct bytes){ 0 };
  return signature;
}

/* A time that the sender has made up says nothing. */
static int64_t
brokers_time (const rd_kafka_message_t *message)
{
  rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
  int64_t time = rd_kafka_message_timestamp (message, &type);
  return type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME ? time : INT64_MAX - 1;
}

int
trust_judge (struct kafka_trust *trust, int topic, const char *name,
             const rd_kafka_message_t *message, struct error *err)
{
  if (!trust_is_signed (topic))
    return 0;
  const struct bytes signature = signature_of (message);
  if (trust->keyring == NULL)
    {
      trust->others_sign = trust->others_sign || signature.size > 0;
      return 0;
    }
  const struct signed_record record = { name,
                                        { message->key, message->key_len },
                                        { message->payload, message->len } };
  return keyring_verify (trust->keyring, &record, signature, brokers_time (message), err);
}

int
trust_need_key (const struct kafka_trust *trust, const char *what, struct error *err)
{
  if (!trust->others_sign)
    return 0;
  return error_set (err, ERROR_USER,
                    "%s: records on this bus are signed, and %s without a signature is ignored: "
                    "use --job-key FILE (SHOAL_JOB_KEY)",
                    trust->url, what);
}
