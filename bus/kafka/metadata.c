/* What the brokers say of topics: partitions, leaders, offsets by time. Questions go through the
 * producer's connections: on a reader's they would wait behind its fetches. */
#include "bus/kafka/metadata.h"

#include "bus/kafka/access.h"
#include "bus/kafka/client.h"
#include "bus/kafka/producer.h"
#include "bus/kafka/topic_names.h"
#include "bus/kafka/trouble.h"

#include "common/clock.h"
#include "common/memory.h"

#include <string.h>

enum
{
  ANSWER_MS = 15000,
  QUERY_MS = 10000,
  LOOK_MS = 500, /* a look at what went wrong while an answer is waited for */
  STEP_MS = 100,
  AGAIN_MS = 20,
};

/* ---- partitions ------------------------------------------------------------------------- */

int32_t
metadata_partitions (const struct rd_kafka_metadata *metadata, const char *name)
{
  for (int i = 0; i < metadata->topic_cnt; i++)
    if (strcmp (metadata->topics[i].topic, name) == 0
        && metadata->topics[i].err == RD_KAFKA_RESP_ERR_NO_ERROR)
      return metadata->topics[i].partition_cnt;
  return 0;
}

/* Waits TIMEOUT_MS (-1: for ever), less where we are refused. */
int
metadata_query (struct kafka_producer *producer, int64_t timeout_ms,
                const struct rd_kafka_metadata **metadata, struct error *err)
{
  int64_t end = timeout_ms < 0 ? INT64_MAX : clock_boot_ms () + timeout_ms;
  do
    {
      int64_t left = end - clock_boot_ms ();
      int step = left > LOOK_MS ? LOOK_MS : left > 1 ? (int) left : 1;
      if (rd_kafka_metadata (producer->handle, 1, NULL, metadata, step)
          == RD_KAFKA_RESP_ERR_NO_ERROR)
        {
          kafka_answered (&producer->client->trouble);
          return 0;
        }
      kafka_serve (producer, 0); /* for the trouble's text */
    }
  while (clock_boot_ms () < end && !kafka_is_refused (&producer->client->trouble));
  return kafka_timeout (&producer->client->trouble, "the brokers", err);
}

/* " --queue NAME" for the commands that we tell people, "" for the default queue. The caller
 * frees. */
char *
metadata_queue_option (const struct kafka_topics *topics, int topic)
{
  if (topic < TOPICS)
    return xstrdup ("");
  const char *all = topics->names[kafka_topic_kind (topic)];
  return xasprintf (" --queue %s", topics->names[topic] + strlen (all) + 1);
}

static int
metadata_refuse_missing (const struct kafka_client *client, int topic, struct error *err)
{
  auto_free char *queue = metadata_queue_option (&client->topics, topic);
  (void) error_set (err, ERROR_USER,
                    "%s: no topic %s: create the topics with `shoal topics create --bus %s%s`",
                    client->url, client->topics.names[topic], client->url, queue);
  if (err != NULL && topic == TOPIC_JOBS)
    err->code = BUS_UNMADE;
  return -1;
}

static int
complain_of_claims (const struct kafka_client *client, int shards, int claims, struct error *err)
{
  auto_free char *option = metadata_queue_option (&client->topics, shards);
  return error_set (
      err, ERROR_USER,
      "%s: %s has %d partitions, %s has only %d: `shoal topics create --bus %s%s` adds them",
      client->url, client->topics.names[shards], client->topics.partitions[shards],
      client->topics.names[claims], client->topics.partitions[claims], client->url, option);
}

static bool
metadata_is_hidden (struct kafka_producer *producer, int topic, struct error *err)
{
  const struct rd_kafka_metadata *metadata = NULL;
  rd_kafka_topic_t *asked =
      rd_kafka_topic_new (producer->handle, producer->client->topics.names[topic], NULL);
  rd_kafka_resp_err_t code = rd_kafka_metadata (producer->handle, 0, asked, &metadata, ANSWER_MS);
  rd_kafka_topic_destroy (asked);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return false;
  bool hidden = metadata->topic_cnt == 1 && access_is_denied (metadata->topics[0].err);
  rd_kafka_metadata_destroy (metadata);
  if (hidden)
    (void) access_lacks (producer->client, "Describe", "topic",
                         producer->client->topics.names[topic], err);
  if (hidden && err != NULL)
    err->class = ERROR_USER;
  return hidden;
}

int
metadata_note_partitions (struct kafka_topics *topics, const struct rd_kafka_metadata *metadata)
{
  int missing = -1;
  for (int i = 0; i < topics->count; i++)
    {
      int32_t found = metadata_partitions (metadata, topics->names[i]);
      topics->partitions[i] = found > 0 ? found : topics->partitions[i];
      if (found == 0 && missing < 0)
        missing = i;
    }
  return missing;
}

int
kafka_look_up_topics (struct kafka_producer *producer, int timeout_ms, struct error *err)
{
  struct kafka_topics *topics = &producer->client->topics;
  const struct rd_kafka_metadata *metadata = NULL;
  if (metadata_query (producer, timeout_ms, &metadata, err) != 0)
    return -1;
  int missing = metadata_note_partitions (topics, metadata);
  rd_kafka_metadata_destroy (metadata);
  if (missing >= 0)
    return metadata_is_hidden (producer, missing, err)
               ? -1
               : metadata_refuse_missing (producer->client, missing, err);
  for (int i = TOPIC_SHARDS; i < topics->count; i = i == TOPIC_SHARDS ? TOPICS : i + 2)
    if (topics->partitions[i + 1] < topics->partitions[i])
      return complain_of_claims (producer->client, i, i + 1, err);
  return 0;
}

