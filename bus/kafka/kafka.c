/* The bus on Kafka: opening, waiting, closing. */
#include "bus/kafka/kafka.h"

#include "bus/dead_letter.h"
#include "bus/kafka/access.h"
#include "bus/kafka/claims_log.h"
#include "bus/kafka/client.h"
#include "bus/kafka/dead_letters.h"
#include "bus/kafka/follow.h"
#include "bus/kafka/grants.h"
#include "bus/kafka/jobs.h"
#include "bus/kafka/leases.h"
#include "bus/kafka/metadata.h"
#include "bus/kafka/plan.h"
#include "bus/kafka/producer.h"
#include "bus/kafka/reader.h"
#include "bus/kafka/replay.h"
#include "bus/kafka/tables.h"
#include "bus/kafka/tail.h"
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
kafka_query_brokers (struct kafka_bus *bus, struct error *err)
{
  if (!kafka_look_for_leaders (&bus->producer, TOPIC_JOBS, ASK_MS))
    return kafka_timeout (&bus->client.trouble, "brokers", err);
  kafka_answered (&bus->client.trouble);
  return 0;
}

static void
log_unavailable (struct kafka_bus *bus, const struct error *err)
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
  bool doubted = kafka_is_doubted (&bus->client.trouble);
  if (doubted && clock_boot_ms () - bus->asked_at < ASK_MS)
    return;
  if (doubted && kafka_query_brokers (bus, &err) != 0)
    {
      bus->away = true;
      log_unavailable (bus, &err);
    }
  else if (bus->away)
    {
      bus->away = false;
      auto_free char *url = text_log (bus->client.url);
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
kafka_pump (struct kafka_bus *bus)
{
  kafka_renew_producer (&bus->producer);
  watch_brokers (bus);
  kafka_serve (&bus->producer, 0);
  tables_pump (&bus->tables);
  leases_pump (&bus->leases);
  work_pump (&bus->work);
  layout_pump (&bus->layout);
}

static int
kafka_poll (struct bus *base, struct pollfd *fds, nfds_t count, int timeout_ms)
{
  struct kafka_bus *bus = (struct kafka_bus *) base;
  auto_free struct pollfd *all = xcalloc (count + 1, sizeof *all);
  if (count > 0)
    memcpy (all, fds, count * sizeof *fds);
  all[count] = (struct pollfd){ .fd = bus->client.wake_fd, .events = POLLIN };
  int limit = timeout_ms < 0 || timeout_ms > WAKE_MS ? WAKE_MS : timeout_ms;
  int ready = poll (all, count + 1, bus->client.more ? 0 : limit);
  bus->client.more = false;
  uint64_t wakes = 0;
  if (ready > 0 && all[count].revents != 0)
    {
      (void) !read (bus->client.wake_fd, &wakes, sizeof wakes);
      ready--;
    }
  if (count > 0)
    memcpy (fds, all, count * sizeof *fds);
  kafka_pump (bus);
  return ready;
}

static const char *
kafka_writer (const struct bus *base)
{
  return ((const struct kafka_bus *) base)->client.writer;
}

/* ---- closing ---------------------------------------------------------------------------- */

static void
kafka_close (struct bus *base)
{
  struct kafka_bus *bus = (struct kafka_bus *) base;
  struct error err = ERROR_INIT;
  if (bus->producer.handle != NULL && bus->producer.published.pending > 0
      && kafka_await (&bus->producer, &bus->producer.published, "publishing", &err) != 0)
    log_failure (LOG_ERROR, "bus_flush_failed", &err, NULL);
  take_release (&bus->take);
  work_release (&bus->work);
  plan_release (&bus->plan);
  dead_letters_forget (&bus->dead_letters);
  cursor_close (&bus->leases.cursor);
  claims_free (bus->leases.claims);
  tables_release (&bus->tables);
  kafka_reader_close (bus->reader);
  producer_close (&bus->producer, CLOSE_MS);
  auto_fd_ (&bus->client.wake_fd);
  registry_close (bus->client.registry);
  trust_release (&bus->client.trust);
  queues_release (&bus->queues);
  client_release (&bus->client);
  config_release (&bus->config);
  free (bus);
}

/* ---- the seam's calls, each passed to the part that it is about ------------------------- */

static struct kafka_bus *
of (struct bus *base)
{
  return (struct kafka_bus *) base;
}

static int
kafka_submit (struct bus *base, const struct job *job, struct error *err)
{
  return jobs_submit (&of (base)->tables, job, err);
}

static int
kafka_get_job (struct bus *base, const char *id, struct job *job, struct error *err)
{
  return client_check_logs (&of (base)->client, err) != 0
             ? -1
             : jobs_get (&of (base)->tables, id, job, err);
}

static int
kafka_list_jobs (struct bus *base, const char *after,
                 int (*each) (void *context, const struct job *job), void *context,
                 struct error *err)
{
  return client_check_logs (&of (base)->client, err) != 0
             ? -1
             : jobs_list (&of (base)->tables, after, each, context, err);
}

static int
kafka_publish_shard (struct bus *base, const struct shard *shard, struct error *err)
{
  return plan_publish_shard (&of (base)->plan, shard, err);
}

static int
kafka_publish_event (struct bus *base, const struct event *event, struct error *err)
{
  return plan_publish_event (&of (base)->plan, event, err);
}

static int
kafka_flush (struct bus *base, struct error *err)
{
  return plan_flush (&of (base)->plan, err);
}

static int
kafka_get_shard (struct bus *base, const char *job_id, uint32_t index, struct shard *shard,
                 struct error *err)
{
  return plan_get_shard (&of (base)->plan, job_id, index, shard, err);
}

static int
kafka_list_shards (struct bus *base, const char *job_id,
                   void (*each) (void *context, uint32_t index), void *context, struct error *err)
{
  return plan_list_shards (&of (base)->plan, job_id, each, context, err);
}

static int
kafka_replay (struct bus *base, const char *job_id, uint32_t generation, const uint32_t *indexes,
              size_t count, struct error *err)
{
  return plan_replay (&of (base)->plan, job_id, generation, indexes, count, err);
}

static int
kafka_list_queues (struct bus *base, struct strlist *queues, struct error *err)
{
  return queues_list (&of (base)->queues, queues, err);
}

static int
kafka_queue_served (struct bus *base, const char *queue, int64_t *since, struct error *err)
{
  return leases_queue_served (&of (base)->leases, queue, since, err);
}

static int
kafka_take (struct bus *base, enum bus_queue queue, const char *job_id, struct delivery **delivery,
            struct error *err)
{
  return client_check_logs (&of (base)->client, err) != 0
             ? -1
             : take_delivery (&of (base)->take, queue, job_id, delivery, err);
}

static int
kafka_keep (struct bus *base, struct delivery *delivery, struct error *err)
{
  return work_keep (&of (base)->work, delivery, err);
}

static int
kafka_settle (struct bus *base, struct delivery *delivery, const struct event *event,
              const struct shard *retry, struct error *err)
{
  return work_settle (&of (base)->work, delivery, event, retry, err);
}

static int
kafka_give_back (struct bus *base, struct delivery *delivery, struct error *err)
{
  return work_give_back (&of (base)->work, delivery, err);
}

static void
kafka_back_off (struct bus *base, const char *job_id, int64_t ms)
{
  choice_back_off (&of (base)->take.choice, job_id, ms);
}

static void
kafka_quiesce (struct bus *base)
{
  work_quiesce (&of (base)->work);
}

static struct follower *
kafka_follow (struct bus *base, const char *group, const char *job_id, struct error *err)
{
  return follow_open (&of (base)->plan, group, job_id, err);
}

static int
kafka_publish_control (struct bus *base, const struct control *control, struct error *err)
{
  return jobs_publish_control (&of (base)->tables, control, err);
}

static int
kafka_next_control (struct bus *base, int64_t *position, struct control *control, struct error *err)
{
  return client_check_logs (&of (base)->client, err) != 0
             ? -1
             : jobs_next_control (&of (base)->tables, position, control, err);
}

static int
kafka_put_status (struct bus *base, const struct job_status *status, struct error *err)
{
  return jobs_put_status (&of (base)->tables, status, err);
}

static int
kafka_get_status (struct bus *base, const char *job_id, struct job_status *status,
                  struct error *err)
{
  return client_check_logs (&of (base)->client, err) != 0
             ? -1
             : jobs_get_status (&of (base)->tables, job_id, status, err);
}

static int
kafka_list_dead_letters (struct bus *base,
                         int (*each) (void *context, const struct dead_letter *letter),
                         void *context, struct error *err)
{
  return dead_letters_list (&of (base)->dead_letters, each, context, err);
}

static int
kafka_replay_dead_letter (struct bus *base, const struct dead_letter *letter, struct error *err)
{
  return dead_letters_replay (&of (base)->dead_letters, letter, err);
}

static int
kafka_tail_records (struct bus *base, const struct bus_tail *tail,
                    int (*each) (void *context, const struct bus_record *record), void *context,
                    struct error *err)
{
  return tail_records (&of (base)->queues, tail, each, context, err);
}

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
  .list_shards = kafka_list_shards,
  .replay = kafka_replay,
  .list_dead_letters = kafka_list_dead_letters,
  .replay_dead_letter = kafka_replay_dead_letter,
  .tail_records = kafka_tail_records,
  .list_queues = kafka_list_queues,
  .queue_served = kafka_queue_served,
  .take_due = kafka_take,
  .keep = kafka_keep,
  .settle = kafka_settle,
  .release = kafka_give_back,
  .back_off = kafka_back_off,
  .quiesce = kafka_quiesce,
  .follow = kafka_follow,
  .publish_control = kafka_publish_control,
  .next_control = kafka_next_control,
  .put_status = kafka_put_status,
  .get_status = kafka_get_status,
};

