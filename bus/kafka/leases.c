/* The claims that aren't on shards: on jobs to be planned, and on the partitions that groups
 * follow; word of who serves a queue. */
#include "bus/kafka/leases.h"

#include "bus/kafka/claims_log.h"
#include "bus/kafka/kafka.h"
#include "bus/kafka/partition.h"
#include "bus/kafka/producer.h"
#include "bus/kafka/queues.h"
#include "bus/kafka/reader.h"

#include "common/clock.h"
#include "common/memory.h"

enum
{
  SILENT_LEASES = 2, /* without a word, and a queue isn't served */
};

static struct partition *
partition_of_jobs (struct kafka_bus *bus)
{
  return bus->jobs.count > 0 ? bus->jobs.items[0] : NULL;
}

void
leases_pump (struct kafka_bus *bus)
{
  if (cursor_is_open (&bus->leases_cursor))
    claims_pump (bus, &bus->leases_cursor, bus->leases, partition_of_jobs (bus));
}

int
leases_sync (struct kafka_bus *bus, struct error *err)
{
  struct cursor *cursor = &bus->leases_cursor;
  if (bus->leases == NULL)
    bus->leases = claims_new (bus->lease_ms);
  int outcome = cursor_is_open (cursor)
                    ? cursor_look_for_end (cursor, err)
                    : cursor_open (cursor, bus->reader, TOPIC_LEASES, 0, FROM_START, err);
  while (outcome >= 0)
    {
      auto_message rd_kafka_message_t *message = NULL;
      outcome = cursor_next_before_end (cursor, &message, err);
      if (outcome <= 0)
        break;
      claims_take_in (bus, cursor, bus->leases, partition_of_jobs (bus), message);
    }
  return outcome;
}

/* What was forgotten as long as it was no concern of ours is read again. */
int
leases_sync_whole (struct kafka_bus *bus, struct error *err)
{
  if (!bus->leases_whole)
    {
      cursor_close (&bus->leases_cursor);
      claims_free (bus->leases);
      bus->leases = NULL;
    }
  bus->leases_whole = true;
  return leases_sync (bus, err);
}

int
leases_ask_time (struct kafka_bus *bus, struct error *err)
{
  auto_delivery_report struct delivery_report *report = delivery_report_new ();
  if (claims_tick (bus, TOPIC_LEASES, 0, report, err) != 0
      || kafka_await (bus, report, "asking for the time", err) != 0)
    return -1;
  return leases_sync (bus, err);
}

/* ---- who serves a queue ----------------------------------------------------------------- */

static bool
is_served (const struct kafka_queue *queue, int64_t now)
{
  return queue->served != 0 && now - queue->served < SILENT_LEASES * queue->lease_ms;
}

/* By the log's clock. That stands still where nobody writes, so it is asked when ours, which may be
 * wrong, says that nobody did for long. */
int
kafka_queue_served (struct bus *base, const char *name, int64_t *since, struct error *err)
{
  struct kafka_bus *bus = (struct kafka_bus *) base;
  struct kafka_queue *queue = queues_need (bus, name, err);
  if (queue == NULL || leases_sync (bus, err) != 0)
    return -1;
  struct error untold = ERROR_INIT; /* who may only read can't ask */
  if (is_served (queue, claims_now (bus->leases)) && !is_served (queue, clock_wall_ms ()))
    (void) leases_ask_time (bus, &untold);
  *since = queue->served;
  return is_served (queue, claims_now (bus->leases));
}
