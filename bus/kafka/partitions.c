/* The partitions of a queue: opened where they were committed, committed, counted for others. */
#include "bus/kafka/partitions.h"

#include "bus/kafka/partition.h"
#include "bus/kafka/reader.h"
#include "bus/kafka/trouble.h"

#include "common/clock.h"
#include "common/memory.h"

#include <stdio.h>
#include <string.h>

enum
{
  COMMIT_ALL_MS = 3600000,
};

/* ---- opening ---------------------------------------------------------------------------- */

int32_t
partitions_known (const struct partition_set *set)
{
  return set->kind == BUS_JOBS ? 1
                               : set->reader->producer->client->topics.partitions[set->messages];
}

struct partition *
partitions_find (const struct partition_set *set, int32_t number)
{
  for (int i = 0; i < set->count; i++)
    if (set->items[i]->number == number)
      return set->items[i];
  return NULL;
}

/* Fills in where the partitions of LIST are committed. Takes LIST when it fails. */
static int
partitions_read_committed (const struct partition_set *set, rd_kafka_topic_partition_list_t *list,
                           struct error *err)
{
  rd_kafka_resp_err_t code = kafka_committed (set->reader, list);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
    return 0;
  rd_kafka_topic_partition_list_destroy (list);
  return kafka_error (&set->reader->producer->client->trouble, code, "reading what was committed",
                      err);
}

int
partitions_read_offsets (const struct partition_set *set, int64_t *offsets, int32_t count,
                         struct error *err)
{
  const char *topic = set->reader->producer->client->topics.names[set->messages];
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new (count);
  for (int32_t i = 0; i < count; i++)
    (void) rd_kafka_topic_partition_list_add (list, topic, i);
  if (partitions_read_committed (set, list, err) != 0)
    return -1;
  for (int32_t i = 0; i < count; i++)
    offsets[i] = list->elems[i].offset < 0 ? -1 : list->elems[i].offset;
  rd_kafka_topic_partition_list_destroy (list);
  return 0;
}

static int
add_partition (struct partition_set *set, int32_t number, int64_t committed, const char *metadata,
               struct error *err)
{
  struct partition *partition = partition_open (set, number, committed, metadata, err);
  if (partition == NULL)
    return -1;
  set->items = xrealloc (set->items, (size_t) set->count + 1, sizeof (struct partition *));
  set->items[set->count++] = partition;
  return 0;
}

int
partitions_open (struct partition_set *set, const bool *wanted, int32_t count, struct error *err)
{
  const char *topic = set->reader->producer->client->topics.names[set->messages];
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new (count);
  for (int32_t i = 0; i < count; i++)
    if ((wanted == NULL || wanted[i]) && partitions_find (set, i) == NULL)
      (void) rd_kafka_topic_partition_list_add (list, topic, i);
  if (list->cnt > 0 && partitions_read_committed (set, list, err) != 0)
    return -1;
  int outcome = 0;
  for (int i = 0; outcome == 0 && i < list->cnt; i++)
    {
      auto_free char *metadata =
          xstrndup (list->elems[i].metadata == NULL ? "" : list->elems[i].metadata,
                    list->elems[i].metadata_size);
      outcome = add_partition (set, list->elems[i].partition, list->elems[i].offset, metadata, err);
    }
  rd_kafka_topic_partition_list_destroy (list);
  return outcome;
}

/* How far PARTITION is settled, as far as this handle knows. METADATA (the caller frees;
 * NULL: not wanted) is what is committed with that. */
static int64_t
settled_of (const struct partition *partition, char **metadata)
{
  return partition->loaded ? partition_watermark (partition, metadata) : partition->committed;
}

/* ---- gauges ----------------------------------------------------------------------------- */

static struct metric *
gauge (const struct partition *partition, const char *name, const char *help)
{
  const struct kafka_client *client = partition_producer (partition)->client;
  char number[16];
  (void) snprintf (number, sizeof number, "%d", partition->number);
  return metrics_gauge (
      client->metrics, name, help,
      LABELS ("topic", client->topics.names[partition->set->messages], "partition", number));
}

/* Where the partition ends as the last fetch said; no question. */
static int64_t
end_of (const struct partition *partition)
{
  const struct kafka_client *client = partition_producer (partition)->client;
  int64_t low = 0;
  int64_t high = 0;
  rd_kafka_resp_err_t code = rd_kafka_get_watermark_offsets (
      partition->set->reader->handle, client->topics.names[partition->set->messages],
      partition->number, &low, &high);
  return code != RD_KAFKA_RESP_ERR_NO_ERROR || high < partition->messages.end
             ? partition->messages.end
             : high;
}

