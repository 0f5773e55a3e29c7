/* What a process is to the brokers: their URL, the names of our topics, librdkafka's settings and
 * handles. */
#include "bus/kafka/client.h"

#include "bus/kafka/topic_names.h"
#include "bus/kafka/trouble.h"

#include "common/memory.h"
#include "common/text.h"
#include "common/unique.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

enum
{
  PATIENCE_MS = 10000, /* for a first answer of the brokers */
  REFRESH_MAX_MS = 10000,
  ASK_MS = 1000, /* for one answer */
};

static const char default_prefix[] = "shoal";

/* ---- handles ---------------------------------------------------------------------------- */

static int
client_set_property (rd_kafka_conf_t *conf, const char *name, const char *value, struct error *err)
{
  char text[512];
  if (rd_kafka_conf_set (conf, name, value, text, sizeof text) == RD_KAFKA_CONF_OK)
    return 0;
  return error_set (err, ERROR_USER, "Kafka property %s (-X, SHOAL_KAFKA_CONFIG): %s", name, text);
}

/* A file that a property names and that can't be read: librdkafka doesn't say which or why. */
static int
check_property_file (const char *name, const char *value, struct error *err)
{
  static const char *const names[] = { "ssl.ca.location", "ssl.certificate.location",
                                       "ssl.key.location", "ssl.keystore.location",
                                       "ssl.crl.location" };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp (names[i], name) == 0 && strcmp (value, "probe") != 0 && access (value, R_OK) != 0)
      return error_errno (err, errno, "Kafka property %s (-X, SHOAL_KAFKA_CONFIG): %s", name,
                          value);
  return 0;
}

int64_t
kafka_at_most (const struct kafka_client *client, int64_t most)
{
  int64_t quarter = client->lease_ms / 4;
  if (client->held == 0)
    return most;
  if (quarter < ASK_MS)
    quarter = ASK_MS;
  return quarter < most ? quarter : most;
}

/* How often new leaders are asked for. While there is none librdkafka doubles its pauses up to
 * this: who holds a lease must find the new one before others may take it over. */
static int64_t
refresh_ms (const struct kafka_client *client)
{
  int64_t quarter = client->lease_ms / 4;
  return quarter == 0 || quarter > REFRESH_MAX_MS ? REFRESH_MAX_MS : quarter;
}

static int
set_all (rd_kafka_conf_t *conf, const char *const *settings, struct error *err)
{
  for (size_t i = 0; settings != NULL && settings[i] != NULL; i += 2)
    if (client_set_property (conf, settings[i], settings[i + 1], err) != 0)
      return -1;
  return 0;
}

static void
on_error (rd_kafka_t *handle, int code, const char *reason, void *opaque)
{
  struct kafka_client *client = opaque;
  (void) handle;
  kafka_on_error (&client->trouble, code, reason);
}

static void
on_log (const rd_kafka_t *handle, int level, const char *facility, const char *text)
{
  struct kafka_client *client = rd_kafka_opaque (handle);
  (void) level;
  kafka_on_log (client == NULL ? NULL : &client->trouble, facility, text);
}

static int
configure (struct kafka_client *client, rd_kafka_conf_t *conf, rd_kafka_type_t type,
           const char *const *extra, struct error *err)
{
  static const char *const all[] = { "client.id", "shoal", "reconnect.backoff.max.ms", "1000",
                                     NULL };
  static const char *const producer[] = { "enable.idempotence",
                                          "true",
                                          "linger.ms",
                                          "0.5",
                                          "compression.type",
                                          "lz4",
                                          "message.timeout.ms",
                                          "0",
                                          "message.max.bytes",
                                          "10000000",
                                          "queue.buffering.max.messages",
                                          "200000",
                                          NULL };
  static const char *const consumer[] = { "enable.auto.commit",
                                          "false",
                                          "enable.auto.offset.store",
                                          "false",
                                          "enable.partition.eof",
                                          "true",
                                          "socket.timeout.ms", /* closing waits for commits */
                                          "10000",
                                          "fetch.wait.max.ms",
                                          "50",
                                          "auto.offset.reset",
                                          "error",
                                          "check.crcs",
                                          "true",
                                          "fetch.error.backoff.ms",
                                          "100",
                                          "allow.auto.create.topics",
                                          "false",
                                          NULL };
  char refresh[32];
  (void) snprintf (refresh, sizeof refresh, "%lld", (long long) refresh_ms (client));
  if (client_set_property (conf, "bootstrap.servers", client->brokers, err) != 0
      || client_set_property (conf, "topic.metadata.refresh.interval.ms", refresh, err) != 0
      || set_all (conf, all, err) != 0
      || set_all (conf, type == RD_KAFKA_PRODUCER ? producer : consumer, err) != 0
      || set_all (conf, extra, err) != 0)
    return -1;
  for (size_t i = 0; i + 1 < client->properties.count; i += 2)
    if (client_set_property (conf, client->properties.items[i], client->properties.items[i + 1],
                             err)
            != 0
        || check_property_file (client->properties.items[i], client->properties.items[i + 1], err)
               != 0)
      return -1;
  rd_kafka_conf_set_opaque (conf, client);
  rd_kafka_conf_set_error_cb (conf, on_error);
  rd_kafka_conf_set_log_cb (conf, on_log);
  return 0;
}

