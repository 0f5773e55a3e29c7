/* trust.h — signatures of records: ours on what is sent, others' on what is read.
 */
#ifndef SHOAL_BUS_KAFKA_TRUST_H
#define SHOAL_BUS_KAFKA_TRUST_H

#include "bus/kafka/reader.h"

struct kafka_bus;

#define SIGNATURE_SIZE 72 /* KEYRING_TEXT_SIZE */

/* Reads the file that SHOAL_JOB_KEY names, where it names one. */
int trust_init (struct kafka_bus *bus, struct error *err);
void trust_release (struct kafka_bus *bus);

/* What goes into a record's header, in TEXT; NULL: this one isn't signed. */
const char *trust_sign (const struct kafka_bus *bus, int topic, struct bytes key,
                        struct bytes value, char text[static SIGNATURE_SIZE]);

/* Whether MESSAGE, which CURSOR has just read, counts; else says why in `cursor->refused`. */
bool trust_judge (struct cursor *cursor, const rd_kafka_message_t *message);

/* ERROR_USER where others sign and we can't: WHAT ("a job") would be refused by all of them. */
int trust_need_key (const struct kafka_bus *bus, const char *what, struct error *err);

#endif
