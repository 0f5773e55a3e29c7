/* Claims on a real Kafka broker, where time passes between two steps that mostly follow each other
 * at once: numbered by the fault that was found. */
#include "bus/dead_letter.h"
#include "bus/kafka/claims_log.h"
#include "bus/kafka/kafka.h"
#include "common/clock.h"
#include "common/memory.h"
#include "schemas/codec.h"
#include "tests/lib/bus_fixture.h"
#include "tests/lib/bus_stage.h"
#include "tests/lib/kafka_place.h"
#include "tests/lib/seed.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum
{
  LEASE_MS = 1000,
  APART_MS = 200, /* between two renewals */
  GROWN = 4,
};

/* ---- the wall clock --------------------------------------------------------------------- */

static int64_t ahead_s; /* how much the machine's clock is ahead */

int
clock_gettime (clockid_t id, struct timespec *time)
{
  int outcome = (int) syscall (SYS_clock_gettime, id, time);
  if (id == CLOCK_REALTIME)
    time->tv_sec += ahead_s;
  return outcome;
}

/* ---- what the tests stand on ------------------------------------------------------------ */

static struct kafka_bus *
kafka (struct bus *bus)
{
  return (struct kafka_bus *) bus;
}

static void
one_shard (struct stage *stage)
{
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 1, &stage->err));
}

/* The first partition of shards, as soon as BUS has asked for some. */
static struct partition *
first_partition (struct stage *stage, struct bus *bus)
{
  stage_take_none (stage, bus, BUS_SHARDS, NULL);
  return kafka (bus)->work.shards[0].items[0];
}

/* Turns BUS until it holds something in PHASE. */
static struct inflight *
await_phase (struct bus *bus, enum inflight_phase phase)
{
  for (int64_t end = clock_boot_ms () + COMING_MS; clock_boot_ms () < end;)
    {
      struct inflight *inflight = NULL;
      TAILQ_FOREACH (inflight, &kafka (bus)->inflight.list, links)
        if (inflight->phase == phase)
          return inflight;
      (void) bus_poll (bus, NULL, 0, 5);
    }
  fail_msg ("nothing in flight came into phase %d", (int) phase);
  return NULL;
}

/* BUS takes the shard for the time STARTS. */
static struct delivery *
take_it (struct stage *stage, struct bus *bus, uint32_t starts)
{
  struct delivery *delivery = NULL;
  if (stage_await (stage, bus, &delivery, COMING_MS) != 0)
    fail_msg ("the shard didn't come");
  assert_int_equal (delivery->starts, starts);
  return delivery;
}

static void
let_pass (int64_t ms)
{
  for (int64_t end = clock_boot_ms () + ms; clock_boot_ms () < end;)
    (void) poll (NULL, 0, (int) (end - clock_boot_ms ()));
}

/* A record as others may send it, acknowledged. */
static void
put (struct stage *stage, int topic, const char *key, struct bytes payload)
{
  struct kafka_bus *bus = kafka (stage->bus);
  struct delivery_report report = { 0 };
  expect (stage, 0,
          kafka_send_as_is (&bus->producer, topic, 0, key, payload, &report, &stage->err));
  expect (stage, 0, kafka_await (&bus->producer, &report, "a test's record", &stage->err));
}

static void
put_claim (struct stage *stage, const char *key, const struct claim *claim)
{
  auto_buffer struct buffer payload = { 0 };
  expect (stage, 0, codec_encode_claim (claim, &payload, &stage->err));
  put (stage, TOPIC_CLAIMS, key, buffer_bytes (&payload));
}

static struct bytes
text (const char *chars)
{
  return (struct bytes){ (const uint8_t *) chars, strlen (chars) };
}

/* ---- 1 ---------------------------------------------------------------------------------- */

