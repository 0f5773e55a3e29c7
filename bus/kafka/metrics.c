/* What the bus counts for others to read. */
#include "bus/kafka/partition.h"

#include <stdio.h>

static struct metric *
gauge (const struct lot *lot, const char *name, const char *help)
{
  const struct kafka_bus *bus = lot->work->bus;
  char partition[16];
  (void) snprintf (partition, sizeof partition, "%d", lot->partition);
  return metrics_gauge (bus->metrics, name, help,
                        LABELS ("topic", bus->names[lot->work->messages], "partition", partition));
}

/* Where the partition ends as the last fetch said; no question. */
static int64_t
end_of (const struct lot *lot)
{
  const struct kafka_bus *bus = lot->work->bus;
  int64_t low = 0;
  int64_t high = 0;
  rd_kafka_resp_err_t code = rd_kafka_get_watermark_offsets (
      bus->work_reader->handle, bus->names[lot->work->messages], lot->partition, &low, &high);
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

void
kafka_show_lots (struct kafka_work *work)
{
  if (work->bus->metrics == NULL)
    return;
  for (int i = 0; i < work->lot_count; i++)
    show_lot (work->lots[i]);
}
