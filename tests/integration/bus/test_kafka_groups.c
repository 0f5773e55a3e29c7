/* Members of a group on a real Kafka broker: who gets which jobs' events, and when that changes. */
#include "bus/follower.h"
#include "bus/kafka/kafka.h"
#include "bus/kafka/metadata.h"
#include "common/clock.h"
#include "common/memory.h"
#include "tests/lib/bus_fixture.h"
#include "tests/lib/bus_stage.h"
#include "tests/lib/kafka_place.h"

#include <string.h>

enum
{
  JOBS = 24,
  LEASE_MS = 2000,
};

struct member
{
  struct bus *bus;
  struct follower *follower;
  int events[JOBS]; /* how often each job's event came */
  int64_t first;    /* the lowest position of an event that came */
};

static struct member
join (struct stage *stage)
{
  struct member member = { .bus = stage_open (stage->url, LEASE_MS), .first = INT64_MAX };
  member.follower = bus_follow (member.bus, "merger", NULL, &stage->err);
  if (member.follower == NULL)
    fail_msg ("%s", stage->err.message);
  return member;
}

static void
leave (struct member *member)
{
  follower_close (member->follower);
  bus_close (member->bus);
}

static int
number_of (const char *job_id)
{
  return (int) strtol (job_id + 1, NULL, 10);
}

/* What has come for MEMBER. */
static void
read_all (struct stage *stage, struct member *member)
{
  for (;;)
    {
      auto_event struct event event = { 0 };
      int got = follower_next (member->follower, &event, &stage->err);
      if (got < 0)
        fail_msg ("%s", stage->err.message);
      if (got == 0)
        return;
      member->events[number_of (event.job_id)]++;
      if (event.position < member->first)
        member->first = event.position;
    }
}

static void
publish_events (struct stage *stage)
{
  for (int i = 0; i < JOBS; i++)
    {
      auto_free char *id = xasprintf ("j%d", i);
      (void) fixture_submit (stage->bus, id, &stage->err);
      expect (stage, 0, fixture_plan_end (stage->bus, id, 1, &stage->err));
    }
}

static int
held (struct member *member)
{
  int count = 0;
  for (int i = 0; i < JOBS; i++)
    {
      auto_free char *id = xasprintf ("j%d", i);
      count += follower_holds (member->follower, id, NULL);
    }
  return count;
}

/* Waits until each job has one member, and each member at least one job; all members keep
 * reading. */
static void
await_shares (struct stage *stage, struct member *members, int count)
{
  for (int64_t end = clock_boot_ms () + COMING_MS;;)
    {
      int total = 0;
      bool fair = true;
      for (int i = 0; i < count; i++)
        {
          read_all (stage, &members[i]);
          int jobs = held (&members[i]);
          total += jobs;
          fair = fair && jobs > 0;
        }
      if (total == JOBS && fair)
        return;
      if (clock_boot_ms () > end)
        fail_msg ("%d members have %d of %d jobs", count, total, JOBS);
    }
}

static void
members_share_the_jobs (void **state)
{
  struct stage *stage = *state;
  struct member members[3];
  members[0] = join (stage);
  await_shares (stage, members, 1);
  members[1] = join (stage);
  await_shares (stage, members, 2);
  members[2] = join (stage);
  await_shares (stage, members, 3);
  publish_events (stage);
  for (int64_t end = clock_boot_ms () + COMING_MS;;)
    {
      int came = 0;
      for (int i = 0; i < 3; i++)
        read_all (stage, &members[i]);
      for (int job = 0; job < JOBS; job++)
        {
          int times = members[0].events[job] + members[1].events[job] + members[2].events[job];
          assert_in_range (times, 0, 1);
          came += times;
        }
      if (came == JOBS)
        break;
      assert_true (clock_boot_ms () < end);
    }
  leave (&members[1]);
  members[1] = members[2];
  await_shares (stage, members, 2);
  leave (&members[0]);
  leave (&members[1]);
}

static void
what_an_unfinished_job_needs_stays (void **state)
{
  struct stage *stage = *state;
  struct member members[2];
  members[0] = join (stage);
  publish_events (stage);
  for (int64_t end = clock_boot_ms () + COMING_MS;
       held (&members[0]) < JOBS || members[0].first == INT64_MAX;)
    {
      read_all (stage, &members[0]);
      assert_true (clock_boot_ms () < end);
    }
  read_all (stage, &members[0]);
  members[1] = join (stage);
  for (int64_t end = clock_boot_ms () + 2 * LEASE_MS; clock_boot_ms () < end;)
    {
      read_all (stage, &members[0]);
      read_all (stage, &members[1]);
      assert_int_equal (held (&members[1]), 0);
    }
  expect (stage, 0, follower_commit (members[0].follower, NULL, 0, &stage->err));
  await_shares (stage, members, 2);
  for (int job = 0; job < JOBS; job++)
    {
      assert_int_equal (members[0].events[job], 1);
      assert_int_equal (members[1].events[job], 0);
    }
  leave (&members[0]);
  leave (&members[1]);
}

