/* The topics: creating and checking them. */
#include "bus/kafka/topics.h"

#include "bus/kafka/access.h"
#include "bus/kafka/client.h"
#include "bus/kafka/layout.h"
#include "bus/kafka/metadata.h"
#include "bus/kafka/producer.h"
#include "bus/kafka/queues.h"
#include "bus/kafka/topic_names.h"
#include "bus/kafka/topic_settings.h"
#include "bus/kafka/trouble.h"

#include "common/clock.h"
#include "common/memory.h"

#include <limits.h>
#include <string.h>

enum
{
  REPLICATION = 3,
  ADMIN_MS = 30000,
};

/* The fewest replicas that a partition of the topic has. */
static int
copies_of (const struct rd_kafka_metadata *metadata, const char *name)
{
  int fewest = INT_MAX;
  for (int i = 0; i < metadata->topic_cnt; i++)
    for (int j = 0; j < metadata->topics[i].partition_cnt; j++)
      if (strcmp (metadata->topics[i].topic, name) == 0
          && metadata->topics[i].partitions[j].replica_cnt < fewest)
        fewest = metadata->topics[i].partitions[j].replica_cnt;
  return fewest == INT_MAX ? 0 : fewest;
}

/* ---- the admin's handle ----------------------------------------------------------------- */

struct admin
{
  struct kafka_client client;
  struct kafka_producer producer;
  struct kafka_queues queues;
  rd_kafka_queue_t *queue;
  const struct topics_options *options;
  void (*say) (void *context, const char *line);
  void *context;
  int brokers;
  int copies[TOPICS_MAX]; /* that each topic has */
};

static void
admin_close (struct admin *admin)
{
  if (admin->queue != NULL)
    rd_kafka_queue_destroy (admin->queue);
  if (admin->producer.handle != NULL)
    rd_kafka_destroy (admin->producer.handle);
  queues_release (&admin->queues);
  client_release (&admin->client);
}

static int
add_queue (struct admin *admin, const char *name, struct error *err)
{
  if (queues_find (&admin->queues, name) != NULL)
    return 0;
  return queues_add (&admin->queues, name, err) == NULL ? -1 : 0;
}

/* Those that are asked for and, with ALL, those whose topics there are. */
static int
add_queues (struct admin *admin, const struct rd_kafka_metadata *metadata, bool all,
            struct error *err)
{
  const struct strlist *named = admin->options->queues;
  for (size_t i = 0; named != NULL && i < named->count; i++)
    if (add_queue (admin, named->items[i], err) != 0)
      return -1;
  auto_free char *shards = xasprintf ("%s.", admin->client.topics.names[TOPIC_SHARDS]);
  for (int i = 0; all && i < metadata->topic_cnt; i++)
    if (strncmp (metadata->topics[i].topic, shards, strlen (shards)) == 0
        && add_queue (admin, metadata->topics[i].topic + strlen (shards), err) != 0)
      return -1;
  return 0;
}

static int
admin_open (struct admin *admin, const char *url, const struct bus_options *options, bool all,
            struct error *err)
{
  static const char scheme[] = "kafka://";
  const struct rd_kafka_metadata *metadata = NULL;
  if (strncmp (url, scheme, sizeof scheme - 1) != 0)
    return error_set (err, ERROR_USER, "%s: only a Kafka bus has topics: kafka://HOST:PORT", url);
  admin->producer.client = &admin->client;
  admin->client.wake_fd = -1;
  queues_init (&admin->queues, &admin->producer);
  if (client_init (&admin->client, url + sizeof scheme - 1, options, err) != 0)
    return -1;
  admin->producer.handle = kafka_handle (&admin->client, RD_KAFKA_PRODUCER, NULL, NULL, err);
  if (admin->producer.handle == NULL
      || metadata_query (&admin->producer, kafka_patience (options), &metadata, err) != 0)
    return -1;
  admin->queue = rd_kafka_queue_new (admin->producer.handle);
  admin->brokers = metadata->broker_cnt;
  int outcome = add_queues (admin, metadata, all, err);
  for (int i = 0; i < admin->client.topics.count; i++)
    {
      admin->client.topics.partitions[i] =
          metadata_partitions (metadata, admin->client.topics.names[i]);
      admin->copies[i] = copies_of (metadata, admin->client.topics.names[i]);
    }
  rd_kafka_metadata_destroy (metadata);
  return outcome;
}

static void
admin_report (const struct admin *admin, char *line)
{
  admin->say (admin->context, line);
  free (line);
}

