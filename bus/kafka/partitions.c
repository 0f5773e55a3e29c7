/* The partitions of a queue: opened where they were committed, committed, counted for others. */
#include "bus/kafka/partitions.h"

#include "bus/kafka/kafka.h"
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
count_lots (const struct kafka_work *work)
{
  return work->queue == BUS_JOBS ? 1 : work->bus->topics.partitions[work->messages];
}

/* Where each partition from FIRST on was committed. */
static rd_kafka_topic_partition_list_t *
read_committed (const struct kafka_work *work, int first, struct error *err)
{
  struct kafka_bus *bus = work->bus;
  int32_t count = count_lots (work);
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new (count);
  for (int32_t i = first; i < count; i++)
    (void) rd_kafka_topic_partition_list_add (list, bus->topics.names[work->messages], i);
  rd_kafka_resp_err_t code = kafka_committed (bus->work_reader, list);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
    return list;
  rd_kafka_topic_partition_list_destroy (list);
  (void) kafka_error (bus, code, "reading what was committed", err);
  return NULL;
}

static int
add_lot (struct kafka_work *work, int32_t partition, int64_t committed, const char *metadata,
         struct error *err)
{
  struct lot *lot = lot_open (work, partition, committed, metadata, err);
  if (lot == NULL)
    return -1;
  work->lots = xrealloc (work->lots, (size_t) work->lot_count + 1, sizeof (struct lot *));
  work->lots[work->lot_count++] = lot;
  return 0;
}

int
lots_open (struct kafka_work *work, struct error *err)
{
  if (work->lot_count >= count_lots (work))
    return 0;
  rd_kafka_topic_partition_list_t *list = read_committed (work, work->lot_count, err);
  int outcome = list == NULL ? -1 : 0;
  for (int i = 0; outcome == 0 && i < list->cnt; i++)
    {
      auto_free char *metadata =
          xstrndup (list->elems[i].metadata == NULL ? "" : list->elems[i].metadata,
                    list->elems[i].metadata_size);
      outcome = add_lot (work, list->elems[i].partition, list->elems[i].offset, metadata, err);
    }
  if (list != NULL)
    rd_kafka_topic_partition_list_destroy (list);
  return outcome;
}

/* ---- gauges ----------------------------------------------------------------------------- */

static struct metric *
gauge (const struct lot *lot, const char *name, const char *help)
{
  const struct kafka_bus *bus = lot->work->bus;
  char partition[16];
  (void) snprintf (partition, sizeof partition, "%d", lot->partition);
  return metrics_gauge (
      bus->metrics, name, help,
      LABELS ("topic", bus->topics.names[lot->work->messages], "partition", partition));
}

/* Where the partition ends as the last fetch said; no question. */
static int64_t
end_of (const struct lot *lot)
{
  const struct kafka_bus *bus = lot->work->bus;
  int64_t low = 0;
  int64_t high = 0;
  rd_kafka_resp_err_t code = rd_kafka_get_watermark_offsets (bus->work_reader->handle,
                                                             bus->topics.names[lot->work->messages],
                                                             lot->partition, &low, &high);
  return code != RD_KAFKA_RESP_ERR_NO_ERROR || high < lot->messages.end ? lot->messages.end : high;
}

static void
show_lot (struct lot *lot)
{
  if (lot->gauges.watermark == NULL)
    lot->gauges = (struct lot_gauges){
      .watermark =
          gauge (lot, "shoal_committed_offset",
                 "Offset up to which all messages are settled, as committed by this process."),
      .incomplete = gauge (lot, "shoal_partition_incomplete",
                           "Messages that this process has read but not settled."),
      .lag = gauge (lot, "shoal_consumer_lag",
                    "Messages between the committed offset and the end of the partition."),
      .retries =
          gauge (lot, "shoal_retries_pending", "Retries waiting for their backoff to elapse."),
    };
  int64_t committed = lot->committed < 0 ? 0 : lot->committed;
  metric_set (lot->gauges.watermark, committed);
  metric_set (lot->gauges.incomplete, (int64_t) lot->unsettled);
  metric_set (lot->gauges.lag, end_of (lot) - committed);
  metric_set (lot->gauges.retries, (int64_t) lot_retries (lot));
}

static void
show_all (struct kafka_work *work)
{
  if (work->bus->metrics == NULL)
    return;
  for (int i = 0; i < work->lot_count; i++)
    show_lot (work->lots[i]);
}

/* ---- committing ------------------------------------------------------------------------- */

void
lots_commit (struct kafka_work *work, int wait_ms)
{
  struct kafka_bus *bus = work->bus;
  int64_t now = clock_boot_ms ();
  if (wait_ms == 0 && now - work->committed_at < LOTS_COMMIT_MS)
    return;
  work->committed_at = now;
  show_all (work);
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new (work->lot_count);
  for (int i = 0; i < work->lot_count; i++)
    {
      struct lot *lot = work->lots[i];
      char *metadata = NULL;
      int64_t offset = lot->loaded ? lot_watermark (lot, &metadata) : lot->committed;
      if (offset <= lot->committed)
        {
          free (metadata);
          continue;
        }
      rd_kafka_topic_partition_t *element = rd_kafka_topic_partition_list_add (
          list, bus->topics.names[work->messages], lot->partition);
      element->offset = offset;
      element->metadata = metadata; /* librdkafka frees it */
      element->metadata_size = metadata == NULL ? 0 : strlen (metadata);
      lot->committed = offset;
    }
  if (list->cnt > 0)
    (void) kafka_commit (bus->work_reader, list, wait_ms);
  rd_kafka_topic_partition_list_destroy (list);
}

void
lots_close (struct kafka_work *work)
{
  for (int i = 0; i < work->lot_count; i++)
    lot_close (work->lots[i]);
  free (work->lots);
}