/* ---- opening ---------------------------------------------------------------------------- */

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
      if (kafka_look_up_topics (&bus->producer, step, err) == 0)
        return 0;
      bool stopped = options->stop != NULL && *options->stop != 0;
      if (err->class != ERROR_TRANSIENT || stopped || clock_boot_ms () >= end
          || (patience_ms >= 0 && kafka_is_refused (&bus->client.trouble)))
        return -1;
      log_unavailable (bus, err);
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
  bus->client.registry = registry_open (&options, err);
  return bus->client.registry == NULL ? -1 : 0;
}

/* What would come to nothing later is told now. */
static int
check_role (struct kafka_bus *bus, enum bus_role role, struct error *err)
{
  static const char *const records[] = { [BUS_ROLE_PRODUCER] = "a producer's record",
                                         [BUS_ROLE_API] = "a producer's record",
                                         [BUS_ROLE_WORKER] = "a worker's record",
                                         [BUS_ROLE_MERGER] = "a merger's record" };
  if (role == BUS_ROLE_NONE)
    return 0;
  bus->layout.says = true;
  if (grants_check (&bus->queues, role, err) != 0)
    return -1;
  struct error away = ERROR_INIT;
  if (leases_need_layout (&bus->leases, &away) == 0)
    return trust_need_key (&bus->client.trust, records[role], err);
  if (away.class == ERROR_TRANSIENT)
    /* brokers that are slow or gone again: a service outlives that, and what is wrong shows
       later */
    return 0;
  *err = away;
  return -1;
}