static int
replication (const struct admin *admin)
{
  if (admin->options->replication > 0)
    return admin->options->replication;
  return admin->brokers < REPLICATION ? admin->brokers : REPLICATION;
}

/* How many partitions the shards have that the claims in TOPIC are on. */
static int32_t
shards_of (const struct admin *admin, int topic)
{
  return admin->client.topics.partitions[topic == TOPIC_CLAIMS ? TOPIC_SHARDS : topic - 1];
}

/* The answer to a request; NULL with ERR. */
static rd_kafka_event_t *
admin_await (struct admin *admin, const char *what, struct error *err)
{
  rd_kafka_event_t *event = rd_kafka_queue_poll (admin->queue, ADMIN_MS);
  if (event == NULL)
    {
      (void) kafka_timeout (&admin->client.trouble, what, err);
      return NULL;
    }
  if (rd_kafka_event_error (event) == RD_KAFKA_RESP_ERR_NO_ERROR)
    return event;
  (void) error_set (err, ERROR_TRANSIENT, "%s: %s: %s", admin->client.url, what,
                    rd_kafka_event_error_string (event));
  rd_kafka_event_destroy (event);
  return NULL;
}

/* ---- creating --------------------------------------------------------------------------- */

/* 0 when all topics of the ANSWER were made, or were there. */
static int
read_results (struct admin *admin, rd_kafka_event_t *event, bool created, struct error *err)
{
  size_t count = 0;
  const rd_kafka_topic_result_t **results =
      created
          ? rd_kafka_CreateTopics_result_topics (rd_kafka_event_CreateTopics_result (event), &count)
          : rd_kafka_CreatePartitions_result_topics (rd_kafka_event_CreatePartitions_result (event),
                                                     &count);
  for (size_t i = 0; i < count; i++)
    {
      rd_kafka_resp_err_t code = rd_kafka_topic_result_error (results[i]);
      if (code != RD_KAFKA_RESP_ERR_NO_ERROR
          && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) /* somebody was faster */
        return access_explain (&admin->client, code, created ? "Create" : "Alter",
                               rd_kafka_topic_result_name (results[i]),
                               rd_kafka_topic_result_error_string (results[i]), err);
    }
  return 0;
}

static bool
knows_all (const struct admin *admin)
{
  for (int i = 0; i < admin->client.topics.count; i++)
    if (admin->client.topics.partitions[i] <= 0)
      return false;
  return true;
}

/* Brokers hear of new topics one after the other. */
static int
await_topics (struct admin *admin, struct error *err)
{
  for (int64_t end = clock_boot_ms () + ADMIN_MS;;)
    {
      const struct rd_kafka_metadata *metadata = NULL;
      if (metadata_query (&admin->producer, ADMIN_MS, &metadata, err) != 0)
        return -1;
      for (int i = 0; i < admin->client.topics.count; i++)
        admin->client.topics.partitions[i] =
            metadata_partitions (metadata, admin->client.topics.names[i]);
      rd_kafka_metadata_destroy (metadata);
      if (knows_all (admin))
        return 0;
      if (clock_boot_ms () >= end)
        return kafka_timeout (&admin->client.trouble, "creating topics", err);
      kafka_serve (&admin->producer, 20);
    }
}

static int
create_missing (struct admin *admin, struct error *err)
{
  rd_kafka_NewTopic_t *topics[TOPICS_MAX];
  size_t count = 0;
  int copies = replication (admin);
  char text[512] = "";
  for (int i = 0; i < admin->client.topics.count; i++)
    {
      struct topic_setting settings[TOPIC_SETTINGS_MAX];
      if (admin->client.topics.partitions[i] > 0)
        continue;
      int partitions = topic_partitions (i, admin->options);
      if (kafka_topic_kind (i) == TOPIC_CLAIMS && partitions < shards_of (admin, i))
        partitions = shards_of (admin, i);
      rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new (admin->client.topics.names[i], partitions,
                                                          copies, text, sizeof text);
      size_t set = topic_settings (i, admin->options, copies, settings);
      for (size_t j = 0; topic != NULL && j < set; j++)
        (void) rd_kafka_NewTopic_set_config (topic, settings[j].name, settings[j].value);
      if (topic != NULL)
        topics[count++] = topic;
      admin_report (admin,
                    xasprintf ("%s: created, %d partition%s, %d cop%s",
                               admin->client.topics.names[i], partitions,
                               partitions == 1 ? "" : "s", copies, copies == 1 ? "y" : "ies"));
    }
  if (count == 0)
    return 0;
  rd_kafka_CreateTopics (admin->producer.handle, topics, count, NULL, admin->queue);
  rd_kafka_NewTopic_destroy_array (topics, count);
  rd_kafka_event_t *event = admin_await (admin, "creating topics", err);
  if (event == NULL)
    return -1;
  int outcome = read_results (admin, event, true, err);
  rd_kafka_event_destroy (event);
  return outcome != 0 ? -1 : await_topics (admin, err);
}

