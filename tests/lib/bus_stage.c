#include "tests/lib/bus_stage.h"

#include "bus/follower.h"
#include "common/clock.h"
#include "common/memory.h"
#include "tests/lib/bus_fixture.h"

#include <stdlib.h>

struct bus *
stage_open (const char *url, int64_t lease_ms)
{
  return stage_open_for (url, lease_ms, NULL);
}

struct bus *
stage_open_for (const char *url, int64_t lease_ms, const struct strlist *queues)
{
  struct error err = ERROR_INIT;
  const struct bus_options options = { .client = "test", .lease_ms = lease_ms, .queues = queues };
  struct bus *bus = bus_open (url, &options, &err);
  if (bus == NULL)
    fail_msg ("%s", err.message);
  return bus;
}

int
stage_set_up (void **state)
{
  struct stage *stage = xcalloc (1, sizeof *stage);
  stage->place = *state;
  stage->url = stage->place->make ();
  stage->bus = stage_open (stage->url, LONG_LEASE_MS);
  *state = stage;
  return 0;
}

int
stage_tear_down (void **state)
{
  struct stage *stage = *state;
  bus_close (stage->bus);
  stage->place->discard (stage->url);
  free (stage);
  return 0;
}

static int
take_within (struct stage *stage, struct bus *bus, enum bus_queue queue, const char *job_id,
             struct delivery **delivery, int timeout_ms)
{
  int64_t end = clock_boot_ms () + timeout_ms;
  for (;;)
    {
      int outcome = bus_take (bus, queue, job_id, delivery, &stage->err);
      if (outcome < 0)
        fail_msg ("take: %s", stage->err.message);
      if (outcome != 0 || clock_boot_ms () >= end)
        return outcome;
      (void) bus_poll (bus, NULL, 0, 20);
    }
}

int
stage_take_from (struct stage *stage, struct bus *bus, enum bus_queue queue, const char *job_id,
                 struct delivery **delivery)
{
  return take_within (stage, bus, queue, job_id, delivery, COMING_MS);
}

int
stage_take (struct stage *stage, struct bus *bus, struct delivery **delivery)
{
  int outcome = stage_take_from (stage, bus, BUS_SHARDS, NULL, delivery);
  return outcome == 0 ? -1 : (int) (*delivery)->shard.index;
}

int64_t
stage_mortal_lease (const struct stage *stage)
{
  return stage->place->is_log ? SHORT_LEASE_MS : LONG_LEASE_MS;
}

int
stage_await (struct stage *stage, struct bus *bus, struct delivery **delivery, int timeout_ms)
{
  return take_within (stage, bus, BUS_SHARDS, NULL, delivery, timeout_ms) == 0
             ? -1
             : (int) (*delivery)->shard.index;
}

void
stage_take_none (struct stage *stage, struct bus *bus, enum bus_queue queue, const char *job_id)
{
  auto_delivery struct delivery *none = NULL;
  expect (stage, 0, take_within (stage, bus, queue, job_id, &none, stage->place->patience_ms));
}

void
stage_settle_next (struct stage *stage, struct bus *bus, int wanted)
{
  auto_delivery struct delivery *delivery = NULL;
  if (wanted < 0)
    {
      stage_take_none (stage, bus, BUS_SHARDS, NULL);
      return;
    }
  assert_int_equal (stage_take (stage, bus, &delivery), wanted);
  expect (stage, 1, fixture_settle (bus, delivery, -1, &stage->err));
}

void
stage_settle_any (struct stage *stage, struct bus *bus, int count)
{
  for (int i = 0; i < count; i++)
    {
      auto_delivery struct delivery *delivery = NULL;
      assert_true (stage_take (stage, bus, &delivery) >= 0);
      expect (stage, 1, fixture_settle (bus, delivery, -1, &stage->err));
    }
}

int
stage_count_events (struct stage *stage, enum event_kind kind)
{
  auto_follower struct follower *follower = bus_follow (stage->bus, NULL, NULL, &stage->err);
  assert_non_null (follower);
  int count = 0;
  for (;;)
    {
      auto_event struct event event = { 0 };
      int outcome = follower_next (follower, &event, &stage->err);
      if (outcome < 0)
        fail_msg ("follow: %s", stage->err.message);
      if (outcome == 0)
        return count;
      count += event.kind == kind ? 1 : 0;
    }
}
