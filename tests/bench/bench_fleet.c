/* The bus alone, with work that is none: bench_fleet URL produce JOB N | work SLOTS | follow JOB N
 * | latency JOB N | raw TOPIC N
 *
 *   produce  submits the job, publishes N shards and the plan's end
 *   work     takes shards and settles them at once, SLOTS in hand at most, until it is killed
 *   follow   reads events as a merger does until N shards have ended; prints the seconds from its
 *            first event to the last
 *   latency  publishes N shards one after the other, each when the one before was taken by another
 *            handle; prints how long that took
 *   raw      N shards' records by librdkafka alone: writes six each, reads them all; prints the
 *            seconds of both
 */
#include "bus/bus.h"
#include "bus/follower.h"
#include "common/clock.h"
#include "common/memory.h"
#include "merger/fold.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>

enum
{
  RECORDS = 6,       /* of a shard: itself, STARTED, FINISHED; CLAIM, SETTLE, DONE */
  RECORD_SIZE = 120, /* bytes, about */
};

static struct error err = ERROR_INIT;

static int
complain (const char *what)
{
  fprintf (stderr, "bench_fleet: %s: %s\n", what, err.message);
  return 1;
}

static int
produce (struct bus *bus, const char *id, uint32_t count)
{
  auto_job struct job job;
  job_init (&job);
  job.id = xstrdup (id);
  job.submitted = clock_wall_ms ();
  job.results = xstrdup ("/nowhere");
  job.image = xstrdup ("none");
  if (bus_submit (bus, &job, &err) < 0)
    return complain ("submit");
  auto_delivery struct delivery *delivery = NULL;
  while (bus_take (bus, BUS_JOBS, id, &delivery, &err) == 0)
    (void) bus_poll (bus, NULL, 0, 100);
  int64_t start = clock_boot_us ();
  for (uint32_t index = 0; index < count; index++)
    {
      auto_shard struct shard shard = { .job_id = xstrdup (id),
                                        .generation = 1,
                                        .index = index,
                                        .count = -1,
                                        .attempt = 1,
                                        .atom_count = 1,
                                        .bytes = -1,
                                        .plan_offset = -1,
                                        .plan_length = -1 };
      buffer_printf (&shard.atoms, "/in/some/folder/file%08u.jpg", index);
      memcpy (shard.digest, &index, sizeof index);
      if (bus_publish_shard (bus, &shard, &err) != 0)
        return complain ("publish");
    }
  struct event event = { .kind = EVENT_PLANNED,
                         .job_id = job.id,
                         .time = clock_wall_ms (),
                         .shards = count,
                         .atoms = count,
                         .bytes = -1 };
  if (bus_flush (bus, &err) != 0 || bus_settle_wait (bus, delivery, &event, NULL, &err) != 1)
    return complain ("settle");
  printf ("produced %u in %.2f s\n", count, (double) (clock_boot_us () - start) / 1e6);
  return 0;
}

static void
fill (struct event *event, enum event_kind kind, const struct bus *bus,
      const struct delivery *delivery)
{
  *event = (struct event){ .kind = kind,
                           .job_id = delivery->shard.job_id,
                           .time = clock_wall_ms (),
                           .writer = (char *) (uintptr_t) bus_writer (bus),
                           .generation = delivery->shard.generation,
                           .index = delivery->shard.index,
                           .attempt = delivery->shard.attempt,
                           .starts = delivery->starts,
                           .shards = -1,
                           .atoms = 1,
                           .bytes = -1,
                           .report = { .final = true, .outcome = OUTCOME_SUCCEEDED } };
  memcpy (event->digest, delivery->shard.digest, DIGEST_SIZE);
}

static int
work (struct bus *bus)
{
  for (;;)
    {
      auto_delivery struct delivery *delivery = NULL;
      int got = bus_take (bus, BUS_SHARDS, NULL, &delivery, &err);
      if (got < 0)
        return complain ("take");
      if (got == 0)
        {
          (void) bus_poll (bus, NULL, 0, 100);
          continue;
        }
      struct event event;
      fill (&event, EVENT_STARTED, bus, delivery);
      if (bus_publish_event (bus, &event, &err) != 0)
        return complain ("publish");
      fill (&event, EVENT_FINISHED, bus, delivery);
      if (bus_settle (bus, delivery, &event, NULL, &err) < 0)
        return complain ("settle");
    }
}

static int
follow (struct bus *bus, const char *id, int64_t count)
{
  auto_follower struct follower *follower = bus_follow (bus, "bench", NULL, &err);
  auto_fold struct fold *fold = fold_new ();
  int64_t first = 0;
  while (follower != NULL && fold_counts (fold).succeeded < count)
    {
      auto_event struct event event = { 0 };
      int got = follower_next (follower, &event, &err);
      if (got < 0)
        return complain ("follow");
      if (got == 0)
        (void) bus_poll (bus, NULL, 0, 100);
      else if (strcmp (event.job_id, id) == 0)
        {
          first = first == 0 ? clock_boot_us () : first;
          (void) fold_apply (fold, &event);
        }
    }
  double seconds = (double) (clock_boot_us () - first) / 1e6;
  printf ("%lld shards in %.2f s: %.0f/s\n", (long long) count, seconds, (double) count / seconds);
  return 0;
}

/* ---- latency ---------------------------------------------------------------------------- */

static int
by_size (const void *a, const void *b)
{
  const int64_t one = *(const int64_t *) a;
  const int64_t other = *(const int64_t *) b;
  return (one > other) - (one < other);
}