static int
add_partitions (struct admin *admin, int topic, int wanted, struct error *err)
{
  char text[512] = "";
  int32_t have = admin->client.topics.partitions[topic];
  if (wanted <= have)
    return 0;
  rd_kafka_NewPartitions_t *more = rd_kafka_NewPartitions_new (admin->client.topics.names[topic],
                                                               (size_t) wanted, text, sizeof text);
  if (more == NULL)
    return error_set (err, ERROR_USER, "%s: %s", admin->client.topics.names[topic], text);
  rd_kafka_CreatePartitions (admin->producer.handle, &more, 1, NULL, admin->queue);
  rd_kafka_NewPartitions_destroy (more);
  rd_kafka_event_t *event = admin_await (admin, "adding partitions", err);
  if (event == NULL)
    return -1;
  int outcome = read_results (admin, event, false, err);
  rd_kafka_event_destroy (event);
  admin_report (admin, xasprintf ("%s: %d partitions, were %d", admin->client.topics.names[topic],
                                  wanted, have));
  return outcome;
}

/* Claims first: a shard's message must find its claims' partition. They follow the shards' even if
 * nobody asks for more. */
static int
grow_queue (struct admin *admin, const struct kafka_queue *queue, bool asked, struct error *err)
{
  int more = asked ? admin->options->shard_partitions : 0;
  int shards = admin->client.topics.partitions[queue->shards];
  if (add_partitions (admin, queue->claims, more > shards ? more : shards, err) != 0)
    return -1;
  return add_partitions (admin, queue->shards, more, err);
}

int
topics_create (const char *url, const struct bus_options *bus, const struct topics_options *options,
               void (*tell) (void *context, const char *line), void *context, struct error *err)
{
  struct admin admin = { .options = options, .say = tell, .context = context };
  int outcome = admin_open (&admin, url, bus, false, err);
  if (outcome == 0)
    outcome = create_missing (&admin, err);
  for (int i = 0; outcome == 0 && i < admin.queues.count; i++)
    outcome = grow_queue (&admin, &admin.queues.items[i], i > 0 || admin.queues.count == 1, err);
  admin_close (&admin);
  return outcome;
}

/* ---- checking --------------------------------------------------------------------------- */

static int
check_settings (const struct admin *admin, int topic, const rd_kafka_ConfigResource_t *resource,
                bool describe)
{
  int wrong = 0;
  struct topic_setting settings[TOPIC_SETTINGS_MAX];
  int copies =
      replication (admin) > admin->copies[topic] ? replication (admin) : admin->copies[topic];
  size_t count = topic_settings (topic, admin->options, copies, settings);
  for (size_t i = 0; i < count; i++)
    {
      const char *value = topic_setting_of (resource, settings[i].name);
      bool good = topic_setting_is_good (&settings[i], value);
      if (!good || describe)
        admin_report (admin, xasprintf ("%s: %s = %s%s%s", admin->client.topics.names[topic],
                                        settings[i].name, value == NULL ? "(unset)" : value,
                                        good ? "" : ", should be ", good ? "" : settings[i].value));
      wrong += good ? 0 : 1;
    }
  return wrong;
}

static int
check_partitions (const struct admin *admin, int topic, bool describe)
{
  enum topic kind = kafka_topic_kind (topic);
  int32_t have = admin->client.topics.partitions[topic];
  bool alone = topic_partitions (topic, admin->options) == 1;
  bool few = kind == TOPIC_CLAIMS && have < shards_of (admin, topic);
  auto_free char *queue = metadata_queue_option (&admin->client.topics, topic);
  if (have == 0)
    admin_report (admin, xasprintf ("%s: missing: `shoal topics create%s`",
                                    admin->client.topics.names[topic], queue));
  else if (few)
    admin_report (admin, xasprintf ("%s: %d partitions, should be %d: `shoal topics create%s`",
                                    admin->client.topics.names[topic], have,
                                    shards_of (admin, topic), queue));
  else if (alone && have != 1)
    admin_report (admin, xasprintf ("%s: %d partitions, should be 1",
                                    admin->client.topics.names[topic], have));
  else if (describe)
    admin_report (admin, xasprintf ("%s: %d partition%s", admin->client.topics.names[topic], have,
                                    have == 1 ? "" : "s"));
  return have == 0 || few || (alone && have != 1) ? 1 : 0;
}

