/* trust.h — signatures of records: ours on what is sent, others' on what is read. */
#ifndef SHOAL_BUS_KAFKA_TRUST_H
#define SHOAL_BUS_KAFKA_TRUST_H

#include "common/buffer.h"
#include "common/error.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

struct keyring;

struct kafka_trust
{
  const char *url;         /* for messages */
  struct keyring *keyring; /* that signs and verifies records; NULL: none is signed, all count */
  bool others_sign;        /* without a keyring: there are signed records */
};

#define SIGNATURE_SIZE 72 /* KEYRING_TEXT_SIZE */

/* Reads the file that SHOAL_JOB_KEY names, where it names one. */
int trust_init (struct kafka_trust *trust, struct error *err);
void trust_release (struct kafka_trust *trust);

/* What goes into the header of a record of the topic NAME, number TOPIC, in TEXT; NULL: this one
 * isn't signed. */
const char *trust_sign (const struct kafka_trust *trust, int topic, const char *name,
                        struct bytes key, struct bytes value, char text[static SIGNATURE_SIZE]);

/* Whether MESSAGE, just read from that topic, counts: 0, or -1 with ERR. */
int trust_judge (struct kafka_trust *trust, int topic, const char *name,
                 const rd_kafka_message_t *message, struct error *err);

/* ERROR_USER where others sign and we can't: WHAT ("a job") would be refused by all of them. */
int trust_need_key (const struct kafka_trust *trust, const char *what, struct error *err);

#endif