/* Each part knows those that it stands on. */
static void
join_parts (struct kafka_bus *bus)
{
  bus->producer.client = &bus->client;
  queues_init (&bus->queues, &bus->producer);
  bus->config.producer = &bus->producer;
  bus->layout.producer = &bus->producer;
  bus->dead_letters.producer = &bus->producer;
  bus->dead_letters.queues = &bus->queues;
  bus->tables.producer = &bus->producer;
  bus->tables.queues = &bus->queues;
  bus->tables.dead_letters = &bus->dead_letters;
  bus->inflight.producer = &bus->producer;
  bus->leases.log = (struct kafka_claims_log){ .inflight = &bus->inflight,
                                               .queues = &bus->queues,
                                               .config = &bus->config,
                                               .layout = &bus->layout,
                                               .dead_letters = &bus->dead_letters };
  bus->leases.producer = &bus->producer;
  bus->leases.queues = &bus->queues;
  bus->leases.jobs = &bus->work.jobs;
  bus->work.producer = &bus->producer;
  bus->work.queues = &bus->queues;
  bus->work.tables = &bus->tables;
  bus->work.leases = &bus->leases;
  bus->work.inflight = &bus->inflight;
  bus->take.work = &bus->work;
  bus->take.choice.work = &bus->work;
  bus->plan.work = &bus->work;
  tables_init (&bus->tables);
  work_init (&bus->work);
}

struct bus *
kafka_bus_open (const char *rest, const struct bus_options *options, struct error *err)
{
  struct error ignored = ERROR_INIT;
  struct kafka_bus *bus = xcalloc (1, sizeof *bus);
  TAILQ_INIT (&bus->dead_letters.unconfirmed);
  err = err == NULL ? &ignored : err;
  bus->bus.ops = &kafka_ops;
  bus->client.writer = client_make_writer (options->client);
  bus->client.lease_ms = options->lease_ms > 0 ? options->lease_ms : LEASE_MS;
  bus->take.slots = options->slots > 0 ? options->slots : 1;
  bus->complained_at = clock_boot_ms ();
  bus->client.metrics = options->metrics;
  bus->config.settings = xstrdup (options->settings);
  bus->config.ours = xstrdup (options->config);
  bus->client.wake_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  join_parts (bus);
  int named = client_init (&bus->client, rest, options, err);
  if (bus->client.wake_fd < 0)
    (void) error_errno (err, errno, "eventfd");
  else if (named == 0 && trust_init (&bus->client.trust, err) == 0 && open_registry (bus, err) == 0
           && producer_open (&bus->producer, err) == 0 && await_brokers (bus, options, err) == 0
           && work_serve (&bus->work, options->queues, err) == 0)
    bus->reader = kafka_reader_open (&bus->producer, NULL, err);
  bus->dead_letters.reader = bus->tables.reader = bus->leases.reader = bus->reader;
  if (bus->reader != NULL && check_role (bus, options->role, err) == 0)
    return &bus->bus;
  kafka_close (&bus->bus);
  return NULL;
}
