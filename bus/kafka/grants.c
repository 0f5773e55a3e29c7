/* What each service needs of the brokers' access control, asked for at opening by whoever would
 * notice in the middle of his work (docs/operations.md has the table of who needs what). */
#include "bus/kafka/grants.h"

#include "bus/kafka/access.h"
#include "bus/kafka/client.h"
#include "bus/kafka/reader.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"

#include <string.h>

enum
{
  ANSWER_MS = 15000,
  STEP_MS = 20,
  NOWHERE = 1000000, /* no topic has a partition of this number */
};

/* ---- what each service needs --------------------------------------------------------------- */

struct need
{
  enum topic topic;
  bool reads;
  bool writes;
};

enum
{
  NEEDS_MAX = 8,
};

struct role_needs
{
  const char *group; /* in whose name it commits offsets of TOPIC */
  enum topic topic;
  struct need needs[NEEDS_MAX]; /* the last ones neither read nor write */
};

static const struct role_needs roles[] = {
  [BUS_ROLE_PRODUCER] = { "workers",
                          TOPIC_JOBS,
                          { { TOPIC_JOBS, true, false },
                            { TOPIC_SHARDS, true, true },
                            { TOPIC_LEASES, true, true },
                            { TOPIC_EVENTS, false, true },
                            { TOPIC_CONTROL, true, false },
                            { TOPIC_STATUS, true, false },
                            { TOPIC_DEAD, false, true } } },
  [BUS_ROLE_API] = { "workers",
                     TOPIC_JOBS,
                     { { TOPIC_JOBS, true, true },
                       { TOPIC_SHARDS, true, true },
                       { TOPIC_LEASES, true, true },
                       { TOPIC_EVENTS, true, true },
                       { TOPIC_CONTROL, true, true },
                       { TOPIC_STATUS, true, false },
                       { TOPIC_DEAD, false, true } } },
  [BUS_ROLE_WORKER] = { "workers",
                        TOPIC_SHARDS,
                        { { TOPIC_JOBS, true, false },
                          { TOPIC_SHARDS, true, true },
                          { TOPIC_CLAIMS, true, true },
                          { TOPIC_LEASES, true, true },
                          { TOPIC_EVENTS, false, true },
                          { TOPIC_CONTROL, true, false },
                          { TOPIC_STATUS, true, false },
                          { TOPIC_DEAD, false, true } } },
  [BUS_ROLE_MERGER] = { "merger",
                        TOPIC_EVENTS,
                        { { TOPIC_JOBS, true, false },
                          { TOPIC_SHARDS, false, true },
                          { TOPIC_LEASES, true, true },
                          { TOPIC_EVENTS, true, true },
                          { TOPIC_CONTROL, true, true },
                          { TOPIC_STATUS, true, true },
                          { TOPIC_DEAD, false, true } } },
};

/* A check under way: one topic's reading or writing, until the brokers have said something. */
struct probe
{
  int topic;
  bool answered;
  rd_kafka_resp_err_t answer;
};

struct grants_check
{
  const struct kafka_queues *queues;
  struct probe reads[TOPICS_MAX];
  size_t read_count;
  struct probe writes[TOPICS_MAX];
  size_t write_count;
};

static void
grants_add (struct grants_check *check, int topic, bool reads, bool writes)
{
  if (reads)
    check->reads[check->read_count++].topic = topic;
  if (writes)
    check->writes[check->write_count++].topic = topic;
}

/* Shards and claims are those of the queues that are served, else of the default one. */
static void
add_needs (struct grants_check *check, const struct role_needs *role, bool serves)
{
  for (size_t i = 0; i < NEEDS_MAX; i++)
    {
      const struct need *need = &role->needs[i];
      bool of_queue = need->topic == TOPIC_SHARDS || need->topic == TOPIC_CLAIMS;
      int queues = of_queue && serves ? check->queues->served_count : 1;
      for (int queue = 0; queue < queues; queue++)
        {
          int topic = (int) need->topic;
          if (of_queue && serves)
            topic = need->topic == TOPIC_SHARDS ? check->queues->served[queue]->shards
                                                : check->queues->served[queue]->claims;
          grants_add (check, topic, need->reads, need->writes);
        }
    }
}