static int
latency (struct bus *bus, const char *url, const char *id, uint32_t count)
{
  const struct bus_options options = { .client = "bench" };
  auto_bus struct bus *taker = bus_open (url, &options, &err);
  auto_job struct job job;
  auto_free int64_t *took = xcalloc (count, sizeof *took);
  job_init (&job);
  job.id = xstrdup (id);
  job.results = xstrdup ("/nowhere");
  job.image = xstrdup ("none");
  auto_delivery struct delivery *nothing = NULL;
  if (taker == NULL || bus_submit (bus, &job, &err) < 0
      || bus_take (taker, BUS_SHARDS, NULL, &nothing, &err) != 0)
    return complain ("latency");
  for (uint32_t index = 0; index < count; index++)
    {
      auto_shard struct shard shard = { .job_id = xstrdup (id),
                                        .generation = 1,
                                        .index = index,
                                        .attempt = 1,
                                        .atom_count = 1,
                                        .plan_offset = -1,
                                        .plan_length = -1 };
      auto_delivery struct delivery *delivery = NULL;
      int64_t start = clock_boot_us ();
      if (bus_publish_shard (bus, &shard, &err) != 0 || bus_flush (bus, &err) != 0)
        return complain ("publish");
      int got = 0;
      while ((got = bus_take (taker, BUS_SHARDS, NULL, &delivery, &err)) == 0)
        (void) bus_poll (taker, NULL, 0, 100);
      took[index] = clock_boot_us () - start;
      if (got < 0 || bus_settle_wait (taker, delivery, NULL, NULL, &err) < 0)
        return complain ("take");
    }
  qsort (took, count, sizeof *took, by_size);
  printf ("published to taken, %u times: p50 %.1f ms, p90 %.1f ms, p99 %.1f ms\n", count,
          (double) took[count / 2] / 1e3, (double) took[count * 9 / 10] / 1e3,
          (double) took[count * 99 / 100] / 1e3);
  return 0;
}

/* ---- the limit -------------------------------------------------------------------------- */

static rd_kafka_t *
plain_handle (const char *url, rd_kafka_type_t type)
{
  char text[256];
  const char *brokers = url + strlen ("kafka://");
  auto_free char *servers = xstrndup (brokers, strcspn (brokers, "/"));
  rd_kafka_conf_t *conf = rd_kafka_conf_new ();
  (void) rd_kafka_conf_set (conf, "bootstrap.servers", servers, text, sizeof text);
  if (type == RD_KAFKA_PRODUCER)
    {
      (void) rd_kafka_conf_set (conf, "enable.idempotence", "true", text, sizeof text);
      (void) rd_kafka_conf_set (conf, "compression.type", "lz4", text, sizeof text);
      (void) rd_kafka_conf_set (conf, "queue.buffering.max.messages", "1000000", text, sizeof text);
    }
  return rd_kafka_new (type, conf, text, sizeof text);
}

static void
write_records (rd_kafka_t *producer, const char *name, int64_t count)
{
  rd_kafka_topic_t *topic = rd_kafka_topic_new (producer, name, NULL);
  char record[RECORD_SIZE];
  for (int64_t i = 0; i < count; i++)
    {
      (void) snprintf (record, sizeof record, "%0*lld", (int) sizeof record - 1, (long long) i);
      while (rd_kafka_produce (topic, 0, RD_KAFKA_MSG_F_COPY, record, sizeof record, NULL, 0, NULL)
             != 0)
        (void) rd_kafka_poll (producer, 10);
      (void) rd_kafka_poll (producer, 0);
    }
  (void) rd_kafka_flush (producer, 60000);
  rd_kafka_topic_destroy (topic);
}

static int
raw (const char *url, const char *name, int64_t shards)
{
  int64_t low = 0;
  int64_t next = 0;
  rd_kafka_t *producer = plain_handle (url, RD_KAFKA_PRODUCER);
  rd_kafka_t *consumer = plain_handle (url, RD_KAFKA_CONSUMER);
  int64_t start = clock_boot_us ();
  if (rd_kafka_query_watermark_offsets (producer, name, 0, &low, &next, 10000) != 0)
    return complain ("raw");
  write_records (producer, name, shards * RECORDS);
  int64_t middle = clock_boot_us ();
  rd_kafka_topic_t *topic = rd_kafka_topic_new (consumer, name, NULL);
  (void) rd_kafka_consume_start (topic, 0, next);
  for (int64_t i = 0; i < shards * RECORDS;)
    {
      rd_kafka_message_t *message = rd_kafka_consume (topic, 0, 1000);
      i += message != NULL && message->err == 0;
      if (message != NULL)
        rd_kafka_message_destroy (message);
    }
  int64_t end = clock_boot_us ();
  (void) rd_kafka_consume_stop (topic, 0);
  rd_kafka_topic_destroy (topic);
  rd_kafka_destroy (consumer);
  rd_kafka_destroy (producer);
  printf ("%lld records: written in %.2f s, read in %.2f s\n", (long long) shards * RECORDS,
          (double) (middle - start) / 1e6, (double) (end - middle) / 1e6);
  return 0;
}

int
main (int argc, char **argv)
{
  if (argc < 4)
    return 2;
  const char *what = argv[2];
  struct bus_options options = { .client = "bench" };
  if (strcmp (what, "work") == 0)
    options.slots = atoi (argv[3]);
  if (strcmp (what, "raw") == 0)
    return raw (argv[1], argv[3], atoi (argv[4]));
  auto_bus struct bus *bus = bus_open (argv[1], &options, &err);
  if (bus == NULL)
    return complain ("open");
  if (strcmp (what, "work") == 0)
    return work (bus);
  if (strcmp (what, "latency") == 0)
    return latency (bus, argv[1], argv[3], (uint32_t) atoi (argv[4]));
  return strcmp (what, "produce") == 0 ? produce (bus, argv[3], (uint32_t) atoi (argv[4]))
                                       : follow (bus, argv[3], atoi (argv[4]));
}
