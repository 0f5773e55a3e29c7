/* Large plans on a real Kafka broker: more than the client's queue holds, more retries than a
 * handle looks at; and who gets what was claimed ahead. */
#include "bus/kafka/kafka.h"
#include "common/clock.h"
#include "common/memory.h"
#include "tests/lib/bus_fixture.h"
#include "tests/lib/bus_stage.h"
#include "tests/lib/kafka_place.h"

#include <string.h>

enum
{
  PLAN = 20000,
  WAITING = 2500, /* more than may be claimed at once */
  FAST = 40,
  HOUR_MS = 3600 * 1000,
};

static void
a_full_queue_is_waited_for (void **state)
{
  struct stage *stage = *state;
  auto_strlist struct strlist properties = { 0 };
  strlist_add (&properties, "queue.buffering.max.messages");
  strlist_add (&properties, "500");
  const struct bus_options options = { .client = "test", .properties = &properties };
  auto_bus struct bus *small = bus_open (stage->url, &options, &stage->err);
  assert_non_null (small);
  (void) fixture_submit (small, "large", &stage->err);
  expect (stage, 0, fixture_publish (small, "large", 0, PLAN, &stage->err));
  expect (stage, 0, fixture_plan_end (small, "large", PLAN, &stage->err));
  for (uint32_t i = 0; i < PLAN; i++)
    {
      auto_shard struct shard shard = { 0 };
      expect (stage, 1, bus_get_shard (stage->bus, "large", i, &shard, &stage->err));
      assert_int_equal (shard.index, i);
    }
  auto_shard struct shard none = { 0 };
  expect (stage, 0, bus_get_shard (stage->bus, "large", PLAN, &none, &stage->err));
}

static void
what_waits_holds_nobody_up (void **state)
{
  struct stage *stage = *state;
  (void) fixture_submit (stage->bus, "j", &stage->err);
  for (uint32_t i = 0; i < WAITING; i++)
    {
      auto_shard struct shard retry = { 0 };
      fixture_shard (&retry, "j", i);
      retry.attempt = 2;
      retry.failures = 1;
      retry.not_before = clock_wall_ms () + 3600 * 1000;
      expect (stage, 0, bus_publish_shard (stage->bus, &retry, &stage->err));
    }
  expect (stage, 0, fixture_publish (stage->bus, "j", WAITING, WAITING + 1, &stage->err));
  expect (stage, 0, bus_flush (stage->bus, &stage->err));
  auto_bus struct bus *worker = stage_open (stage->url, LONG_LEASE_MS);
  stage_settle_next (stage, worker, WAITING);
}

static struct delivery *
take_any (struct stage *stage, struct bus *bus)
{
  struct delivery *delivery = NULL;
  if (stage_await (stage, bus, &delivery, COMING_MS) < 0)
    fail_msg ("nothing to take");
  return delivery;
}

/* A handle whose shards were fast claims some ahead. When one takes long they must go to whoever is
 * free. */
static void
what_was_claimed_ahead_goes_to_others (void **state)
{
  struct stage *stage = *state;
  (void) fixture_submit (stage->bus, "j", &stage->err);
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 2 * FAST, &stage->err));
  expect (stage, 0, bus_flush (stage->bus, &stage->err));
  auto_bus struct bus *busy = stage_open (stage->url, LONG_LEASE_MS);
  for (int i = 0; i < FAST; i++)
    {
      auto_delivery struct delivery *delivery = take_any (stage, busy);
      expect (stage, 1, fixture_settle (busy, delivery, -1, &stage->err));
    }
  auto_delivery struct delivery *slow = take_any (stage, busy);
  auto_bus struct bus *idle = stage_open (stage->url, LONG_LEASE_MS);
  int64_t end = clock_boot_ms () + COMING_MS;
  for (int settled = 0; settled < FAST - 1;)
    {
      auto_delivery struct delivery *delivery = NULL;
      (void) bus_poll (busy, NULL, 0, 0); /* it lives, and asks for nothing */
      int took = bus_take (idle, BUS_SHARDS, NULL, &delivery, &stage->err);
      if (took < 0)
        fail_msg ("%s", stage->err.message);
      if (took == 1)
        {
          expect (stage, 1, bus_settle_wait (idle, delivery, NULL, NULL, &stage->err));
          settled++;
        }
      (void) bus_poll (idle, NULL, 0, 10);
      if (clock_boot_ms () > end)
        fail_msg ("%d of %d went to who was free", settled, FAST - 1);
    }
  expect (stage, 1, fixture_settle (busy, slow, -1, &stage->err));
}

/* A worker whose clock is an hour ahead of the brokers' writes a retry: it waits for as long as was
 * meant. */
static void
a_fast_clock_makes_nobody_wait (void **state)
{
  struct stage *stage = *state;
  (void) fixture_submit (stage->bus, "j", &stage->err);
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 1, &stage->err));
  expect (stage, 0, bus_flush (stage->bus, &stage->err));
  auto_bus struct bus *fast = stage_open (stage->url, LONG_LEASE_MS);
  auto_delivery struct delivery *first = take_any (stage, fast);
  ((struct kafka_bus *) fast)->work.shards[0].items[0]->claims_cursor.skew = -HOUR_MS;
  expect (stage, 1, fixture_settle (fast, first, HOUR_MS + 500, &stage->err));
  auto_bus struct bus *other = stage_open (stage->url, LONG_LEASE_MS);
  auto_delivery struct delivery *second = take_any (stage, other);
  assert_int_equal (second->shard.attempt, 2);
}

int
main (void)
{
  const struct bus_place place = {
    .make = kafka_place_ordered, .discard = kafka_place_discard, .is_log = true, .patience_ms = 1000
  };
  const struct bus_place spread = { .make = kafka_place_spread,
                                    .discard = kafka_place_discard,
                                    .is_log = true };
  const struct CMUnitTest wide[] = {
    cmocka_unit_test_prestate_setup_teardown (a_full_queue_is_waited_for, stage_set_up,
                                              stage_tear_down, (void *) &spread),
  };
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_prestate_setup_teardown (what_waits_holds_nobody_up, stage_set_up,
                                              stage_tear_down, (void *) &place),
    cmocka_unit_test_prestate_setup_teardown (a_fast_clock_makes_nobody_wait, stage_set_up,
                                              stage_tear_down, (void *) &place),
    cmocka_unit_test_prestate_setup_teardown (what_was_claimed_ahead_goes_to_others, stage_set_up,
                                              stage_tear_down, (void *) &place),
  };
  return cmocka_run_group_tests (wide, NULL, NULL) + cmocka_run_group_tests (tests, NULL, NULL);
}
