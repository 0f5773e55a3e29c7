/* The bus alone, with work that is none: bench_fleet URL produce JOB N | work SLOTS | follow JOB N
 *
 *   produce  submits the job, publishes N shards and the plan's end
 *   work     takes shards and settles them at once, SLOTS in hand at most, until it is killed
 *   follow   reads events as a merger does until N shards have ended; prints the seconds from its first event to the last
 */
#include "common/bus/bus.h"
#include "common/clock.h"
#include "common/memory.h"
#include "merger/fold.h"

#include <stdio.h>
#include <string.h>

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

int
main (int argc, char **argv)
{
  if (argc < 4)
    return 2;
  const char *what = argv[2];
  struct bus_options options = { .client = "bench" };
  if (strcmp (what, "work") == 0)
    options.slots = atoi (argv[3]);
  auto_bus struct bus *bus = bus_open (argv[1], &options, &err);
  if (bus == NULL)
    return complain ("open");
  if (strcmp (what, "work") == 0)
    return work (bus);
  return strcmp (what, "produce") == 0 ? produce (bus, argv[3], (uint32_t) atoi (argv[4]))
                                       : follow (bus, argv[3], atoi (argv[4]));
}