/* Fewer copies than `topics create` would make now, as when brokers came later. */
static int
check_copies (const struct admin *admin, int topic, bool describe)
{
  int have = admin->copies[topic];
  int wanted = replication (admin);
  const char *copies = have == 1 ? "copy" : "copies";
  if (have < wanted)
    admin_report (admin,
                  xasprintf ("%s: %d %s, should be %d: kafka-reassign-partitions.sh adds them",
                             admin->client.topics.names[topic], have, copies, wanted));
  else if (describe)
    admin_report (admin, xasprintf ("%s: %d %s", admin->client.topics.names[topic], have, copies));
  return have < wanted ? 1 : 0;
}

/* Partitions that were added to the events are no fault: nobody uses them. */
static int
check_layout (struct admin *admin)
{
  struct error why = ERROR_INIT;
  const struct kafka_topics *topics = &admin->client.topics;
  int32_t have = topics->partitions[TOPIC_EVENTS];
  if (have == 0 || topics->partitions[TOPIC_LEASES] == 0)
    return 0;
  int32_t used = layout_read (&admin->producer, &why);
  if (used < 0)
    admin_report (admin, xasprintf ("%s: over how many of the %d partitions jobs are spread isn't "
                                    "known: %s",
                                    topics->names[TOPIC_EVENTS], have, why.message));
  if (used > have)
    admin_report (admin, xasprintf ("%s: %d partitions, jobs are spread over %d: add the missing "
                                    "ones with kafka-topics.sh --alter",
                                    topics->names[TOPIC_EVENTS], have, used));
  if (used > 0 && used < have)
    admin_report (admin, xasprintf ("%s: %d partitions, of which only the first %d are used: jobs "
                                    "were begun with these, and those that were added stay empty",
                                    topics->names[TOPIC_EVENTS], have, used));
  return used > have ? 1 : 0;
}

static int
check_all (struct admin *admin, bool describe, struct error *err)
{
  int wrong = 0;
  rd_kafka_ConfigResource_t *wanted[TOPICS_MAX];
  size_t count = 0;
  for (int i = 0; i < admin->client.topics.count; i++)
    {
      wrong += check_partitions (admin, i, describe);
      if (admin->client.topics.partitions[i] == 0)
        continue;
      wrong += check_copies (admin, i, describe);
      wanted[count++] =
          rd_kafka_ConfigResource_new (RD_KAFKA_RESOURCE_TOPIC, admin->client.topics.names[i]);
    }
  if (count == 0)
    return wrong;
  wrong += check_layout (admin);
  rd_kafka_DescribeConfigs (admin->producer.handle, wanted, count, NULL, admin->queue);
  rd_kafka_ConfigResource_destroy_array (wanted, count);
  rd_kafka_event_t *event = admin_await (admin, "reading the topics' settings", err);
  if (event == NULL)
    return -1;
  const rd_kafka_ConfigResource_t **found = rd_kafka_DescribeConfigs_result_resources (
      rd_kafka_event_DescribeConfigs_result (event), &count);
  if (access_check_configs (&admin->client, found, count, err) != 0)
    wrong = -1;
  for (size_t i = 0; wrong >= 0 && i < count; i++)
    for (int topic = 0; topic < admin->client.topics.count; topic++)
      if (strcmp (rd_kafka_ConfigResource_name (found[i]), admin->client.topics.names[topic]) == 0)
        wrong += check_settings (admin, topic, found[i], describe);
  rd_kafka_event_destroy (event);
  return wrong;
}

/* Opens ADMIN for a check. Brokers hear of new topics one after the other, and this may be another
 * one than the one that made them. */
static int
open_for_check (struct admin *admin, const char *url, const struct bus_options *bus,
                struct error *err)
{
  const struct admin fresh = *admin;
  for (int64_t end = clock_boot_ms () + ADMIN_MS;;)
    {
      if (admin_open (admin, url, bus, true, err) != 0)
        return -1;
      if (!fresh.options->created || knows_all (admin) || clock_boot_ms () >= end)
        return 0;
      kafka_serve (&admin->producer, 100);
      admin_close (admin);
      *admin = fresh;
    }
}

int
topics_check (const char *url, const struct bus_options *bus, const struct topics_options *options,
              bool describe, void (*tell) (void *context, const char *line), void *context,
              struct error *err)
{
  struct admin admin = { .options = options, .say = tell, .context = context };
  int outcome = open_for_check (&admin, url, bus, err);
  if (outcome == 0)
    outcome = check_all (&admin, describe, err);
  admin_close (&admin);
  return outcome;
}