static void
show_partition (struct partition *partition)
{
  if (partition->gauges.watermark == NULL)
    partition->gauges = (struct partition_gauges){
      .watermark = gauge (partition, "shoal_committed_offset",
                          "Offset up to which all messages are settled."),
      .incomplete = gauge (partition, "shoal_partition_incomplete",
                           "Messages that this process has read but not settled."),
      .lag = gauge (partition, "shoal_consumer_lag",
                    "Messages between that offset and the end of the partition."),
      .retries = gauge (partition, "shoal_retries_pending",
                        "Retries waiting for their backoff to elapse."),
    };
  int64_t settled = settled_of (partition, NULL);
  settled = settled < 0 ? 0 : settled;
  metric_set (partition->gauges.watermark, settled);
  metric_set (partition->gauges.incomplete, (int64_t) partition->unsettled);
  metric_set (partition->gauges.lag, end_of (partition) - settled);
  metric_set (partition->gauges.retries, (int64_t) partition_retries (partition));
}

static void
show_all (struct partition_set *set)
{
  if (set->reader->producer->client->metrics == NULL)
    return;
  for (int i = 0; i < set->count; i++)
    show_partition (set->items[i]);
}

/* ---- committing ------------------------------------------------------------------------- */

/* Adds PARTITION to LIST; EVEN: also when that was committed before. */
static void
add_watermark (rd_kafka_topic_partition_list_t *list, struct partition *partition, bool even)
{
  const struct kafka_client *client = partition_producer (partition)->client;
  char *metadata = NULL;
  int64_t offset = settled_of (partition, &metadata);
  if (client->anew != NULL /* it is of a log that is gone */ || offset < 0
      || offset < partition->committed + (even ? 0 : 1))
    {
      free (metadata);
      return;
    }
  rd_kafka_topic_partition_t *element = rd_kafka_topic_partition_list_add (
      list, client->topics.names[partition->set->messages], partition->number);
  element->offset = offset;
  element->metadata = metadata; /* librdkafka frees it */
  element->metadata_size = metadata == NULL ? 0 : strlen (metadata);
  partition->committed = offset;
}

/* Each worker commits what it has settled itself: else all would commit what any of them does. Now
 * and then it commits all: brokers forget offsets that nobody commits for long. */
void
partitions_commit (struct partition_set *set, int wait_ms)
{
  int64_t now = clock_boot_ms ();
  if (set->count == 0 || (wait_ms == 0 && now - set->committed_at < PARTITIONS_COMMIT_MS))
    return;
  set->committed_at = now;
  set->all_at = set->all_at == 0 ? now : set->all_at;
  bool last = wait_ms > 0; /* of what was committed without waiting some may not have arrived */
  bool even = last || now - set->all_at > COMMIT_ALL_MS;
  set->all_at = even ? now : set->all_at;
  show_all (set);
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new (set->count);
  for (int i = 0; i < set->count; i++)
    if (even || set->kind == BUS_JOBS || set->items[i]->owed > set->items[i]->committed)
      add_watermark (list, set->items[i], even);
  if (list->cnt > 0)
    (void) kafka_commit (set->reader, list, wait_ms);
  rd_kafka_topic_partition_list_destroy (list);
}

/* Its numbers are others' to show from now on. */
static void
hide_partition (struct partition *partition)
{
  if (partition->gauges.watermark == NULL)
    return;
  metric_set (partition->gauges.watermark, METRIC_UNKNOWN);
  metric_set (partition->gauges.incomplete, METRIC_UNKNOWN);
  metric_set (partition->gauges.lag, METRIC_UNKNOWN);
  metric_set (partition->gauges.retries, METRIC_UNKNOWN);
}

void
partitions_close_one (struct partition_set *set, struct partition *partition)
{
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new (1);
  if (partition->owed > partition->committed)
    add_watermark (list, partition, false);
  if (list->cnt > 0)
    (void) kafka_commit (set->reader, list, 0);
  rd_kafka_topic_partition_list_destroy (list);
  hide_partition (partition);
  int at = 0;
  while (set->items[at] != partition)
    at++;
  set->items[at] = set->items[--set->count];
  partition_close (partition);
}

void
partitions_close (struct partition_set *set)
{
  for (int i = 0; i < set->count; i++)
    partition_close (set->items[i]);
  free (set->items);
}
