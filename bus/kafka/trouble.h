/* trouble.h — what goes wrong between us and the brokers, in words, and what to do about it. */
#ifndef SHOAL_BUS_KAFKA_TROUBLE_H
#define SHOAL_BUS_KAFKA_TROUBLE_H

#include "common/error.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct kafka_trouble
{
  const char *url;      /* for messages */
  pthread_mutex_t lock; /* of what librdkafka's threads write: */
  char text[1024];      /* of the last error, "" when all is well */
  int64_t at;           /* boot ms of it; 0: never */
  int told;             /* how much it tells; 0: it is no known one */
  bool doubted; /* whether anybody answers: something took too long, or all connections are down */
  bool refused; /* it is one that waiting doesn't mend */
};

/* ERROR_TRANSIENT: WHAT took too long; says what the brokers' last trouble was. */
int kafka_timeout (struct kafka_trouble *trouble, const char *what, struct error *err);
int kafka_error (struct kafka_trouble *trouble, rd_kafka_resp_err_t code, const char *what,
                 struct error *err);
int64_t kafka_trouble_at (struct kafka_trouble *trouble);

/* Whether the last trouble was a password, a certificate or the like: somebody must do something
 * about it. */
bool kafka_is_refused (struct kafka_trouble *trouble);

/* Whether it is worth asking if anybody is there. */
bool kafka_is_doubted (struct kafka_trouble *trouble);

/* An answer came: what was before it is over. */
void kafka_answered (struct kafka_trouble *trouble);

/* What librdkafka says, as an error or in its log. TROUBLE may be NULL for the latter. Any thread.
 */
void kafka_on_error (struct kafka_trouble *trouble, int code, const char *reason);
void kafka_on_log (struct kafka_trouble *trouble, const char *facility, const char *text);

#endif
