/* The queues: their topics, and word of the workers that serve them. */
#include "bus/kafka/queues.h"

#include "bus/kafka/client.h"
#include "bus/kafka/kafka.h"
#include "bus/kafka/metadata.h"
#include "bus/kafka/producer.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "schemas/codec.h"

#include <string.h>
#include <sys/random.h>

enum
{
  LOOK_UP_MS = 10000,
};

static const char served_prefix[] = "queue/";

/* ---- topics ----------------------------------------------------------------------------- */

struct kafka_queue *
queues_find (struct kafka_bus *bus, const char *name)
{
  for (int i = 0; i < bus->queue_count; i++)
    if (strcmp (bus->queues[i].name, name) == 0)
      return &bus->queues[i];
  return NULL;
}

static void
forget_last (struct kafka_bus *bus)
{
  free (bus->queues[--bus->queue_count].name);
  for (int i = 0; i < 2; i++)
    free (bus->topics.names[--bus->topics.count]);
}

struct kafka_queue *
queues_add (struct kafka_bus *bus, const char *name, struct error *err)
{
  if (bus->queue_count == QUEUES_MAX)
    {
      (void) error_set (err, ERROR_USER, "%s: queue %s: more than %d queues", bus->url, name,
                        QUEUES_MAX);
      return NULL;
    }
  struct kafka_queue *queue = &bus->queues[bus->queue_count++];
  *queue = (struct kafka_queue){ .name = xstrdup (name),
                                 .shards = bus->topics.count,
                                 .claims = bus->topics.count + 1 };
  bus->topics.names[queue->shards] = xasprintf ("%s.%s", bus->topics.names[TOPIC_SHARDS], name);
  bus->topics.names[queue->claims] = xasprintf ("%s.%s", bus->topics.names[TOPIC_CLAIMS], name);
  bus->topics.count += 2;
  return queue;
}

struct kafka_queue *
queues_need (struct kafka_bus *bus, const char *name, struct error *err)
{
  struct kafka_queue *queue = queues_find (bus, name);
  if (queue != NULL)
    return queue;
  queue = queues_add (bus, name, err);
  if (queue == NULL)
    return NULL;
  if (kafka_look_up_topics (bus, (int) kafka_at_most (bus, LOOK_UP_MS), err) != 0)
    {
      forget_last (bus);
      return NULL;
    }
  for (int i = queue->shards; i <= queue->claims; i++)
    bus->outgoing[i] = rd_kafka_topic_new (bus->producer, bus->topics.names[i], NULL);
  return queue;
}

/* ---- who serves them -------------------------------------------------------------------- */

/* Of many workers the one whose time comes first speaks for all: a third of a lease from now, and a
 * little more. */
static int64_t
time_to_speak (const struct kafka_bus *bus)
{
  uint16_t salt = 0;
  (void) getrandom (&salt, sizeof salt, 0);
  return clock_boot_ms () + bus->lease_ms / 3 + bus->lease_ms / 3 * salt / UINT16_MAX;
}

void
queues_take_in (struct kafka_bus *bus, const char *key, const struct claim *claim, int64_t time)
{
  if (strncmp (key, served_prefix, strlen (served_prefix)) != 0)
    return;
  struct kafka_queue *queue = queues_find (bus, key + strlen (served_prefix));
  if (queue == NULL)
    return;
  queue->served = time;
  queue->lease_ms = claim->lease_ms;
  queue->say_at = time_to_speak (bus);
}

void
queues_pump (struct kafka_bus *bus)
{
  for (int i = 0; i < bus->served_count && !bus->quiesced; i++)
    {
      struct kafka_queue *queue = bus->served[i];
      if (clock_boot_ms () < queue->say_at)
        continue;
      queue->say_at = time_to_speak (bus);
      auto_buffer struct buffer payload = { 0 };
      auto_free char *key = xasprintf ("%s%s", served_prefix, queue->name);
      const struct claim claim = { .kind = CLAIM_UNKNOWN,
                                   .writer = bus->writer,
                                   .lease_ms = bus->lease_ms };
      if (codec_encode_claim (&claim, &payload, NULL) == 0)
        (void) kafka_send (bus, TOPIC_LEASES, 0, key, &payload, &bus->quiet, NULL);
    }
}
