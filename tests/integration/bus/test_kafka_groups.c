/* Members of a group on a real Kafka broker: who gets which jobs' events, and when that changes. */
#include "bus/follower.h"
#include "bus/kafka/kafka.h"
#include "bus/kafka/metadata.h"
#include "bus/kafka/topics.h"
#include "common/clock.h"
#include "common/memory.h"
#include "schemas/codec.h"
#include "tests/lib/bus_fixture.h"
#include "tests/lib/bus_stage.h"
#include "tests/lib/kafka_place.h"

#include <string.h>

enum
{
  JOBS = 24,
  LEASE_MS = 2000,
  PARTITIONS = 8, /* of events … */
  MORE = 13,      /* … and after some were added */
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
publish_events_by (struct stage *stage, struct bus *bus)
{
  for (int i = 0; i < JOBS; i++)
    {
      auto_free char *id = xasprintf ("j%d", i);
      (void) fixture_submit (bus, id, &stage->err);
      expect (stage, 0, fixture_plan_end (bus, id, 1, &stage->err));
    }
}

static void
publish_events (struct stage *stage)
{
  publish_events_by (stage, stage->bus);
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
  return kafka_place_events (PARTITIONS);
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

/* ---- partitions that are added to the events ---------------------------------------------- */

static void
add_partitions (struct stage *stage)
{
  char text[128];
  struct kafka_bus *bus = (struct kafka_bus *) stage->bus;
  rd_kafka_NewPartitions_t *more =
      rd_kafka_NewPartitions_new (bus->client.topics.names[TOPIC_EVENTS], MORE, text, sizeof text);
  assert_non_null (more);
  rd_kafka_queue_t *answers = rd_kafka_queue_new (bus->producer.handle);
  rd_kafka_CreatePartitions (bus->producer.handle, &more, 1, NULL, answers);
  rd_kafka_NewPartitions_destroy (more);
  kafka_place_await (answers);
  for (int64_t end = clock_boot_ms () + COMING_MS;
       bus->client.topics.partitions[TOPIC_EVENTS] != MORE;)
    {
      expect (stage, 0, kafka_look_up_topics (&bus->producer, COMING_MS, &stage->err));
      assert_true (clock_boot_ms () < end);
    }
}

/* A service, which has said how many partitions it uses or has read it. */
static struct bus *
open_service (struct stage *stage)
{
  const struct bus_options options = { .client = "test",
                                       .role = BUS_ROLE_MERGER,
                                       .lease_ms = LONG_LEASE_MS };
  struct bus *bus = bus_open (stage->url, &options, &stage->err);
  if (bus == NULL)
    fail_msg ("%s", stage->err.message);
  return bus;
}

static int32_t
spread_of (const struct bus *bus)
{
  return kafka_spread (&((const struct kafka_bus *) bus)->client.topics, TOPIC_EVENTS);
}

static void
note_line (void *context, const char *line)
{
  int *unused = context;
  *unused += strstr (line, "events: 13 partitions, of which only the first 8 are used") != NULL;
}

/* Who comes after they were added publishes and reads where all do who were there before. */
static void
partitions_added_to_events_hide_nothing (void **state)
{
  struct stage *stage = *state;
  struct member members[2];
  struct member *old = &members[0];
  struct member *late = &members[1];
  int unused = 0;
  bus_close (open_service (stage));
  *old = join (stage);
  await_shares (stage, old, 1);
  add_partitions (stage);
  auto_bus struct bus *worker = stage_open (stage->url, LONG_LEASE_MS);
  publish_events_by (stage, worker);
  int came = 0;
  for (int64_t end = clock_boot_ms () + COMING_MS; came < JOBS;)
    {
      came = 0;
      read_all (stage, old);
      for (int i = 0; i < JOBS; i++)
        came += old->events[i];
      if (clock_boot_ms () > end)
        fail_msg ("%d of %d events came", came, JOBS);
    }
  *late = join (stage);
  assert_int_equal (spread_of (late->bus), PARTITIONS);
  auto_follower struct follower *alone = bus_follow (worker, NULL, "j5", &stage->err);
  assert_non_null (alone);
  for (int64_t end = clock_boot_ms () + COMING_MS;;)
    {
      auto_event struct event event = { 0 };
      if (follower_next (alone, &event, &stage->err) == 1)
        break;
      assert_true (clock_boot_ms () < end);
    }
  const struct bus_options options = { .client = "test" };
  const struct topics_options topics = { .shard_partitions = 1 };
  expect (stage, 0,
          topics_check (stage->url, &options, &topics, false, note_line, &unused, &stage->err));
  assert_int_equal (unused, 1);
  leave (old);
  leave (late);
}

/* A word of another number, as of who didn't know the first one. */
static void
say_otherwise (struct stage *stage)
{
  struct kafka_bus *bus = (struct kafka_bus *) stage->bus;
  auto_buffer struct buffer payload = { 0 };
  const struct claim claim = { .kind = CLAIM_UNKNOWN, .writer = "stranger", .starts = MORE };
  expect (stage, 0, codec_encode_claim (&claim, &payload, &stage->err));
  expect (stage, 0,
          kafka_send (&bus->producer, TOPIC_LEASES, 0, "layout/events", &payload,
                      &bus->producer.published, &stage->err));
  expect (stage, 0, bus_flush (stage->bus, &stage->err));
}

/* The last word of the number, which is what compaction keeps. */
static int32_t
last_word (struct stage *stage)
{
  struct kafka_bus *bus = (struct kafka_bus *) stage->bus;
  struct cursor cursor = { 0 };
  struct kafka_reader *reader = kafka_reader_open (&bus->producer, NULL, &stage->err);
  int32_t number = 0;
  assert_non_null (reader);
  expect (stage, 0, cursor_open (&cursor, reader, TOPIC_LEASES, 0, FROM_START, &stage->err));
  for (;;)
    {
      auto_message rd_kafka_message_t *message = NULL;
      auto_claim struct claim claim = { 0 };
      if (cursor_next_before_end (&cursor, &message, &stage->err) != 1)
        break;
      auto_free char *key = message_key (message);
      if (strcmp (key, "layout/events") == 0
          && codec_decode_claim (cursor.payload, &claim, NULL) == 0)
        number = (int32_t) claim.starts;
    }
  cursor_close (&cursor);
  kafka_reader_close (reader);
  return number;
}

/* The first word stays, for those who have read it and for those who come; who knows it answers
 * another one. */
static void
the_first_word_of_partitions_counts (void **state)
{
  struct stage *stage = *state;
  auto_bus struct bus *service = open_service (stage);
  add_partitions (stage);
  say_otherwise (stage);
  assert_int_equal (last_word (stage), MORE);
  for (int64_t end = clock_boot_ms () + COMING_MS; last_word (stage) != PARTITIONS;)
    {
      (void) bus_poll (service, NULL, 0, 100);
      if (clock_boot_ms () > end)
        fail_msg ("nobody answered the word of %d partitions", MORE);
    }
  assert_int_equal (spread_of (service), PARTITIONS);
  auto_bus struct bus *late = open_service (stage);
  assert_int_equal (spread_of (late), PARTITIONS);
}

/* Leases that couldn't be read to their end say nothing, although they are being read. */
static void
half_read_leases_are_read_on (void **state)
{
  struct stage *stage = *state;
  auto_bus struct bus *service = open_service (stage);
  add_partitions (stage);
  auto_bus struct bus *command = stage_open (stage->url, LONG_LEASE_MS);
  struct kafka_leases *leases = &((struct kafka_bus *) command)->leases;
  leases->claims = claims_new (LONG_LEASE_MS);
  expect (stage, 0,
          cursor_open (&leases->cursor, leases->reader, TOPIC_LEASES, 0, FROM_START, &stage->err));
  assert_int_equal (spread_of (command), MORE);
  auto_follower struct follower *all = bus_follow (command, NULL, NULL, &stage->err);
  assert_non_null (all);
  assert_int_equal (spread_of (command), PARTITIONS);
}

/* Fewer partitions than jobs are spread over: their events aren't there, and that is said. */
static void
fewer_partitions_are_refused (void **state)
{
  struct stage *stage = *state;
  say_otherwise (stage);
  auto_follower struct follower *all = bus_follow (stage->bus, NULL, NULL, &stage->err);
  assert_null (all);
  assert_non_null (strstr (stage->err.message, "events has 8 partitions, jobs are spread over 13"));
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
    cmocka_unit_test_prestate_setup_teardown (partitions_added_to_events_hide_nothing, stage_set_up,
                                              stage_tear_down, state),
    cmocka_unit_test_prestate_setup_teardown (the_first_word_of_partitions_counts, stage_set_up,
                                              stage_tear_down, state),
    cmocka_unit_test_prestate_setup_teardown (half_read_leases_are_read_on, stage_set_up,
                                              stage_tear_down, state),
    cmocka_unit_test_prestate_setup_teardown (fewer_partitions_are_refused, stage_set_up,
                                              stage_tear_down, state),
    cmocka_unit_test_prestate_setup_teardown (members_share_the_jobs, stage_set_up, stage_tear_down,
                                              state),
    cmocka_unit_test_prestate_setup_teardown (what_an_unfinished_job_needs_stays, stage_set_up,
                                              stage_tear_down, state),
  };
  return cmocka_run_group_tests_name ("kafka_groups", tests, NULL, NULL);
}
