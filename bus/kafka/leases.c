/* The claims that aren't on shards: on jobs to be planned, and on the partitions that groups
 * follow; word of who serves a queue. */
#include "bus/kafka/leases.h"

#include "bus/kafka/claims_log.h"
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
partition_of_jobs (struct kafka_leases *leases)
{
  return leases->jobs->count > 0 ? leases->jobs->items[0] : NULL;
}

void
leases_pump (struct kafka_leases *leases)
{
  if (cursor_is_open (&leases->cursor))
    claims_pump (&leases->log, &leases->cursor, leases->claims, partition_of_jobs (leases));
}

int
leases_sync (struct kafka_leases *leases, struct error *err)
{
  struct cursor *cursor = &leases->cursor;
  if (leases->claims == NULL)
    leases->claims = claims_new (leases->producer->client->lease_ms);
  int outcome = cursor_is_open (cursor)
                    ? cursor_look_for_end (cursor, err)
                    : cursor_open (cursor, leases->reader, TOPIC_LEASES, 0, FROM_START, err);
  while (outcome >= 0)
    {
      auto_message rd_kafka_message_t *message = NULL;
      outcome = cursor_next_before_end (cursor, &message, err);
      if (outcome <= 0)
        break;
      claims_take_in (&leases->log, cursor, leases->claims, partition_of_jobs (leases), message);
    }
  leases->read = leases->read || outcome == 0;
  return outcome;
}

int
leases_need_layout (struct kafka_leases *leases, struct error *err)
{
  struct kafka_layout *layout = leases->log.layout;
  const struct kafka_topics *topics = &leases->producer->client->topics;
  if (!leases->read && leases_sync (leases, err) != 0)
    return -1;
  if (topics->spread == 0 && layout->says
      && (layout_say_first (layout, err) != 0 || leases_sync (leases, err) != 0))
    return -1;
  if (topics->spread == 0 && layout->says)
    return error_set (err, ERROR_TRANSIENT,
                      "%s: how many partitions events have was said and can't be read",
                      topics->names[TOPIC_LEASES]);
  return layout_check (layout, err);
}

/* What was forgotten as long as it was no concern of ours is read again. */
int
leases_sync_whole (struct kafka_leases *leases, struct error *err)
{
  if (!leases->log.whole)
    {
      cursor_close (&leases->cursor);
      claims_free (leases->claims);
      leases->claims = NULL;
      leases->read = false;
    }
  leases->log.whole = true;
  return leases_sync (leases, err);
}

int
leases_query_time (struct kafka_leases *leases, struct error *err)
{
  auto_delivery_report struct delivery_report *report = delivery_report_new ();
  if (claims_tick (leases->producer, TOPIC_LEASES, 0, report, err) != 0
      || kafka_await (leases->producer, report, "asking for the time", err) != 0)
    return -1;
  return leases_sync (leases, err);
}

/* ---- who serves a queue ----------------------------------------------------------------- */

static bool
leases_is_served (const struct kafka_queue *queue, int64_t now)
{
  return queue->served != 0 && now - queue->served < SILENT_LEASES * queue->lease_ms;
}

/* By the log's clock. That stands still where nobody writes, so it is asked when ours, which may be
 * wrong, says that nobody did for long. */
int
leases_queue_served (struct kafka_leases *leases, const char *name, int64_t *since,
                     struct error *err)
{
  struct kafka_queue *queue = queues_need (leases->queues, name, err);
  if (queue == NULL || leases_sync (leases, err) != 0)
    return -1;
  struct error untold = ERROR_INIT; /* who may only read can't ask */
  if (leases_is_served (queue, claims_now (leases->claims))
      && !leases_is_served (queue, clock_wall_ms ()))
    (void) leases_query_time (leases, &untold);
  *since = queue->served;
  return leases_is_served (queue, claims_now (leases->claims));
}