/* A worker stands still between the record that says that its claim counted and the start. */
static void
who_stood_still_before_the_start_looks_first (void **state)
{
  struct stage *stage = *state;
  one_shard (stage);
  auto_bus struct bus *still = stage_open (stage->url, LEASE_MS);
  auto_bus struct bus *other = stage_open (stage->url, LEASE_MS);
  auto_delivery struct delivery *none = NULL;
  for (int64_t end = clock_boot_ms () + COMING_MS; TAILQ_EMPTY (&kafka (still)->inflight.list);)
    {
      expect (stage, 0, bus_take (still, BUS_SHARDS, NULL, &none, &stage->err));
      (void) bus_poll (still, NULL, 0, 5);
      assert_true (clock_boot_ms () < end);
    }
  (void) await_phase (still, INFLIGHT_READY);
  auto_delivery struct delivery *delivery = take_it (stage, other, 2);
  expect (stage, 0, bus_take (still, BUS_SHARDS, NULL, &none, &stage->err));
  expect (stage, 1, fixture_settle (other, delivery, -1, &stage->err));
  stage_take_none (stage, still, BUS_SHARDS, NULL);
}

/* ---- 2 ---------------------------------------------------------------------------------- */

/* Reads the next record of ours from the claims, and no more. */
static void
read_own (struct bus *bus, struct partition *partition)
{
  for (int64_t end = clock_boot_ms () + COMING_MS; clock_boot_ms () < end;)
    {
      auto_message rd_kafka_message_t *message = NULL;
      kafka_serve (&kafka (bus)->producer, 1);
      if (cursor_next (&partition->claims_cursor, &message) == 0)
        continue;
      claims_take_in (&kafka (bus)->leases.log, &partition->claims_cursor, partition->claims,
                      partition, message);
      return;
    }
  fail_msg ("the record didn't come back");
}

/* Two renewals are on their way, and the first one comes back. */
static void
a_renewal_is_believed_when_it_was_read_back (void **state)
{
  struct stage *stage = *state;
  one_shard (stage);
  auto_bus struct bus *bus = stage_open (stage->url, LONG_LEASE_MS);
  auto_delivery struct delivery *delivery = take_it (stage, bus, 1);
  const struct inflight *inflight = await_phase (bus, INFLIGHT_TAKEN);
  struct partition *partition = inflight->partition;
  partition->claims_cursor.stuck_until = INT64_MAX; /* nothing is read */
  int64_t first = clock_boot_ms ();
  expect (stage, 1, bus_keep (bus, delivery, &stage->err));
  let_pass (APART_MS);
  int64_t second = clock_boot_ms ();
  expect (stage, 1, bus_keep (bus, delivery, &stage->err));
  partition->claims_cursor.stuck_until = 0;
  read_own (bus, partition);
  assert_in_range (inflight->confirmed, first, second - 1);
  read_own (bus, partition);
  assert_in_range (inflight->confirmed, second, clock_boot_ms ());
  expect (stage, 1, fixture_settle (bus, delivery, -1, &stage->err));
}

/* ---- 3 ---------------------------------------------------------------------------------- */

/* A renewal is on its way while its worker stands still, another one takes over and gives back: no
 * number of starts comes twice. */
static void
a_late_renewal_takes_no_start_back (void **state)
{
  struct stage *stage = *state;
  one_shard (stage);
  auto_bus struct bus *still = stage_open (stage->url, LEASE_MS);
  auto_bus struct bus *other = stage_open (stage->url, LEASE_MS);
  auto_delivery struct delivery *first = take_it (stage, still, 1);
  const struct inflight *inflight = await_phase (still, INFLIGHT_TAKEN);
  auto_delivery struct delivery *second = take_it (stage, other, 2);
  expect (stage, 1, bus_release (other, second, &stage->err));
  struct delivery_report *quiet = &kafka (other)->producer.quiet;
  while (quiet->pending > 0)
    kafka_serve (&kafka (other)->producer, 1);
  inflight_note (inflight->partition, inflight->entry, CLAIM_RENEW); /* it was in the queue */
  expect (stage, 0,
          claims_sync_partition (&kafka (still)->leases.log, inflight->partition, &stage->err));
  for (int64_t end = clock_boot_ms () + APART_MS; clock_boot_ms () < end;)
    (void) bus_poll (still, NULL, 0, 5);
  expect (stage, 0, bus_keep (still, first, &stage->err));
  auto_bus struct bus *third = stage_open (stage->url, LEASE_MS);
  auto_delivery struct delivery *last = take_it (stage, third, 2);
  expect (stage, 1, fixture_settle (third, last, -1, &stage->err));
}

