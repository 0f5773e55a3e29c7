/* Logs on a real Kafka broker that aren't what was read of them: topics made anew under handles
 * that have read them, offsets of another log, records that retention has removed. */
#include "bus/follower.h"
#include "bus/kafka/claims_log.h"
#include "bus/kafka/kafka.h"
#include "bus/kafka/metadata.h"
#include "bus/kafka/topics.h"
#include "common/clock.h"
#include "common/memory.h"
#include "tests/lib/bus_fixture.h"
#include "tests/lib/bus_stage.h"
#include "tests/lib/kafka_place.h"

#include <string.h>

enum
{
  JOBS = 5,
  GONE = 3, /* of them, by retention */
};

static void
ignore_line (void *context, const char *line)
{
  (void) context;
  (void) line;
}

static void
submit_jobs (struct stage *stage)
{
  for (int i = 0; i < JOBS; i++)
    {
      auto_free char *id = xasprintf ("old%d", i);
      expect (stage, 1, fixture_submit (stage->bus, id, &stage->err));
    }
}

static bool
is_topic_left (struct stage *stage, int first, int last)
{
  struct kafka_bus *bus = (struct kafka_bus *) stage->bus;
  const struct rd_kafka_metadata *metadata = NULL;
  int32_t left = 0;
  expect (stage, 0, metadata_query (&bus->producer, COMING_MS, &metadata, &stage->err));
  for (int i = first; i <= last; i++)
    left += metadata_partitions (metadata, bus->client.topics.names[i]);
  rd_kafka_metadata_destroy (metadata);
  return left > 0;
}

static void
make_topics_anew (struct stage *stage, int first, int last)
{
  const struct kafka_bus *bus = (const struct kafka_bus *) stage->bus;
  rd_kafka_DeleteTopic_t *topics[TOPICS];
  size_t count = 0;
  for (int i = first; i <= last; i++)
    topics[count++] = rd_kafka_DeleteTopic_new (bus->client.topics.names[i]);
  rd_kafka_queue_t *answers = rd_kafka_queue_new (bus->producer.handle);
  rd_kafka_DeleteTopics (bus->producer.handle, topics, count, NULL, answers);
  rd_kafka_DeleteTopic_destroy_array (topics, count);
  kafka_place_await (answers);
  for (int64_t end = clock_boot_ms () + COMING_MS; is_topic_left (stage, first, last);)
    assert_true (clock_boot_ms () < end);
  const struct bus_options options = { .client = "test" };
  const struct topics_options wanted = { .shard_partitions = 1, .event_partitions = 1 };
  expect (stage, 0, topics_create (stage->url, &options, &wanted, ignore_line, NULL, &stage->err));
}

/* A handle that has read the old log mustn't answer from it, and mustn't read the new one from
 * where it was in the old one on: it says that it can't go on. */
static void
topics_made_anew_end_who_has_read_them (void **state)
{
  struct stage *stage = *state;
  auto_job struct job known = { 0 };
  submit_jobs (stage);
  expect (stage, 1, bus_get_job (stage->bus, "old1", &known, &stage->err));
  make_topics_anew (stage, 0, TOPICS - 1);
  auto_bus struct bus *other = stage_open (stage->url, LONG_LEASE_MS);
  auto_job struct job again = { 0 };
  expect (stage, 1, fixture_submit (other, "new", &stage->err));
  expect (stage, 0, bus_get_job (other, "old1", &again, &stage->err));
  for (int64_t end = clock_boot_ms () + COMING_MS;;)
    {
      auto_job struct job found = { 0 };
      error_clear (&stage->err);
      (void) bus_poll (stage->bus, NULL, 0, 10);
      if (bus_get_job (stage->bus, "old1", &found, &stage->err) < 0
          && stage->err.class == ERROR_FATAL)
        break;
      if (clock_boot_ms () > end)
        fail_msg ("a job of a log that is gone is still answered for: %s", stage->err.message);
    }
  assert_non_null (strstr (stage->err.message, "was made anew"));
  auto_delivery struct delivery *delivery = NULL;
  assert_int_equal (bus_take (stage->bus, BUS_SHARDS, NULL, &delivery, &stage->err), -1);
  assert_int_equal (stage->err.class, ERROR_FATAL);
}

static int
count_job (void *context, const struct job *job)
{
  (void) job;
  ++*(int *) context;
  return 0;
}

/* Who asks and never polls, as the HTTP API, learns it from where the topics end. */
static void
topics_made_anew_are_noticed_without_polling (void **state)
{
  struct stage *stage = *state;
  int count = 0;
  submit_jobs (stage);
  expect (stage, 0, bus_list_jobs (stage->bus, NULL, count_job, &count, &stage->err));
  assert_int_equal (count, JOBS);
  make_topics_anew (stage, 0, TOPICS - 1);
  assert_int_equal (bus_list_jobs (stage->bus, NULL, count_job, &count, &stage->err), -1);
  assert_int_equal (stage->err.class, ERROR_FATAL);
  assert_non_null (strstr (stage->err.message, "was made anew"));
  assert_int_equal (count, JOBS);
}

