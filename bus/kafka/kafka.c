/* Opening, closing, waiting; librdkafka's settings. */
#include "bus/kafka/access.h"
#include "bus/kafka/inflight.h"

#include "common/auto.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "common/unique.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

enum
{
  LEASE_MS = 30000,
  PATIENCE_MS = 10000, /* for a first answer of the brokers */
  COMPLAIN_MS = 5000,  /* between two lines about brokers that don't answer */
  REGISTRY_MS = 3000,  /* a schema registry may take to answer, while work waits */
  REFRESH_MAX_MS = 10000,
  ASK_MS = 1000, /* for one answer */
  WAKE_MS =
      /* a poll ends after this: leases run out and retries fall due without anybody saying so */
  100,
  CLOSE_MS = 5000, /* for the last records */
};

static const char default_prefix[] = "shoal";

/* ---- handles ---------------------------------------------------------------------------- */

static int
set (rd_kafka_conf_t *conf, const char *name, const char *value, struct error *err)
{
  char text[512];
  if (rd_kafka_conf_set (conf, name, value, text, sizeof text) == RD_KAFKA_CONF_OK)
    return 0;
  return error_set (err, ERROR_USER, "Kafka property %s (-X, SHOAL_KAFKA_CONFIG): %s", name, text);
}

/* A file that a property names and that can't be read: librdkafka doesn't say which or why. */
static int
check_file (const char *name, const char *value, struct error *err)
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
kafka_at_most (const struct kafka_bus *bus, int64_t most)
{
  int64_t quarter = bus->lease_ms / 4;
  if (TAILQ_EMPTY (&bus->holdings))
    return most;
  if (quarter < ASK_MS)
    quarter = ASK_MS;
  return quarter < most ? quarter : most;
}

/* How often new leaders are asked for. While there is none librdkafka doubles its pauses up to
 * this: who holds a lease must find the new one before others may take it over. */
static int64_t
refresh_ms (const struct kafka_bus *bus)
{
  int64_t quarter = bus->lease_ms / 4;
  return quarter == 0 || quarter > REFRESH_MAX_MS ? REFRESH_MAX_MS : quarter;
}

static int
set_all (rd_kafka_conf_t *conf, const char *const *settings, struct error *err)
{
  for (size_t i = 0; settings != NULL && settings[i] != NULL; i += 2)
    if (set (conf, settings[i], settings[i + 1], err) != 0)
      return -1;
  return 0;
}

static int
configure (struct kafka_bus *bus, rd_kafka_conf_t *conf, rd_kafka_type_t type,
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
  (void) snprintf (refresh, sizeof refresh, "%lld", (long long) refresh_ms (bus));
  if (set (conf, "bootstrap.servers", bus->brokers, err) != 0
      || set (conf, "topic.metadata.refresh.interval.ms", refresh, err) != 0
      || set_all (conf, all, err) != 0
      || set_all (conf, type == RD_KAFKA_PRODUCER ? producer : consumer, err) != 0
      || set_all (conf, extra, err) != 0)
    return -1;
  for (size_t i = 0; i + 1 < bus->properties.count; i += 2)
    if (set (conf, bus->properties.items[i], bus->properties.items[i + 1], err) != 0
        || check_file (bus->properties.items[i], bus->properties.items[i + 1], err) != 0)
      return -1;
  rd_kafka_conf_set_opaque (conf, bus);
  rd_kafka_conf_set_error_cb (conf, kafka_on_error);
  rd_kafka_conf_set_log_cb (conf, kafka_on_log);
  if (type == RD_KAFKA_PRODUCER)
    rd_kafka_conf_set_dr_msg_cb (conf, receipt_note);
  return 0;
}

/* Takes CONF. */
static rd_kafka_t *
make_handle (const struct kafka_bus *bus, rd_kafka_type_t type, rd_kafka_conf_t *conf,
             struct error *err)
{
  char text[512];
  rd_kafka_t *handle = rd_kafka_new (type, conf, text, sizeof text);
  if (handle != NULL)
    return handle;
  (void) error_set (err, ERROR_USER, "%s: %s", bus->url, text);
  rd_kafka_conf_destroy (conf);
  return NULL;
}

rd_kafka_t *
kafka_handle (struct kafka_bus *bus, rd_kafka_type_t type, const char *const *extra,
              struct error *err)
{
  rd_kafka_conf_t *conf = rd_kafka_conf_new ();
  if (configure (bus, conf, type, extra, err) == 0)
    return make_handle (bus, type, conf, err);
  rd_kafka_conf_destroy (conf);
  return NULL;
}

