#include "tests/lib/bus_fixture.h"

#include "common/clock.h"
#include "common/memory.h"

#include <stdlib.h>

int
fixture_submit (struct bus *bus, const char *id, struct error *err)
{
  return fixture_submit_to (bus, id, "default", err);
}

int
fixture_submit_to (struct bus *bus, const char *id, const char *queue, struct error *err)
{
  auto_job struct job job;
  job_init (&job);
  free (job.queue);
  job.queue = xstrdup (queue);
  job.id = xstrdup (id);
  job.submitted = clock_wall_ms ();
  job.results = xstrdup ("/nowhere");
  job.image = xstrdup ("image");
  return bus_submit (bus, &job, err);
}

void
fixture_shard (struct shard *shard, const char *job_id, uint32_t index)
{
  *shard = (struct shard){ .job_id = xstrdup (job_id),
                           .generation = 1,
                           .index = index,
                           .count = -1,
                           .attempt = 1,
                           .atom_count = 1,
                           .bytes = -1,
                           .plan_offset = -1,
                           .plan_length = -1 };
  buffer_printf (&shard->atoms, "atoms of %u", index);
  for (size_t i = 0; i < DIGEST_SIZE; i++)
    shard->digest[i] = (uint8_t) (index + i + 1);
}

int
fixture_publish (struct bus *bus, const char *job_id, uint32_t first, uint32_t last,
                 struct error *err)
{
  for (uint32_t index = first; index < last; index++)
    {
      auto_shard struct shard shard = { 0 };
      fixture_shard (&shard, job_id, index);
      if (bus_publish_shard (bus, &shard, err) != 0)
        return -1;
    }
  return bus_flush (bus, err);
}

int
fixture_plan_end (struct bus *bus, const char *job_id, uint32_t shards, struct error *err)
{
  struct event event = { .kind = EVENT_PLANNED,
                         .job_id = (char *) (uintptr_t) job_id,
                         .time = clock_wall_ms (),
                         .shards = shards,
                         .atoms = shards,
                         .bytes = -1,
                         .digest = { 1 } };
  return bus_publish_event (bus, &event, err) != 0 ? -1 : bus_flush (bus, err);
}

int
fixture_settle (struct bus *bus, struct delivery *delivery, int64_t retry_ms, struct error *err)
{
  const struct shard *shard = &delivery->shard;
  struct event event = { .kind = EVENT_FINISHED,
                         .job_id = shard->job_id,
                         .time = clock_wall_ms (),
                         .writer = (char *) (uintptr_t) bus_writer (bus),
                         .generation = shard->generation,
                         .index = shard->index,
                         .attempt = shard->attempt,
                         .starts = delivery->starts,
                         .report = { .final = retry_ms < 0,
                                     .outcome =
                                         retry_ms < 0 ? OUTCOME_SUCCEEDED : OUTCOME_FAILED } };
  if (retry_ms < 0)
    return bus_settle_wait (bus, delivery, &event, NULL, err);
  auto_shard struct shard retry = { 0 };
  shard_copy (&retry, shard);
  retry.attempt++;
  retry.failures++;
  retry.not_before = clock_wall_ms () + retry_ms;
  return bus_settle_wait (bus, delivery, &event, &retry, err);
}

int
fixture_cancel (struct bus *bus, const char *job_id, struct error *err)
{
  struct control control = { .kind = CONTROL_CANCEL,
                             .job_id = (char *) (uintptr_t) job_id,
                             .time = clock_wall_ms () };
  return bus_publish_control (bus, &control, err);
}

int
fixture_pause (struct bus *bus, const char *job_id, bool paused, struct error *err)
{
  const struct control control = { .kind = CONTROL_SET,
                                   .job_id = (char *) (uintptr_t) job_id,
                                   .time = clock_wall_ms (),
                                   .priority = CONTROL_KEPT,
                                   .max_parallel = CONTROL_KEPT,
                                   .paused = paused ? 1 : 0 };
  return bus_publish_control (bus, &control, err);
}

int
fixture_status (struct bus *bus, const char *job_id, enum job_state state, uint32_t generation,
                struct error *err)
{
  struct job_status status = { .job_id = (char *) (uintptr_t) job_id,
                               .state = state,
                               .updated = clock_wall_ms (),
                               .generation = generation };
  return bus_put_status (bus, &status, err);
}
