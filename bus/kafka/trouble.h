/* trouble.h — what goes wrong between us and the brokers, in words, and what to do about it.
 */
#ifndef SHOAL_BUS_KAFKA_TROUBLE_H
#define SHOAL_BUS_KAFKA_TROUBLE_H

#include "common/error.h"

#include <librdkafka/rdkafka.h>

struct kafka_bus;

/* ERROR_TRANSIENT: WHAT took too long; says what the brokers' last trouble was. */
int kafka_timeout (struct kafka_bus *bus, const char *what, struct error *err);
int kafka_error (struct kafka_bus *bus, rd_kafka_resp_err_t code, const char *what,
                 struct error *err);
int64_t kafka_trouble_at (struct kafka_bus *bus);

/* Whether the last trouble was a password, a certificate or the like: somebody must do something
 * about it. */
bool kafka_is_refused (struct kafka_bus *bus);

/* Whether it is worth asking if anybody is there. */
bool kafka_is_doubted (struct kafka_bus *bus);

/* An answer came: what was before it is over. */
void kafka_answered (struct kafka_bus *bus);

/* librdkafka's callbacks; OPAQUE is the bus. Any thread. */
void kafka_on_error (rd_kafka_t *handle, int code, const char *reason, void *opaque);
void kafka_on_log (const rd_kafka_t *handle, int level, const char *facility, const char *text);

#endif
