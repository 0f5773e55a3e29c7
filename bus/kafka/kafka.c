/* The bus on Kafka: opening, waiting, closing. */
#include "bus/kafka/kafka.h"

#include "bus/kafka/access.h"
#include "bus/kafka/claims_log.h"
#include "bus/kafka/client.h"
#include "bus/kafka/dead_letters.h"
#include "bus/kafka/follow.h"
#include "bus/kafka/grants.h"
#include "bus/kafka/leases.h"
#include "bus/kafka/metadata.h"
#include "bus/kafka/plan.h"
#include "bus/kafka/producer.h"
#include "bus/kafka/reader.h"
#include "bus/kafka/tables.h"
#include "bus/kafka/take.h"
#include "bus/kafka/trouble.h"
#include "bus/kafka/trust.h"
#include "bus/kafka/work.h"

#include "common/auto.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum
{
  LEASE_MS = 30000,
  COMPLAIN_MS = 5000, /* between two lines about brokers that don't answer */
  REGISTRY_MS = 3000, /* a schema registry may take to answer, while work waits */
  ASK_MS = 1000,      /* for one answer */
  /* a poll ends after this: leases run out and retries fall due without anybody saying so */
  WAKE_MS = 100,
  CLOSE_MS = 5000, /* for the last records */
};

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
  take_release (bus);
  work_release (bus);
  scan_free (bus->scan);
  dead_letters_forget (bus);
  cursor_close (&bus->leases_cursor);
  claims_free (bus->leases);
  tables_release (bus);
  kafka_reader_close (bus->reader);
  producer_close (bus, CLOSE_MS);
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
  .list_dead_letters = kafka_list_dead_letters,
  .replay_dead_letter = kafka_replay_dead_letter,
  .queue_served = kafka_queue_served,
  .take_due = kafka_take,
  .keep = kafka_keep,
  .settle = kafka_settle,
  .release = kafka_give_back,
  .shun = kafka_shun,
  .quiesce = kafka_quiesce,
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
  if (grants_check (bus, part, err) != 0)
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
  TAILQ_INIT (&bus->unconfirmed);
  err = err == NULL ? &ignored : err;
  bus->bus.ops = &kafka_ops;
  bus->writer = client_make_writer (options->client);
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
           && producer_open (bus, err) == 0 && await_brokers (bus, options, err) == 0
           && work_serve (bus, options->queues, err) == 0)
    bus->reader = kafka_reader_open (bus, NULL, err);
  if (bus->reader != NULL && check_part (bus, options->part, err) == 0)
    return &bus->bus;
  kafka_close (&bus->bus);
  return NULL;
}