rd_kafka_t *
kafka_asker (struct kafka_bus *bus, rd_kafka_type_t type, const char *const *extra,
             struct error *err)
{
  rd_kafka_conf_t *conf = rd_kafka_conf_new ();
  if (configure (bus, conf, type, NULL, err) != 0 || set_all (conf, extra, err) != 0)
    {
      rd_kafka_conf_destroy (conf);
      return NULL;
    }
  rd_kafka_conf_set_error_cb (conf, NULL);
  rd_kafka_conf_set_dr_msg_cb (conf, NULL);
  rd_kafka_conf_set_events (conf, RD_KAFKA_EVENT_DR);
  return make_handle (bus, type, conf, err);
}

/* ---- the URL ---------------------------------------------------------------------------- */

/* "HOST:PORT[,…][/PREFIX]" */
static int
parse_url (struct kafka_bus *bus, const char *rest, struct error *err)
{
  const char *slash = strchr (rest, '/');
  bus->brokers = slash == NULL ? xstrdup (rest) : xstrndup (rest, (size_t) (slash - rest));
  bus->prefix = xstrdup (slash == NULL || slash[1] == '\0' ? default_prefix : slash + 1);
  bus->url = xasprintf ("kafka://%s", rest);
  if (bus->brokers[0] == '\0')
    return error_set (err, ERROR_USER, "%s: no broker: expected kafka://HOST:PORT[,…][/PREFIX]",
                      bus->url);
  for (const char *at = bus->prefix; *at != '\0'; at++)
    if (!isalnum ((unsigned char) *at) && strchr ("._-", *at) == NULL)
      return error_set (err, ERROR_USER,
                        "%s: '%c' can't be in a topic's name: letters, digits, '.', '_', '-'",
                        bus->url, *at);
  return 0;
}

int64_t
kafka_patience (const struct bus_options *options)
{
  return options->patience_ms != 0 ? options->patience_ms : PATIENCE_MS;
}

int
kafka_names_init (struct kafka_bus *bus, const char *rest, const struct bus_options *options,
                  struct error *err)
{
  (void) pthread_mutex_init (&bus->lock, NULL);
  if (options->properties != NULL)
    strlist_extend (&bus->properties, options->properties);
  if (parse_url (bus, rest, err) != 0)
    return -1;
  for (int i = 0; i < TOPICS; i++)
    bus->names[i] = kafka_topic_name (bus->prefix, (enum topic) i);
  bus->topic_count = TOPICS;
  bus->queue_count = 1;
  bus->queues[0] = (struct kafka_queue){ .name = xstrdup ("default"),
                                         .shards = TOPIC_SHARDS,
                                         .claims = TOPIC_CLAIMS };
  return 0;
}

void
kafka_names_release (struct kafka_bus *bus)
{
  for (int i = 0; i < bus->topic_count; i++)
    free (bus->names[i]);
  for (int i = 0; i < bus->queue_count; i++)
    free (bus->queues[i].name);
  strlist_release (&bus->properties);
  (void) pthread_mutex_destroy (&bus->lock);
  free (bus->brokers);
  free (bus->prefix);
  free (bus->url);
}

static char *
make_writer (const char *client)
{
  char host[256] = "localhost";
  char salt[UNIQUE_SIZE]; /* host and process id come back in containers */
  (void) gethostname (host, sizeof host - 1);
  return xasprintf ("%s-%s-%d-%s", client, host, (int) getpid (), unique_text (salt));
}

/* ---- the producer ------------------------------------------------------------------------ */

/* WAIT_MS: for the last records to be acknowledged. */
static void
close_producer (struct kafka_bus *bus, int wait_ms)
{
  if (bus->producer == NULL)
    return;
  (void) rd_kafka_flush (bus->producer, wait_ms);
  (void) rd_kafka_purge (bus->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  (void) rd_kafka_flush (bus->producer, 100);
  for (int i = 0; i < bus->topic_count; i++)
    if (bus->outgoing[i] != NULL)
      rd_kafka_topic_destroy (bus->outgoing[i]);
  if (bus->receipts != NULL)
    rd_kafka_queue_destroy (bus->receipts);
  rd_kafka_destroy (bus->producer);
}

/* The first record to a topic that a handle hasn't used waits for a timer of a second unless the
 * topic was asked for. */
static int
open_producer (struct kafka_bus *bus, struct error *err)
{
  bus->producer = kafka_handle (bus, RD_KAFKA_PRODUCER, NULL, err);
  if (bus->producer == NULL)
    return -1;
  for (int i = 0; i < bus->topic_count; i++)
    bus->outgoing[i] = rd_kafka_topic_new (bus->producer, bus->names[i], NULL);
  uint64_t one = 1;
  bus->receipts = rd_kafka_queue_get_main (bus->producer);
  rd_kafka_queue_io_event_enable (bus->receipts, bus->wake_fd, &one, sizeof one);
  return 0;
}

/* An idempotent producer that has lost count of its sequence numbers (2.0.2 does when leaders
 * change twice in short time) sends nothing any more. Another one takes its place; what was on its
 * way counts as not sent and goes again. */
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
  close_producer (bus, 0);
  if (open_producer (bus, &err) != 0) /* it could be made once: this is about memory */
    abort ();
  holdings_say_again (bus);
}

