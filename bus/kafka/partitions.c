/* The partitions of a queue: opened where they were committed, committed, counted for others. */
#include "bus/kafka/partitions.h"

#include "bus/kafka/partition.h"
#include "bus/kafka/reader.h"
#include "bus/kafka/trouble.h"

#include "common/clock.h"
#include "common/memory.h"

#include <stdio.h>
#include <string.h>

/* ---- opening ---------------------------------------------------------------------------- */

/* Of jobs only the first partition is read: their order decides. */
static int32_t
count_partitions (const struct partition_set *set)
{
  return set->kind == BUS_JOBS ? 1
                               : set->reader->producer->client->topics.partitions[set->messages];
}

/* Where each partition from FIRST on was committed. */
static rd_kafka_topic_partition_list_t *
read_committed (const struct partition_set *set, int first, struct error *err)
{
  struct kafka_client *client = set->reader->producer->client;
  int32_t count = count_partitions (set);
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new (count);
  for (int32_t i = first; i < count; i++)
    (void) rd_kafka_topic_partition_list_add (list, client->topics.names[set->messages], i);
  rd_kafka_resp_err_t code = kafka_committed (set->reader, list);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
    return list;
  rd_kafka_topic_partition_list_destroy (list);
  (void) kafka_error (&client->trouble, code, "reading what was committed", err);
  return NULL;
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
partitions_open (struct partition_set *set, struct error *err)
{
  if (set->count >= count_partitions (set))
    return 0;
  rd_kafka_topic_partition_list_t *list = read_committed (set, set->count, err);
  int outcome = list == NULL ? -1 : 0;
  for (int i = 0; outcome == 0 && i < list->cnt; i++)
    {
      auto_free char *metadata =
          xstrndup (list->elems[i].metadata == NULL ? "" : list->elems[i].metadata,
                    list->elems[i].metadata_size);
      outcome = add_partition (set, list->elems[i].partition, list->elems[i].offset, metadata, err);
    }
  if (list != NULL)
    rd_kafka_topic_partition_list_destroy (list);
  return outcome;
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
      .watermark =
          gauge (partition, "shoal_committed_offset",
                 "Offset up to which all messages are settled, as committed by this process."),
      .incomplete = gauge (partition, "shoal_partition_incomplete",
                           "Messages that this process has read but not settled."),
      .lag = gauge (partition, "shoal_consumer_lag",
                    "Messages between the committed offset and the end of the partition."),
      .retries = gauge (partition, "shoal_retries_pending",
                        "Retries waiting for their backoff to elapse."),
    };
  int64_t committed = partition->committed < 0 ? 0 : partition->committed;
  metric_set (partition->gauges.watermark, committed);
  metric_set (partition->gauges.incomplete, (int64_t) partition->unsettled);
  metric_set (partition->gauges.lag, end_of (partition) - committed);
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

void
partitions_commit (struct partition_set *set, int wait_ms)
{
  int64_t now = clock_boot_ms ();
  if (set->count == 0 || (wait_ms == 0 && now - set->committed_at < PARTITIONS_COMMIT_MS))
    return;
  const struct kafka_client *client = set->reader->producer->client;
  set->committed_at = now;
  show_all (set);
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new (set->count);
  for (int i = 0; i < set->count; i++)
    {
      struct partition *partition = set->items[i];
      char *metadata = NULL;
      int64_t offset =
          partition->loaded ? partition_watermark (partition, &metadata) : partition->committed;
      if (offset <= partition->committed)
        {
          free (metadata);
          continue;
        }
      rd_kafka_topic_partition_t *element = rd_kafka_topic_partition_list_add (
          list, client->topics.names[set->messages], partition->number);
      element->offset = offset;
      element->metadata = metadata; /* librdkafka frees it */
      element->metadata_size = metadata == NULL ? 0 : strlen (metadata);
      partition->committed = offset;
    }
  if (list->cnt > 0)
    (void) kafka_commit (set->reader, list, wait_ms);
  rd_kafka_topic_partition_list_destroy (list);
}

void
partitions_close (struct partition_set *set)
{
  for (int i = 0; i < set->count; i++)
    partition_close (set->items[i]);
  free (set->items);
}
