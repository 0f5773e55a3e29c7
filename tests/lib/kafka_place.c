#include "tests/lib/kafka_place.h"

#include "bus/kafka/topics.h"
#include "common/memory.h"
#include "tests/lib/bus_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static void
ignore (void *context, const char *line)
{
  (void) context;
  (void) line;
}

static void
create (const char *url, const struct topics_options *topics)
{
  const struct bus_options options = { .client = "test" };
  struct error err = ERROR_INIT;
  if (topics_create (url, &options, topics, ignore, NULL, &err) == 0)
    return;
  fprintf (stderr, "%s\n", err.message);
  exit (1);
}

static char *
make (int shard_partitions, int event_partitions)
{
  const char *broker = getenv ("SHOAL_TEST_KAFKA");
  uint64_t salt = 0;
  if (broker == NULL)
    {
      fprintf (stderr, "SHOAL_TEST_KAFKA isn't set: it is HOST:PORT of a broker for tests, as "
                       "`deploy/kafka/dev.sh start` brings up\n");
      exit (1);
    }
  (void) getrandom (&salt, sizeof salt, 0);
  char *url = xasprintf ("kafka://%s/t%016llx", broker, (unsigned long long) salt);
  char *names[] = { (char[]){ "gpu" } };
  const struct strlist queues = { .items = names, .count = 1 };
  const struct topics_options topics = { .queues = &queues,
                                         .shard_partitions = shard_partitions,
                                         .event_partitions = event_partitions };
  create (url, &topics);
  return url;
}

void
kafka_place_grow (const char *url, int partitions)
{
  const struct topics_options topics = { .shard_partitions = partitions };
  create (url, &topics);
}

/* The topics stay: the broker of the tests goes as a whole. */
void
kafka_place_discard (char *url)
{
  free (url);
}

char *
kafka_place_ordered (void)
{
  return make (1, 1);
}

char *
kafka_place_spread (void)
{
  return make (4, 2);
}

char *
kafka_place_events (int partitions)
{
  return make (1, partitions);
}

void
kafka_place_await (rd_kafka_queue_t *answers)
{
  rd_kafka_event_t *event = rd_kafka_queue_poll (answers, COMING_MS);
  assert_non_null (event);
  assert_int_equal (rd_kafka_event_error (event), RD_KAFKA_RESP_ERR_NO_ERROR);
  rd_kafka_event_destroy (event);
  rd_kafka_queue_destroy (answers);
}

void
kafka_place_delete_below (struct kafka_bus *bus, enum topic topic, int64_t offset)
{
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new (1);
  rd_kafka_topic_partition_list_add (list, bus->client.topics.names[topic], 0)->offset = offset;
  rd_kafka_DeleteRecords_t *request = rd_kafka_DeleteRecords_new (list);
  rd_kafka_queue_t *answers = rd_kafka_queue_new (bus->producer.handle);
  rd_kafka_DeleteRecords (bus->producer.handle, &request, 1, NULL, answers);
  rd_kafka_DeleteRecords_destroy (request);
  rd_kafka_topic_partition_list_destroy (list);
  kafka_place_await (answers);
}