/* The events alone: who follows them ends, though he knows of nothing else that is gone. */
static void
events_made_anew_end_who_follows_them (void **state)
{
  struct stage *stage = *state;
  expect (stage, 1, fixture_submit (stage->bus, "job", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "job", 0, JOBS, &stage->err));
  stage_settle_any (stage, stage->bus, JOBS);
  auto_bus struct bus *other = stage_open (stage->url, LONG_LEASE_MS);
  auto_follower struct follower *follower = bus_follow (other, NULL, NULL, &stage->err);
  assert_non_null (follower);
  int got = 0;
  for (int64_t end = clock_boot_ms () + COMING_MS; got < JOBS && clock_boot_ms () < end;)
    {
      auto_event struct event event = { 0 };
      int outcome = follower_next (follower, &event, &stage->err);
      assert_true (outcome >= 0);
      got += outcome;
    }
  assert_true (got >= JOBS);
  make_topics_anew (stage, TOPIC_EVENTS, TOPIC_EVENTS);
  for (int64_t end = clock_boot_ms () + COMING_MS;;)
    {
      auto_event struct event event = { 0 };
      error_clear (&stage->err);
      if (follower_next (follower, &event, &stage->err) < 0 && stage->err.class == ERROR_FATAL)
        break;
      if (clock_boot_ms () > end)
        fail_msg ("events that are gone are still followed: %s", stage->err.message);
    }
  assert_non_null (strstr (stage->err.message, "was made anew"));
}

/* What was committed of another log, beyond the end of this one, counts for nothing: the claims are
 * read from their start, so that what is settled isn't run again, and a lower offset may be
 * committed. */
static void
a_commit_of_another_log_counts_for_nothing (void **state)
{
  struct stage *stage = *state;
  struct kafka_bus *bus = (struct kafka_bus *) stage->bus;
  expect (stage, 1, fixture_submit (stage->bus, "job", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "job", 0, JOBS, &stage->err));
  stage_settle_any (stage, stage->bus, JOBS);
  struct kafka_reader *reader = kafka_reader_open (&bus->producer, NULL, &stage->err);
  assert_non_null (reader);
  struct partition_set set = { .kind = BUS_SHARDS,
                               .reader = reader,
                               .tables = &bus->tables,
                               .messages = TOPIC_SHARDS,
                               .claims = TOPIC_CLAIMS };
  struct partition *partition = partition_open (&set, 0, JOBS + 100, "claims=3", &stage->err);
  assert_non_null (partition);
  assert_int_equal (partition->committed, -1);
  assert_int_equal (partition->owed, -1);
  assert_int_equal (partition->messages.next, 0);
  assert_int_equal (partition->claims_cursor.next, 0);
  expect (stage, 0, claims_sync_partition (&bus->leases.log, partition, &stage->err));
  assert_true (claims_settled (partition->claims) >= JOBS);
  partition_close (partition);
  partition = partition_open (&set, 0, JOBS, "claims=3", &stage->err);
  assert_non_null (partition);
  assert_int_equal (partition->committed, JOBS);
  assert_int_equal (partition->messages.next, JOBS);
  assert_int_equal (partition->claims_cursor.next, 3);
  partition_close (partition);
  kafka_reader_close (reader);
}

/* Jobs, and zeroed CURSOR on them at OFFSET. The caller closes the cursor, then the reader. */
static struct kafka_reader *
open_jobs (struct stage *stage, struct cursor *cursor, int64_t offset)
{
  struct kafka_bus *bus = (struct kafka_bus *) stage->bus;
  submit_jobs (stage);
  struct kafka_reader *reader = kafka_reader_open (&bus->producer, NULL, &stage->err);
  assert_non_null (reader);
  expect (stage, 0, cursor_open (cursor, reader, TOPIC_JOBS, 0, offset, &stage->err));
  return reader;
}

/* The first record that CURSOR has, up to the end as it is now. */
static int64_t
first_offset (struct stage *stage, struct cursor *cursor)
{
  auto_message rd_kafka_message_t *message = NULL;
  expect (stage, 0, cursor_look_for_end (cursor, &stage->err));
  expect (stage, 1, cursor_next_before_end (cursor, &message, &stage->err));
  return message->offset;
}

/* An offset beyond the end, as one that was committed in another log, skips nothing of this one. */
static void
an_offset_beyond_the_end_skips_nothing (void **state)
{
  struct stage *stage = *state;
  struct cursor cursor = { 0 };
  struct kafka_reader *reader = open_jobs (stage, &cursor, JOBS + 100);
  assert_int_equal (first_offset (stage, &cursor), 0);
  cursor_close (&cursor);
  kafka_reader_close (reader);
}

/* What retention has removed is skipped, what it has left isn't, and the log is the same. */
static void
retention_skips_only_what_is_gone (void **state)
{
  struct stage *stage = *state;
  struct kafka_bus *bus = (struct kafka_bus *) stage->bus;
  struct cursor cursor = { 0 };
  struct kafka_reader *reader = open_jobs (stage, &cursor, FROM_END);
  kafka_place_delete_below (bus, TOPIC_JOBS, GONE);
  const rd_kafka_message_t first = { .offset = 0 };
  cursor_step_back (&cursor, &first);
  assert_int_equal (first_offset (stage, &cursor), GONE);
  expect (stage, 0, client_check_logs (&bus->client, &stage->err));
  cursor_close (&cursor);
  kafka_reader_close (reader);
}

int
main (void)
{
  static const struct bus_place place = {
    .make = kafka_place_ordered, .discard = kafka_place_discard, .is_log = true, .patience_ms = 1000
  };
#define TEST(name)                                                                                 \
  cmocka_unit_test_prestate_setup_teardown (name, stage_set_up, stage_tear_down, (void *) &place)
  const struct CMUnitTest tests[] = {
    TEST (topics_made_anew_end_who_has_read_them),
    TEST (topics_made_anew_are_noticed_without_polling),
    TEST (events_made_anew_end_who_follows_them),
    TEST (a_commit_of_another_log_counts_for_nothing),
    TEST (an_offset_beyond_the_end_skips_nothing),
    TEST (retention_skips_only_what_is_gone),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