/* ---- 4 ---------------------------------------------------------------------------------- */

/* All that there is, SHARDS of them, is taken once and no more. */
static void
take_each_once (struct stage *stage, int shards)
{
  auto_bus struct bus *worker = stage_open (stage->url, LONG_LEASE_MS);
  stage_settle_any (stage, worker, shards);
  stage_take_none (stage, worker, BUS_SHARDS, NULL);
}

/* Two replays that are the same, the first of which is killed before it says so. */
static void
a_replay_goes_where_its_shards_are (void **state)
{
  struct stage *stage = *state;
  const uint32_t indexes[] = { 0, 1, 2, 3 };
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, GROWN, &stage->err));
  take_each_once (stage, GROWN);
  for (uint32_t index = 0; index < GROWN; index++)
    {
      auto_shard struct shard shard = { 0 };
      fixture_shard (&shard, "j", index);
      shard.generation = 2;
      expect (stage, 0, bus_publish_shard (stage->bus, &shard, &stage->err));
    }
  expect (stage, 0, bus_flush (stage->bus, &stage->err));
  kafka_place_grow (stage->url, GROWN);
  auto_bus struct bus *again = stage_open (stage->url, LONG_LEASE_MS);
  expect (stage, 0, bus_replay (again, "j", 2, indexes, GROWN, &stage->err));
  take_each_once (stage, GROWN);
}

/* Each merger that takes up a job publishes its reduce shard. */
static void
a_reduce_shard_has_one_place (void **state)
{
  struct stage *stage = *state;
  auto_shard struct shard shard = { 0 };
  fixture_shard (&shard, "j", GROWN - 1);
  shard.kind = SHARD_REDUCE;
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, bus_publish_shard (stage->bus, &shard, &stage->err));
  expect (stage, 0, bus_flush (stage->bus, &stage->err));
  kafka_place_grow (stage->url, GROWN);
  auto_bus struct bus *again = stage_open (stage->url, LONG_LEASE_MS);
  expect (stage, 0, bus_publish_shard (again, &shard, &stage->err));
  expect (stage, 0, bus_flush (again, &stage->err));
  take_each_once (stage, 1);
}

/* A producer that knew of more partitions than this one planned before it, and died. */
static void
shards_are_found_in_partitions_that_came_later (void **state)
{
  struct stage *stage = *state;
  auto_shard struct shard shard = { 0 };
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  kafka_place_grow (stage->url, GROWN);
  auto_bus struct bus *newer = stage_open (stage->url, LONG_LEASE_MS);
  expect (stage, 0, fixture_publish (newer, "j", 0, GROWN, &stage->err));
  expect (stage, 1, bus_get_shard (stage->bus, "j", GROWN - 1, &shard, &stage->err));
}

/* ---- 5 ---------------------------------------------------------------------------------- */

/* PARTITION of BUS reads what nobody can read, and hears of no acknowledgement of its dead letter.
 */
static void
read_garbage (struct stage *stage, struct bus *bus, struct partition *partition)
{
  put (stage, TOPIC_SHARDS, NULL, text ("no shard"));
  for (int64_t end = clock_boot_ms () + COMING_MS; partition->messages.next < 1;)
    {
      claims_pump_partition (&kafka (bus)->leases.log, partition);
      assert_true (clock_boot_ms () < end);
    }
}