/* ---- leaders ---------------------------------------------------------------------------- */

/* A partition that was just made, or whose leader has changed, has no leader for a moment. */
bool
kafka_may_pass (rd_kafka_resp_err_t code)
{
  return code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION
         || code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE
         || code == RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE
         || code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN
         || code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__TRANSPORT
         || code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION
         || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || code == RD_KAFKA_RESP_ERR__WAIT_COORD
         || code == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE
         || code == RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS
         || code == RD_KAFKA_RESP_ERR_NOT_COORDINATOR;
}

bool
kafka_look_for_leaders (struct kafka_producer *producer, int topic, int timeout_ms)
{
  const struct rd_kafka_metadata *metadata = NULL;
  if (rd_kafka_metadata (producer->handle, 0, producer->outgoing[topic], &metadata, timeout_ms)
      != RD_KAFKA_RESP_ERR_NO_ERROR)
    return false;
  rd_kafka_metadata_destroy (metadata);
  return true;
}

/* ---- offsets ---------------------------------------------------------------------------- */

/* The offset at TIME, which may be one of the protocol's own: RD_KAFKA_OFFSET_BEGINNING and _END.
 * rd_kafka_query_watermark_offsets would ask for both at once, but in 2.0.2 it has no end while
 * brokers are away, and where one of its two answers is a refusal (a leader that just started,
 * KIP-207) it may say that the partition is empty. */
static rd_kafka_resp_err_t
metadata_query_offset (struct kafka_producer *producer, const char *topic, int32_t partition,
                       int64_t time, int timeout_ms, int64_t *offset)
{
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new (1);
  rd_kafka_topic_partition_t *wanted = rd_kafka_topic_partition_list_add (list, topic, partition);
  wanted->offset = time;
  rd_kafka_resp_err_t code = rd_kafka_offsets_for_times (producer->handle, list, timeout_ms);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
    code = wanted->err;
  *offset = wanted->offset;
  rd_kafka_topic_partition_list_destroy (list);
  return code;
}

/* The same until there is an answer, but for no longer than a question may take.
 * RD_KAFKA_OFFSET_END: nothing is that new; NO_OFFSET with ERR. */
int64_t
metadata_find_offset (struct kafka_producer *producer, int topic, int32_t partition, int64_t time,
                      struct error *err)
{
  const char *name = producer->client->topics.names[topic];
  for (int64_t end = clock_boot_ms () + kafka_at_most (producer->client, QUERY_MS);;)
    {
      int64_t offset = 0;
      int64_t left = end - clock_boot_ms ();
      rd_kafka_resp_err_t code = metadata_query_offset (producer, name, partition, time,
                                                        left > 1 ? (int) left : 1, &offset);
      if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return offset;
      if (!kafka_may_pass (code))
        {
          (void) (access_is_denied (code)
                      ? access_lacks (producer->client, "Describe", "topic", name, err)
                      : kafka_error (&producer->client->trouble, code, name, err));
          return NO_OFFSET;
        }
      if (clock_boot_ms () + AGAIN_MS >= end)
        {
          (void) kafka_timeout (&producer->client->trouble, name, err);
          return NO_OFFSET;
        }
      kafka_serve (producer, AGAIN_MS);
      /* librdkafka before 2.10 goes on asking the one who said that he isn't any more. */
      if (code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION)
        (void) kafka_look_for_leaders (producer, topic, STEP_MS);
    }
}

int
metadata_find_ends (struct kafka_producer *producer, int topic, int64_t *ends, int32_t count,
                    struct error *err)
{
  const char *name = producer->client->topics.names[topic];
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new (count);
  for (int32_t i = 0; i < count; i++)
    rd_kafka_topic_partition_list_add (list, name, i)->offset = RD_KAFKA_OFFSET_END;
  rd_kafka_resp_err_t code = rd_kafka_offsets_for_times (
      producer->handle, list, (int) kafka_at_most (producer->client, QUERY_MS));
  for (int32_t i = 0; i < count; i++)
    ends[i] = list->elems[i].err == RD_KAFKA_RESP_ERR_NO_ERROR ? list->elems[i].offset : -1;
  rd_kafka_topic_partition_list_destroy (list);
  return code == RD_KAFKA_RESP_ERR_NO_ERROR
             ? 0
             : kafka_error (&producer->client->trouble, code, name, err);
}

/* Where nothing is that new yet, it is the end as it was before that was known: what comes
 * meanwhile is behind it. */
int64_t
metadata_find_time (struct kafka_producer *producer, int topic, int32_t partition, int64_t time,
                    struct error *err)
{
  int64_t offset = metadata_find_offset (producer, topic, partition, time, err);
  if (offset != RD_KAFKA_OFFSET_END)
    return offset == NO_OFFSET ? -1 : offset;
  int64_t end = metadata_find_offset (producer, topic, partition, RD_KAFKA_OFFSET_END, err);
  offset =
      end == NO_OFFSET ? NO_OFFSET : metadata_find_offset (producer, topic, partition, time, err);
  if (offset == NO_OFFSET)
    return -1;
  return offset == RD_KAFKA_OFFSET_END ? end : offset;
}