/* ---- waiting ---------------------------------------------------------------------------- */

/* One of them, anyone, must answer. */
static int
ask_brokers (struct kafka_bus *bus, struct error *err)
{
  if (!kafka_look_for_leaders (bus, TOPIC_JOBS, ASK_MS))
    return kafka_timeout (bus, "brokers", err);
  kafka_answered (bus);
  return 0;
}

static void
complain (struct kafka_bus *bus, const struct error *err)
{
  int64_t now = clock_boot_ms ();
  if (now - bus->complained_at < COMPLAIN_MS)
    return;
  auto_free char *reason = text_log (err->message);
  log_warn ("kafka_unavailable", "reason=%s", reason);
  bus->complained_at = now;
}

/* Who has nothing to ask would never notice that nobody is there. */
static void
watch_brokers (struct kafka_bus *bus)
{
  struct error err = ERROR_INIT;
  bool doubted = kafka_is_doubted (bus);
  if (doubted && clock_boot_ms () - bus->asked_at < ASK_MS)
    return;
  if (doubted && ask_brokers (bus, &err) != 0)
    {
      bus->away = true;
      complain (bus, &err);
    }
  else if (bus->away)
    {
      bus->away = false;
      auto_free char *url = text_log (bus->url);
      log_warn ("kafka_recovered", "bus=%s", url);
    }
  if (doubted)
    bus->asked_at = clock_boot_ms ();
}

static bool
kafka_is_away (const struct bus *base)
{
  return ((const struct kafka_bus *) base)->away;
}

static void
pump (struct kafka_bus *bus)
{
  kafka_renew_producer (bus);
  watch_brokers (bus);
  kafka_serve (bus, 0);
  tables_pump (bus);
  leases_pump (bus);
  work_pump (bus);
}

static int
kafka_poll (struct bus *base, struct pollfd *fds, nfds_t count, int timeout_ms)
{
  struct kafka_bus *bus = (struct kafka_bus *) base;
  auto_free struct pollfd *all = xcalloc (count + 1, sizeof *all);
  if (count > 0)
    memcpy (all, fds, count * sizeof *fds);
  all[count] = (struct pollfd){ .fd = bus->wake_fd, .events = POLLIN };
  int limit = timeout_ms < 0 || timeout_ms > WAKE_MS ? WAKE_MS : timeout_ms;
  int ready = poll (all, count + 1, bus->more ? 0 : limit);
  bus->more = false;
  uint64_t wakes = 0;
  if (ready > 0 && all[count].revents != 0)
    {
      (void) !read (bus->wake_fd, &wakes, sizeof wakes);
      ready--;
    }
  if (count > 0)
    memcpy (fds, all, count * sizeof *fds);
  pump (bus);
  return ready;
}

static const char *
kafka_writer (const struct bus *base)
{
  return ((const struct kafka_bus *) base)->writer;
}

/* ---- closing ---------------------------------------------------------------------------- */

static void
kafka_close (struct bus *base)
{
  struct kafka_bus *bus = (struct kafka_bus *) base;
  struct error err = ERROR_INIT;
  if (bus->producer != NULL && bus->published.pending > 0
      && kafka_await (bus, &bus->published, "publishing", &err) != 0)
    log_failure (LOG_ERROR, "bus_flush_failed", &err, NULL);
  work_release (bus);
  scan_free (bus->scan);
  burials_release (bus);
  cursor_close (&bus->leases_cursor);
  claims_free (bus->leases);
  tables_release (bus);
  kafka_reader_close (bus->reader);
  close_producer (bus, CLOSE_MS);
  auto_fd_ (&bus->wake_fd);
  registry_close (bus->registry);
  trust_release (bus);
  kafka_names_release (bus);
  free (bus->writer);
  free (bus->placed_job);
  free (bus->settings);
  free (bus->config);
  strlist_release (&bus->config_told);
  free (bus);
}

/* ---- opening ---------------------------------------------------------------------------- */