static void
no_offset_is_committed_before_its_letter_is_safe (void **state)
{
  struct stage *stage = *state;
  auto_bus struct bus *bus = stage_open (stage->url, LONG_LEASE_MS);
  struct partition *partition = first_partition (stage, bus);
  read_garbage (stage, bus, partition);
  int64_t end = clock_boot_ms () + COMING_MS;
  auto_free char *early = NULL;
  assert_true (partition_watermark (partition, &early) < 1);
  for (int64_t watermark = 0; watermark < 1;)
    {
      auto_free char *metadata = NULL;
      kafka_serve (&kafka (bus)->producer, 5);
      watermark = partition_watermark (partition, &metadata);
      assert_true (clock_boot_ms () < end);
    }
}

static int
count_letter (void *context, const struct dead_letter *letter)
{
  size_t *bytes = context;
  *bytes += letter->payload.size;
  return 0;
}

/* Until BUS may commit past the first record of PARTITION. */
static void
await_commit (struct stage *stage, struct bus *bus, struct partition *partition)
{
  for (int64_t end = clock_boot_ms () + COMING_MS, watermark = 0; watermark < 1;)
    {
      auto_free char *metadata = NULL;
      stage_take_none (stage, bus, BUS_SHARDS, NULL);
      watermark = partition_watermark (partition, &metadata);
      assert_true (clock_boot_ms () < end);
    }
}

