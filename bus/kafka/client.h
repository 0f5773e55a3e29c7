/* client.h — what this process is to the brokers: their URL, our topics' names, librdkafka's
 * settings and handles.
 */
#ifndef SHOAL_BUS_KAFKA_CLIENT_H
#define SHOAL_BUS_KAFKA_CLIENT_H

#include "bus/bus.h"
#include "bus/kafka/topic_names.h"
#include "bus/kafka/trouble.h"
#include "bus/kafka/trust.h"
#include "schemas/wire.h"

#include <librdkafka/rdkafka.h>

struct kafka_client
{
  char *brokers;
  char *prefix; /* of the topics' names */
  char *url;    /* for messages */
  char *writer; /* this handle's name in claims and events */
  int64_t lease_ms;
  struct strlist properties; /* librdkafka's: name, value, … */
  struct kafka_topics topics;
  struct kafka_trouble trouble;
  struct kafka_trust trust;
  struct registry *registry; /* of schemas; NULL: none */
  struct metrics *metrics;   /* NULL: nobody counts */
  int wake_fd;               /* written by librdkafka when there is something to read */
  bool more;                 /* something was left unread: don't wait */
  int held;                  /* how many claims are in flight */
  const char *anew;          /* a topic that isn't the one that was read so far; NULL: all are */
};

/* What this process knows is of a log that is gone: -1, ERROR_FATAL. Else 0. */
int client_check_logs (const struct kafka_client *client, struct error *err);

/* How long a question may take at most: MOST, but whoever holds leases must get back to renewing
 * them. */
int64_t kafka_at_most (const struct kafka_client *client, int64_t most);

/* URL, properties, topics' names, the lock. REST is what stands behind the scheme. */
int client_init (struct kafka_client *client, const char *rest, const struct bus_options *options,
                 struct error *err);
void client_release (struct kafka_client *client);
int64_t kafka_patience (const struct bus_options *options); /* ms, -1: for ever */

/* What librdkafka calls for each record that was acknowledged or failed (dr_msg_cb). */
typedef void client_reports (rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque);

/* A handle of TYPE with our settings; EXTRA: name, value, …, NULL. REPORTS: for a producer; NULL:
 * none are wanted. NULL with ERR. */
rd_kafka_t *kafka_handle (struct kafka_client *client, rd_kafka_type_t type,
                          const char *const *extra, client_reports *reports, struct error *err);

/* The same for a handle that only asks something: EXTRA goes before the user's properties, and what
 * it says of its troubles counts for nothing. Deliveries are events. */
rd_kafka_t *kafka_asker (struct kafka_client *client, rd_kafka_type_t type,
                         const char *const *extra, struct error *err);

/* A name for claims and events that no other handle has. The caller frees. */
char *client_make_writer (const char *name);

#endif