static const struct bus_ops kafka_ops = {
  .close = kafka_close,
  .writer = kafka_writer,
  .is_away = kafka_is_away,
  .poll = kafka_poll,
  .submit = kafka_submit,
  .get_job = kafka_get_job,
  .list_jobs = kafka_list_jobs,
  .publish_shard = kafka_publish_shard,
  .publish_event = kafka_publish_event,
  .flush = kafka_flush,
  .get_shard = kafka_get_shard,
  .replay = kafka_replay,
  .list_letters = kafka_list_letters,
  .replay_letter = kafka_replay_letter,
  .queue_served = kafka_queue_served,
  .take_due = kafka_take,
  .keep = kafka_keep,
  .settle = kafka_settle,
  .release = kafka_give_back,
  .shun = kafka_shun,
  .rest = kafka_rest,
  .follow = kafka_follow,
  .publish_control = kafka_publish_control,
  .next_control = kafka_next_control,
  .put_status = kafka_put_status,
  .get_status = kafka_get_status,
};

/* The topics, once the brokers answer. A service goes on asking those that refuse it: users and
 * certificates are made while it waits. */
static int
await_brokers (struct kafka_bus *bus, const struct bus_options *options, struct error *err)
{
  int64_t patience_ms = kafka_patience (options);
  int64_t end = patience_ms < 0 ? INT64_MAX : clock_boot_ms () + patience_ms;
  for (;;)
    {
      int64_t left = end - clock_boot_ms ();
      int step = left > ASK_MS ? ASK_MS : left > 1 ? (int) left : 1;
      if (kafka_look_up_topics (bus, step, err) == 0)
        return 0;
      bool stopped = options->stop != NULL && *options->stop != 0;
      if (err->class != ERROR_TRANSIENT || stopped || clock_boot_ms () >= end
          || (patience_ms >= 0 && kafka_is_refused (bus)))
        return -1;
      complain (bus, err);
      error_clear (err);
    }
}

static int
open_registry (struct kafka_bus *bus, struct error *err)
{
  auto_buffer struct buffer folder = { 0 };
  struct registry_options options = registry_options_from_environment (&folder);
  options.patience_ms = REGISTRY_MS;
  if (options.url == NULL)
    return 0;
  bus->registry = registry_open (&options, err);
  return bus->registry == NULL ? -1 : 0;
}

/* What would come to nothing later is told now. */
static int
check_part (struct kafka_bus *bus, enum bus_part part, struct error *err)
{
  static const char *const records[] = { [BUS_PART_PRODUCER] = "a producer's record",
                                         [BUS_PART_INTAKE] = "a producer's record",
                                         [BUS_PART_WORKER] = "a worker's record",
                                         [BUS_PART_MERGER] = "a merger's record" };
  if (part == BUS_PART_NONE)
    return 0;
  if (access_check (bus, part, err) != 0)
    return -1;
  struct error away = ERROR_INIT;
  if (leases_sync (bus, &away) == 0)
    return trust_need_key (bus, records[part], err);
  if (away.class == ERROR_TRANSIENT)
    /* brokers that are slow or gone again: a service outlives that, and what is wrong shows
       later */
    return 0;
  *err = away;
  return -1;
}

struct bus *
kafka_bus_open (const char *rest, const struct bus_options *options, struct error *err)
{
  struct error ignored = ERROR_INIT;
  struct kafka_bus *bus = xcalloc (1, sizeof *bus);
  TAILQ_INIT (&bus->burials);
  err = err == NULL ? &ignored : err;
  bus->bus.ops = &kafka_ops;
  bus->writer = make_writer (options->client);
  bus->lease_ms = options->lease_ms > 0 ? options->lease_ms : LEASE_MS;
  bus->slots = options->slots > 0 ? options->slots : 1;
  bus->complained_at = clock_boot_ms ();
  bus->metrics = options->metrics;
  bus->settings = xstrdup (options->settings);
  bus->config = xstrdup (options->config);
  bus->wake_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  tables_init (bus);
  work_init (bus);
  int named = kafka_names_init (bus, rest, options, err);
  if (bus->wake_fd < 0)
    (void) error_errno (err, errno, "eventfd");
  else if (named == 0 && trust_init (bus, err) == 0 && open_registry (bus, err) == 0
           && open_producer (bus, err) == 0 && await_brokers (bus, options, err) == 0
           && work_serve (bus, options->queues, err) == 0)
    bus->reader = kafka_reader_open (bus, NULL, err);
  if (bus->reader != NULL && check_part (bus, options->part, err) == 0)
    return &bus->bus;
  kafka_close (&bus->bus);
  return NULL;
}