static char *
make_place (void)
{
  return kafka_place_events (8);
}

/* What librdkafka 2.0.2 does to itself when two leaders are lost shortly one after the other
 * (docs/decisions.md). */
static void
a_lost_producer_is_replaced (void **state)
{
  struct stage *stage = *state;
  const struct kafka_bus *bus = (const struct kafka_bus *) stage->bus;
  auto_job struct job job = { 0 };
  (void) fixture_submit (stage->bus, "before", &stage->err);
  assert_int_equal (rd_kafka_test_fatal_error (bus->producer.handle,
                                               RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                                               "by a test"),
                    RD_KAFKA_RESP_ERR_NO_ERROR);
  (void) bus_poll (stage->bus, NULL, 0, 0);
  (void) fixture_submit (stage->bus, "after", &stage->err);
  expect (stage, 0, fixture_plan_end (stage->bus, "after", 1, &stage->err));
  expect (stage, 1, bus_get_job (stage->bus, "after", &job, &stage->err));
}

/* … with what was on its way: how shards ended is said again, and nobody runs them twice. */
static void
what_a_lost_producer_had_is_said_again (void **state)
{
  enum
  {
    SHARDS = 20
  };
  struct stage *stage = *state;
  struct kafka_bus *bus = (struct kafka_bus *) stage->bus;
  (void) fixture_submit (stage->bus, "j1", &stage->err);
  expect (stage, 0, fixture_publish (stage->bus, "j1", 0, SHARDS, &stage->err));
  expect (stage, 0, bus_flush (stage->bus, &stage->err));
  struct delivery *deliveries[SHARDS];
  for (int i = 0; i < SHARDS; i++)
    if (stage_await (stage, stage->bus, &deliveries[i], COMING_MS) < 0)
      fail_msg ("%d of %d shards came", i, SHARDS);
  for (int i = 0; i < SHARDS; i++)
    {
      expect (stage, 1, bus_settle (stage->bus, deliveries[i], NULL, NULL, &stage->err));
      delivery_free (deliveries[i]);
    }
  (void) rd_kafka_purge (bus->producer.handle, RD_KAFKA_PURGE_F_QUEUE);
  (void) rd_kafka_test_fatal_error (bus->producer.handle,
                                    RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "by a test");
  expect (stage, 0, bus_flush (stage->bus, &stage->err));
  auto_bus struct bus *other = stage_open (stage->url, LEASE_MS);
  stage_take_none (stage, other, BUS_SHARDS, NULL);
}

/* Where no record is that new, the offset is the end as it stood when that was asked: not "wherever
 * the end is later", or who follows a job that has no events yet misses those that come before he
 * opens the partition. */
static void
where_nothing_is_that_new_the_end_is_told (void **state)
{
  struct stage *stage = *state;
  struct kafka_bus *bus = (struct kafka_bus *) stage->bus;
  const int64_t later = clock_wall_ms () + 3600 * 1000;
  int64_t ends = 0;
  struct kafka_reader *reader = kafka_reader_open (&bus->producer, NULL, &stage->err);
  assert_non_null (reader);
  for (int round = 0; round < 2; round++)
    {
      ends = 0;
      for (int32_t i = 0; i < bus->client.topics.partitions[TOPIC_EVENTS]; i++)
        {
          int64_t end = metadata_find_time (reader->producer, TOPIC_EVENTS, i, later, &stage->err);
          assert_in_range (end, 0, JOBS * 2);
          ends += end;
        }
      if (round == 0)
        {
          assert_int_equal (ends, 0);
          publish_events (stage);
        }
    }
  assert_int_equal (ends, JOBS);
  kafka_reader_close (reader);
}

int
main (void)
{
  const struct bus_place place = {
    .make = make_place, .discard = kafka_place_discard, .is_log = true, .patience_ms = 1000
  };
  void *state = (void *) (uintptr_t) &place;
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_prestate_setup_teardown (where_nothing_is_that_new_the_end_is_told,
                                              stage_set_up, stage_tear_down, state),
    cmocka_unit_test_prestate_setup_teardown (what_a_lost_producer_had_is_said_again, stage_set_up,
                                              stage_tear_down, state),
    cmocka_unit_test_prestate_setup_teardown (a_lost_producer_is_replaced, stage_set_up,
                                              stage_tear_down, state),
    cmocka_unit_test_prestate_setup_teardown (members_share_the_jobs, stage_set_up, stage_tear_down,
                                              state),
    cmocka_unit_test_prestate_setup_teardown (what_an_unfinished_job_needs_stays, stage_set_up,
                                              stage_tear_down, state),
  };
  return cmocka_run_group_tests_name ("kafka_groups", tests, NULL, NULL);
}