/* As a producer that is lost takes it along. */
static void
a_letter_that_was_lost_is_written_again (void **state)
{
  struct stage *stage = *state;
  auto_bus struct bus *bus = stage_open (stage->url, LONG_LEASE_MS);
  struct partition *partition = first_partition (stage, bus);
  read_garbage (stage, bus, partition);
  int64_t end = clock_boot_ms () + COMING_MS;
  (void) rd_kafka_purge (kafka (bus)->producer.handle,
                         RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  while (kafka (bus)->dead_letters.report.failed == 0)
    {
      kafka_serve (&kafka (bus)->producer, 5);
      assert_true (clock_boot_ms () < end);
    }
  await_commit (stage, bus, partition);
  size_t written = 0;
  expect (stage, 0, bus_list_dead_letters (bus, count_letter, &written, &stage->err));
  assert_int_equal (written, strlen ("no shard"));
}

/* Else what was committed would stand still behind it for ever. */
static void
the_largest_record_fits_into_a_letter (void **state)
{
  struct stage *stage = *state;
  size_t size = RECORD_MAX - 200, written = 0; /* what a batch takes around it */
  auto_free uint8_t *noise = xcalloc (size, 1);
  uint64_t random = random_state (seed_of_test ());
  for (size_t i = 0; i < size; i++) /* doesn't get smaller by compression */
    noise[i] = (uint8_t) random_next (&random);
  auto_bus struct bus *bus = stage_open (stage->url, LONG_LEASE_MS);
  struct partition *partition = first_partition (stage, bus);
  put (stage, TOPIC_SHARDS, NULL, (struct bytes){ noise, size });
  await_commit (stage, bus, partition);
  expect (stage, 0, bus_list_dead_letters (bus, count_letter, &written, &stage->err));
  assert_int_equal (written, size);
}

/* ---- 7 ---------------------------------------------------------------------------------- */

static void
who_serves_a_queue_is_told_by_the_logs_clock (void **state)
{
  enum
  {
    HOUR_S = 3600
  };
  struct stage *stage = *state;
  int64_t since = 0;
  struct bus *worker = stage_open (stage->url, LONG_LEASE_MS);
  stage_take_none (stage, worker, BUS_SHARDS, NULL);
  expect (stage, 1, bus_queue_served (stage->bus, "default", &since, &stage->err));
  ahead_s = HOUR_S;
  int served = bus_queue_served (stage->bus, "default", &since, &stage->err);
  ahead_s = -HOUR_S;
  int later = bus_queue_served (stage->bus, "default", &since, &stage->err);
  ahead_s = 0;
  assert_int_equal (served, 1);
  assert_int_equal (later, 1);
  bus_close (worker);
}

/* … also when nobody writes any more. */
static void
a_queue_that_nobody_serves_is_noticed (void **state)
{
  struct stage *stage = *state;
  int64_t since = 0;
  struct bus *worker = stage_open (stage->url, SHORT_LEASE_MS);
  stage_take_none (stage, worker, BUS_SHARDS, NULL);
  bus_close (worker);
  for (int64_t end = clock_boot_ms () + COMING_MS;
       bus_queue_served (stage->bus, "default", &since, &stage->err) != 0;)
    {
      (void) bus_poll (stage->bus, NULL, 0, 20);
      assert_true (clock_boot_ms () < end);
    }
  assert_true (since > 0);
}

/* ---- 8 ---------------------------------------------------------------------------------- */

/* How often NEEDLE stands in FILE. */
static int
count_in (FILE *file, const char *needle)
{
  char line[2048];
  int count = 0;
  rewind (file);
  while (fgets (line, sizeof line, file) != NULL)
    count += strstr (line, needle) != NULL;
  return count;
}

/* By a newer program, say, which has died. */
static void
an_end_that_cant_be_published_is_told_once (void **state)
{
  struct stage *stage = *state;
  const char *key = "j/map/1/0/1";
  one_shard (stage);
  struct claim claim = { .kind = CLAIM_SETTLE,
                         .writer = (char *) (uintptr_t) "dead",
                         .starts = 1,
                         .lease_ms = SHORT_LEASE_MS };
  buffer_printf (&claim.event, "an event");
  buffer_printf (&claim.retry, "nothing that we can read");
  put_claim (stage, key, &claim);
  auto_bus struct bus *bus = stage_open (stage->url, LONG_LEASE_MS);
  FILE *said = tmpfile ();
  int kept = dup (STDERR_FILENO);
  assert_true (said != NULL && kept >= 0 && dup2 (fileno (said), STDERR_FILENO) >= 0);
  stage_take_none (stage, bus, BUS_SHARDS, NULL);
  const struct inflight *inflight = await_phase (bus, INFLIGHT_PUBLISHING);
  int64_t end = clock_boot_ms () + COMING_MS;
  while (!inflight->retry_sent && clock_boot_ms () < end)
    (void) bus_poll (bus, NULL, 0, 5);
  for (int i = 0; i < 20; i++)
    (void) bus_poll (bus, NULL, 0, 1);
  (void) dup2 (kept, STDERR_FILENO);
  (void) close (kept);
  assert_int_equal (count_in (said, "event=completion_publish_failed"), 1);
  (void) fclose (said);
  /* One that can read it does it. */
  buffer_release (&claim.event);
  buffer_release (&claim.retry);
  claim.kind = CLAIM_DONE;
  put_claim (stage, key, &claim);
  while (inflight_is_ending (&kafka (bus)->inflight))
    {
      (void) bus_poll (bus, NULL, 0, 5);
      assert_true (clock_boot_ms () < end);
    }
}

/* ---- all -------------------------------------------------------------------------------- */

#define TEST(name)                                                                                 \
  cmocka_unit_test_prestate_setup_teardown (name, stage_set_up, stage_tear_down, state)

int
main (void)
{
  const struct bus_place place = {
    .make = kafka_place_ordered, .discard = kafka_place_discard, .is_log = true, .patience_ms = 1000
  };
  void *state = (void *) (uintptr_t) &place;
  const struct CMUnitTest tests[] = {
    TEST (who_stood_still_before_the_start_looks_first),
    TEST (a_renewal_is_believed_when_it_was_read_back),
    TEST (a_late_renewal_takes_no_start_back),
    TEST (a_replay_goes_where_its_shards_are),
    TEST (a_reduce_shard_has_one_place),
    TEST (shards_are_found_in_partitions_that_came_later),
    TEST (no_offset_is_committed_before_its_letter_is_safe),
    TEST (a_letter_that_was_lost_is_written_again),
    TEST (the_largest_record_fits_into_a_letter),
    TEST (who_serves_a_queue_is_told_by_the_logs_clock),
    TEST (a_queue_that_nobody_serves_is_noticed),
    TEST (an_end_that_cant_be_published_is_told_once),
  };
  return cmocka_run_group_tests_name ("kafka_claims", tests, NULL, NULL);
}