static struct probe *
grants_find (struct probe *probes, size_t count, const struct kafka_client *client,
             const char *name)
{
  for (size_t i = 0; i < count; i++)
    if (strcmp (client->topics.names[probes[i].topic], name) == 0)
      return &probes[i];
  return NULL;
}

static bool
is_open (const struct probe *probes, size_t count)
{
  for (size_t i = 0; i < count; i++)
    if (!probes[i].answered)
      return true;
  return false;
}

static void
probe_set_answers (struct probe *probes, size_t count, const struct kafka_client *client,
                   const rd_kafka_message_t *message)
{
  struct probe *probe = message->rkt == NULL ? NULL
                                             : grants_find (probes, count, client,
                                                            rd_kafka_topic_name (message->rkt));
  if (probe == NULL)
    return;
  probe->answered = true;
  probe->answer = message->err;
}

/* ---- writing ---------------------------------------------------------------------------- */

/* A record whose sender wants two acknowledgements, which no broker gives: it is refused for that
 * (INVALID_REQUIRED_ACKS) by who would let us write, and before that is looked at by who wouldn't.
 * Nothing is written either way. */
static int
grants_probe_write (struct grants_check *check, struct error *err)
{
  static const char *const settings[] = { "enable.idempotence",       "false", "acks", "2",
                                          "message.send.max.retries", "0",     NULL };
  struct kafka_client *client = check->queues->producer->client;
  rd_kafka_t *handle = kafka_asker (client, RD_KAFKA_PRODUCER, settings, err);
  if (handle == NULL)
    return -1;
  rd_kafka_queue_t *queue = rd_kafka_queue_get_main (handle);
  for (size_t i = 0; i < check->write_count; i++)
    {
      const char *name = client->topics.names[check->writes[i].topic];
      if (rd_kafka_producev (handle, RD_KAFKA_V_TOPIC (name), RD_KAFKA_V_PARTITION (0),
                             RD_KAFKA_V_KEY ("access", 6), RD_KAFKA_V_END)
          != RD_KAFKA_RESP_ERR_NO_ERROR)
        check->writes[i].answered = true;
    }
  for (int64_t end = clock_boot_ms () + ANSWER_MS;
       is_open (check->writes, check->write_count) && clock_boot_ms () < end;)
    {
      rd_kafka_event_t *event = rd_kafka_queue_poll (queue, STEP_MS);
      const rd_kafka_message_t *message = NULL;
      while (rd_kafka_event_type (event) == RD_KAFKA_EVENT_DR
             && (message = rd_kafka_event_message_next (event)) != NULL)
        probe_set_answers (check->writes, check->write_count, client, message);
      rd_kafka_event_destroy (event);
    }
  rd_kafka_queue_destroy (queue);
  (void) rd_kafka_purge (handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  rd_kafka_destroy (handle);
  return 0;
}

/* ---- reading ---------------------------------------------------------------------------- */

/* Whatever comes, a record, the partition's end, an offset that is gone: only a refusal matters. */
static int
grants_probe_read (struct grants_check *check, struct error *err)
{
  static const char *const settings[] = { "fetch.message.max.bytes", "1000", "queued.min.messages",
                                          "1", NULL };
  struct kafka_client *client = check->queues->producer->client;
  rd_kafka_t *handle = kafka_asker (client, RD_KAFKA_CONSUMER, settings, err);
  if (handle == NULL)
    return -1;
  rd_kafka_topic_t *topics[TOPICS_MAX];
  rd_kafka_queue_t *queue = rd_kafka_queue_new (handle);
  for (size_t i = 0; i < check->read_count; i++)
    {
      topics[i] = rd_kafka_topic_new (handle, client->topics.names[check->reads[i].topic], NULL);
      (void) rd_kafka_consume_start_queue (topics[i], 0, 0, queue);
    }
  for (int64_t end = clock_boot_ms () + ANSWER_MS;
       is_open (check->reads, check->read_count) && clock_boot_ms () < end;)
    {
      auto_message rd_kafka_message_t *message = rd_kafka_consume_queue (queue, STEP_MS);
      if (message != NULL)
        probe_set_answers (check->reads, check->read_count, client, message);
    }
  for (size_t i = 0; i < check->read_count; i++)
    {
      (void) rd_kafka_consume_stop (topics[i], 0);
      rd_kafka_topic_destroy (topics[i]);
    }
  rd_kafka_queue_destroy (queue);
  rd_kafka_destroy (handle);
  return 0;
}

/* ---- committing ------------------------------------------------------------------------- */

/* What the handle says of its troubles: that its group's coordinator isn't told to us is nowhere
 * else. */
static rd_kafka_resp_err_t
next_trouble (const struct kafka_reader *reader)
{
  auto_message rd_kafka_message_t *message = rd_kafka_consumer_poll (reader->handle, 0);
  return message == NULL ? RD_KAFKA_RESP_ERR_NO_ERROR : message->err;
}

/* The offset of a partition that there isn't: refused for that by who would let us commit. */
static rd_kafka_resp_err_t
grants_probe_commit (const struct kafka_reader *reader, const char *topic)
{
  rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
  rd_kafka_queue_t *answers = rd_kafka_queue_new (reader->handle);
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new (1);
  rd_kafka_topic_partition_list_add (list, topic, NOWHERE)->offset = 0;
  if (rd_kafka_commit_queue (reader->handle, list, answers, NULL, NULL)
      == RD_KAFKA_RESP_ERR_NO_ERROR)
    for (int64_t end = clock_boot_ms () + ANSWER_MS; clock_boot_ms () < end;)
      {
        rd_kafka_event_t *event = rd_kafka_queue_poll (answers, STEP_MS);
        code = event == NULL ? next_trouble (reader) : rd_kafka_event_error (event);
        rd_kafka_event_destroy (event);
        if (event != NULL || access_is_denied (code))
          break;
      }
  rd_kafka_topic_partition_list_destroy (list);
  rd_kafka_queue_destroy (answers);
  return code;
}

static int
check_group (struct kafka_producer *producer, const struct role_needs *role, struct error *err)
{
  auto_free char *group = xasprintf ("%s.%s", producer->client->prefix, role->group);
  struct kafka_reader *reader = kafka_reader_open (producer, group, err);
  if (reader == NULL)
    return -1;
  rd_kafka_resp_err_t code =
      grants_probe_commit (reader, producer->client->topics.names[role->topic]);
  kafka_reader_close (reader);
  return code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED
             ? access_lacks (producer->client, "Read", "group", group, err)
             : 0;
}

/* ---- the answer ------------------------------------------------------------------------- */

/* The first that was refused. */
static int
grants_judge (const struct grants_check *check, struct error *err)
{
  const struct kafka_client *client = check->queues->producer->client;
  for (size_t i = 0; i < check->read_count; i++)
    if (check->reads[i].answer == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
      return access_lacks (client, "Read", "topic", client->topics.names[check->reads[i].topic],
                           err);
  for (size_t i = 0; i < check->write_count; i++)
    if (check->writes[i].answer == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
      return access_lacks (client, "Write", "topic", client->topics.names[check->writes[i].topic],
                           err);
  if (is_open (check->reads, check->read_count) || is_open (check->writes, check->write_count))
    log_warn ("acl_check_incomplete", "bus=%s", client->url); /* slow brokers: it shows later */
  return 0;
}

int
grants_check (struct kafka_queues *queues, enum bus_role role, struct error *err)
{
  struct grants_check check = { .queues = queues };
  add_needs (&check, &roles[role], role == BUS_ROLE_WORKER);
  if (grants_probe_read (&check, err) != 0 || grants_probe_write (&check, err) != 0)
    return -1;
  if (grants_judge (&check, err) == 0 && check_group (queues->producer, &roles[role], err) == 0)
    return 0;
  if (err != NULL)
    err->class = ERROR_USER; /* waiting doesn't mend it */
  return -1;
}