/* Takes CONF. */
static rd_kafka_t *
make_handle (const struct kafka_client *client, rd_kafka_type_t type, rd_kafka_conf_t *conf,
             struct error *err)
{
  char text[512];
  rd_kafka_t *handle = rd_kafka_new (type, conf, text, sizeof text);
  if (handle != NULL)
    return handle;
  (void) error_set (err, ERROR_USER, "%s: %s", client->url, text);
  rd_kafka_conf_destroy (conf);
  return NULL;
}

rd_kafka_t *
kafka_handle (struct kafka_client *client, rd_kafka_type_t type, const char *const *extra,
              client_reports *reports, struct error *err)
{
  rd_kafka_conf_t *conf = rd_kafka_conf_new ();
  rd_kafka_conf_set_dr_msg_cb (conf, reports);
  if (configure (client, conf, type, extra, err) == 0)
    return make_handle (client, type, conf, err);
  rd_kafka_conf_destroy (conf);
  return NULL;
}

rd_kafka_t *
kafka_asker (struct kafka_client *client, rd_kafka_type_t type, const char *const *extra,
             struct error *err)
{
  rd_kafka_conf_t *conf = rd_kafka_conf_new ();
  if (configure (client, conf, type, NULL, err) != 0 || set_all (conf, extra, err) != 0)
    {
      rd_kafka_conf_destroy (conf);
      return NULL;
    }
  rd_kafka_conf_set_error_cb (conf, NULL);
  rd_kafka_conf_set_events (conf, RD_KAFKA_EVENT_DR);
  return make_handle (client, type, conf, err);
}

/* ---- the URL ---------------------------------------------------------------------------- */

/* "HOST:PORT[,…][/PREFIX]" */
static int
parse_url (struct kafka_client *client, const char *rest, struct error *err)
{
  const char *slash = strchr (rest, '/');
  client->brokers = slash == NULL ? xstrdup (rest) : xstrndup (rest, (size_t) (slash - rest));
  client->prefix = xstrdup (slash == NULL || slash[1] == '\0' ? default_prefix : slash + 1);
  client->url = xasprintf ("kafka://%s", rest);
  if (client->brokers[0] == '\0')
    return error_set (err, ERROR_USER, "%s: no broker: expected kafka://HOST:PORT[,…][/PREFIX]",
                      client->url);
  for (const char *at = client->prefix; *at != '\0'; at++)
    if (!isalnum ((unsigned char) *at) && strchr ("._-", *at) == NULL)
      return error_set (err, ERROR_USER,
                        "%s: '%c' is not allowed in a topic name (letters, digits, '.', '_', '-')",
                        client->url, *at);
  return 0;
}

int64_t
kafka_patience (const struct bus_options *options)
{
  return options->patience_ms != 0 ? options->patience_ms : PATIENCE_MS;
}

int
client_init (struct kafka_client *client, const char *rest, const struct bus_options *options,
             struct error *err)
{
  (void) pthread_mutex_init (&client->trouble.lock, NULL);
  if (options->properties != NULL)
    strlist_extend (&client->properties, options->properties);
  if (parse_url (client, rest, err) != 0)
    return -1;
  client->trouble.url = client->url;
  client->trust.url = client->url;
  for (int i = 0; i < TOPICS; i++)
    client->topics.names[i] = kafka_topic_name (client->prefix, (enum topic) i);
  client->topics.count = TOPICS;
  return 0;
}

int
client_check_logs (const struct kafka_client *client, struct error *err)
{
  if (client->anew == NULL)
    return 0;
  return error_set (err, ERROR_FATAL,
                    "%s: %s was made anew, or has lost records, while it was read: what this "
                    "process knows of it is no more true; start it again",
                    client->url, client->anew);
}

void
client_release (struct kafka_client *client)
{
  for (int i = 0; i < client->topics.count; i++)
    free (client->topics.names[i]);
  strlist_release (&client->properties);
  (void) pthread_mutex_destroy (&client->trouble.lock);
  free (client->brokers);
  free (client->prefix);
  free (client->url);
  free (client->writer);
}

char *
client_make_writer (const char *name)
{
  char host[256] = "localhost";
  char salt[UNIQUE_SIZE]; /* host and process id come back in containers */
  (void) gethostname (host, sizeof host - 1);
  return xasprintf ("%s-%s-%d-%s", name, host, (int) getpid (), unique_text (salt));
}
