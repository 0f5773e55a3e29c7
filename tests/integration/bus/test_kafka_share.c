/* Several workers on one real broker: what they write so that each shard runs once. Counts only;
 * they don't depend on how fast the machine is. */
#include "bus/kafka/claims_log.h"
#include "bus/kafka/kafka.h"
#include "bus/kafka/partitions.h"
#include "bus/kafka/share.h"
#include "common/clock.h"
#include "common/memory.h"
#include "schemas/codec.h"
#include "tests/lib/bus_fixture.h"
#include "tests/lib/bus_stage.h"
#include "tests/lib/kafka_place.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum
{
  WORKERS = 8,
  SLOTS = 4,
  SHARDS = 1600,
};

static struct kafka_bus *
kafka (struct bus *bus)
{
  return (struct kafka_bus *) bus;
}

/* A worker in a process of its own: settles what it gets, at once, until all SHARDS are taken. */
static int
work (const char *url, atomic_int *taken)
{
  struct error err = ERROR_INIT;
  const struct bus_options options = { .client = "test", .lease_ms = 60000, .slots = SLOTS };
  auto_bus struct bus *bus = bus_open (url, &options, &err);
  while (bus != NULL && atomic_load (taken) < SHARDS)
    {
      auto_delivery struct delivery *delivery = NULL;
      int got = bus_take (bus, BUS_SHARDS, NULL, &delivery, &err);
      if (got == 0)
        (void) bus_poll (bus, NULL, 0, 100);
      if (got < 0 || (got == 1 && bus_settle (bus, delivery, NULL, NULL, &err) < 0))
        break;
      atomic_fetch_add (taken, got);
    }
  if (err.class == ERROR_NONE)
    return 0;
  fprintf (stderr, "%s\n", err.message);
  return 1;
}

/* CLAIMs in the log of claims, of all partitions. */
static int
count_claims (struct stage *stage)
{
  int claims = 0;
  struct kafka_bus *bus = kafka (stage->bus);
  for (int32_t i = 0; i < bus->client.topics.partitions[TOPIC_CLAIMS]; i++)
    {
      struct cursor cursor = { 0 };
      expect (stage, 0,
              cursor_open (&cursor, bus->reader, TOPIC_CLAIMS, i, FROM_START, &stage->err));
      for (;;)
        {
          auto_message rd_kafka_message_t *message = NULL;
          auto_claim struct claim claim = { 0 };
          int got = cursor_next_before_end (&cursor, &message, &stage->err);
          if (got < 0)
            fail_msg ("%s", stage->err.message);
          if (got == 0)
            break;
          expect (stage, 0, codec_decode_claim (cursor.payload, &claim, &stage->err));
          claims += claim.kind == CLAIM_CLAIM;
        }
      cursor_close (&cursor);
    }
  return claims;
}

/* Runs WORKERS processes until all is taken. */
static void
run_workers (struct stage *stage)
{
  pid_t children[WORKERS];
  atomic_int *taken =
      mmap (NULL, sizeof *taken, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_ptr_not_equal (taken, MAP_FAILED);
  atomic_init (taken, 0);
  for (int i = 0; i < WORKERS; i++)
    if ((children[i] = fork ()) == 0)
      _exit (work (stage->url, taken));
  for (int i = 0; i < WORKERS; i++)
    {
      int status = -1;
      assert_int_equal (waitpid (children[i], &status, 0), children[i]);
      assert_int_equal (status, 0);
    }
  assert_int_equal (atomic_load (taken), SHARDS);
  (void) munmap (taken, sizeof *taken);
}

static void
workers_seldom_want_the_same_shard (void **state)
{
  struct stage *stage = *state;
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, SHARDS, &stage->err));
  run_workers (stage);
  int claims = count_claims (stage);
  print_message ("%d claims on %d shards\n", claims, SHARDS);
  assert_in_range (claims, SHARDS, SHARDS + SHARDS / 2);
}

/* ---- committing ------------------------------------------------------------------------- */

/* What the workers' group has committed of the only partition; -1: nothing. */
static int64_t
read_committed (struct stage *stage)
{
  struct kafka_bus *bus = kafka (stage->bus);
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new (1);
  const rd_kafka_topic_partition_t *only =
      rd_kafka_topic_partition_list_add (list, bus->client.topics.names[TOPIC_SHARDS], 0);
  assert_int_equal (kafka_committed (bus->work.reader, list), RD_KAFKA_RESP_ERR_NO_ERROR);
  int64_t offset = only->offset < 0 ? -1 : only->offset;
  rd_kafka_topic_partition_list_destroy (list);
  return offset;
}

/* Polls BUS, which commits whenever it is to, until a partition's WATERMARK is known to it. */
static void
await_watermark (struct bus *bus, int64_t wanted)
{
  struct partition_set *set = &kafka (bus)->work.shards[0];
  for (int64_t end = clock_boot_ms () + COMING_MS, watermark = -1; watermark < wanted;)
    {
      auto_free char *metadata = NULL;
      (void) bus_poll (bus, NULL, 0, 10);
      watermark = partition_watermark (set->items[0], &metadata);
      assert_true (clock_boot_ms () < end);
    }
  set->looked = 0;
  set->committed_at = 0;
  (void) bus_poll (bus, NULL, 0, 0);
}

/* What another has settled is committed by that one; by all once an hour. */
static void
a_worker_commits_what_it_has_settled (void **state)
{
  struct stage *stage = *state;
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 4, &stage->err));
  auto_bus struct bus *worker = stage_open (stage->url, LONG_LEASE_MS);
  auto_delivery struct delivery *none = NULL;
  expect (stage, 0, bus_take (stage->bus, BUS_SHARDS, "another", &none, &stage->err));
  expect (stage, 0, bus_take (worker, BUS_SHARDS, "another", &none, &stage->err));
  kafka (worker)->work.shards[0].committed_at = INT64_MAX / 2; /* not yet */
  stage_settle_any (stage, worker, 4);
  await_watermark (stage->bus, 4);
  assert_int_equal (kafka (stage->bus)->work.shards[0].items[0]->committed, -1001);
  assert_int_equal (read_committed (stage), -1);
  await_watermark (worker, 4);
  bus_close (take (&worker));
  assert_int_equal (read_committed (stage), 4);
  kafka (stage->bus)->work.shards[0].all_at = 1 - COMING_MS * 1000;
  await_watermark (stage->bus, 4);
  assert_int_equal (kafka (stage->bus)->work.shards[0].items[0]->committed, 4);
}

/* ---- choosing --------------------------------------------------------------------------- */

/* The bus with COUNT shards, which it has read. */
static struct partition_set *
open_with (struct stage *stage, int count)
{
  struct partition_set *set = &kafka (stage->bus)->work.shards[0];
  auto_delivery struct delivery *none = NULL;
  size_t open = 0;
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, (uint32_t) count, &stage->err));
  expect (stage, 0, bus_take (stage->bus, BUS_SHARDS, "another", &none, &stage->err));
  for (int64_t end = clock_boot_ms () + COMING_MS; open < (size_t) count;)
    {
      open = 0;
      (void) bus_poll (stage->bus, NULL, 0, 10);
      for (int i = 0; i < set->count; i++)
        open += set->items[i]->open_count;
      if (clock_boot_ms () > end)
        fail_msg ("%zu shards are open", open);
    }
  return set;
}

static const struct message *
choose (struct stage *stage)
{
  struct kafka_choice *choice = &kafka (stage->bus)->take.choice;
  const struct message *message = choice_next (choice, BUS_SHARDS, NULL);
  assert_non_null (message);
  return message;
}

static void
a_worker_stays_at_a_partition_for_a_while (void **state)
{
  struct stage *stage = *state;
  struct partition_set *set = open_with (stage, 64);
  const struct partition *first = choose (stage)->partition;
  for (int i = 0; i < 8; i++)
    assert_ptr_equal (choose (stage)->partition, first);
  set->turned -= COMING_MS;
  assert_ptr_not_equal (choose (stage)->partition, first);
}

static void
the_oldest_comes_first_as_long_as_nobody_else_was_met (void **state)
{
  struct stage *stage = *state;
  struct partition_set *set = open_with (stage, 64);
  for (uint64_t seed = 1; seed < 64; seed++)
    {
      kafka (stage->bus)->take.choice.seed = seed;
      const struct message *message = choose (stage);
      assert_ptr_equal (message, TAILQ_FIRST (&message->partition->open));
    }
  assert_int_equal (set->met_at, 0);
}

/* Then workers go different ways, and the first isn't left for ever. */
static void
the_oldest_is_left_to_others_for_seconds_only (void **state)
{
  struct stage *stage = *state;
  struct partition_set *set = open_with (stage, 256);
  int blocks[4] = { 0 };
  int heads = 0;
  set->met_at = clock_boot_ms ();
  for (uint64_t seed = 1; seed <= 400; seed++)
    {
      kafka (stage->bus)->take.choice.seed = seed;
      const struct message *message = choose (stage);
      struct partition *partition = message->partition;
      const struct message *head = TAILQ_FIRST (&partition->open);
      blocks[message->offset / 16]++;
      heads += message == head;
      partition->head_since -= COMING_MS;
      assert_ptr_equal (choose (stage), head);
      partition->head_since = clock_boot_ms ();
    }
  for (int i = 0; i < 4; i++)
    assert_in_range (blocks[i], 50, 200);
  assert_in_range (heads, 0, 40);
}

/* ---- reading ---------------------------------------------------------------------------- */

/* Polls all BUSES for work that there is none of, until HOLDS says so. */
static void
await_all (struct stage *stage, struct bus **buses, int count, bool (*holds) (struct bus **, int))
{
  for (int64_t end = clock_boot_ms () + COMING_MS; !holds (buses, count);)
    {
      if (clock_boot_ms () > end)
        fail_msg ("it didn't come to that");
      for (int i = 0; i < count; i++)
        {
          auto_delivery struct delivery *none = NULL;
          expect (stage, 0, bus_take (buses[i], BUS_SHARDS, "another", &none, &stage->err));
          (void) bus_poll (buses[i], NULL, 0, 10);
        }
    }
}

static int
count_members (struct bus *bus)
{
  return (int) kafka (bus)->queues.items[0].members.count;
}

static int
count_readers (struct bus **buses, int count, int32_t partition)
{
  int readers = 0;
  for (int i = 0; i < count; i++)
    readers += partitions_find (&kafka (buses[i])->work.shards[0], partition) != NULL;
  return readers;
}

/* BUS has chosen its share since it last heard who is there: it does so once a second. */
static bool
share_is_current (struct bus *bus)
{
  const struct readership *readership = &kafka (bus)->take.readers[0];
  size_t count = 0;
  auto_free const char **others = members_living (
      &readership->queue->members, claims_now (readership->work->leases->claims), &count);
  auto_free bool *share = xcalloc ((size_t) readership->count, sizeof *share);
  share_choose (kafka (bus)->client.writer, others, count, share, readership->count);
  return memcmp (share, readership->share, (size_t) readership->count * sizeof *share) == 0;
}

/* All know of each other, and read what is theirs. */
static bool
shares_are_settled (struct bus **buses, int count)
{
  for (int i = 0; i < count; i++)
    {
      const struct readership *readership = &kafka (buses[i])->take.readers[0];
      if (readership->count == 0 || count_members (buses[i]) != count
          || !share_is_current (buses[i]))
        return false;
      for (int32_t p = 0; p < readership->count; p++)
        if (readership->share[p] != (partitions_find (readership->set, p) != NULL))
          return false;
    }
  return true;
}

static void
workers_read_their_share (void **state)
{
  struct stage *stage = *state;
  struct bus *buses[6] = { NULL };
  int32_t partitions = kafka (stage->bus)->client.topics.partitions[TOPIC_SHARDS];
  buses[0] = stage->bus;
  await_all (stage, buses, 1, shares_are_settled);
  for (int32_t p = 0; p < partitions; p++)
    assert_int_equal (count_readers (buses, 1, p), 1);
  for (int i = 1; i < 6; i++)
    buses[i] = stage_open (stage->url, LONG_LEASE_MS);
  await_all (stage, buses, 6, shares_are_settled);
  int all = 0;
  for (int32_t p = 0; p < partitions; p++)
    {
      int readers = count_readers (buses, 6, p);
      assert_true (readers >= 2);
      all += readers;
    }
  print_message ("%d partitions, 6 workers: %d readers\n", partitions, all);
  assert_in_range (all, 2 * partitions, 6 * partitions - 1);
  for (int i = 1; i < 6; i++)
    bus_close (buses[i]);
  /* who goes says so: nobody waits for a lease, which is far longer than this may take */
  await_all (stage, buses, 1, shares_are_settled);
  for (int32_t p = 0; p < partitions; p++)
    assert_int_equal (count_readers (buses, 1, p), 1);
}

/* ---- strangers -------------------------------------------------------------------------- */

/* A word that a worker reads the queue who doesn't: for the whole lease all believe it. */
static void
announce_stranger (struct stage *stage, int number)
{
  struct kafka_bus *bus = kafka (stage->bus);
  auto_buffer struct buffer payload = { 0 };
  auto_free char *name = xasprintf ("stranger-%d", number);
  auto_free char *key = reader_key ("default", name);
  const struct claim claim = { .kind = CLAIM_UNKNOWN,
                               .writer = name,
                               .lease_ms = 10 * LONG_LEASE_MS };
  expect (stage, 0, codec_encode_claim (&claim, &payload, &stage->err));
  expect (stage, 0,
          kafka_send (&bus->producer, TOPIC_LEASES, 0, key, &payload, &bus->producer.published,
                      &stage->err));
  expect (stage, 0, bus_flush (stage->bus, &stage->err));
}

/* Strangers until WORKER's share doesn't have a partition, which is returned. */
static int32_t
displace (struct stage *stage, struct bus *worker)
{
  const struct readership *readership = &kafka (worker)->take.readers[0];
  for (int i = 0; i < 100; i++)
    {
      announce_stranger (stage, i);
      for (int64_t end = clock_boot_ms () + COMING_MS; count_members (worker) < i + 2;)
        {
          (void) bus_poll (worker, NULL, 0, 10);
          assert_true (clock_boot_ms () < end);
        }
      size_t count = 0;
      bool share[64];
      auto_free const char **names =
          members_living (&kafka (worker)->queues.items[0].members, 0, &count);
      share_choose (bus_writer (worker), names, count, share, readership->count);
      for (int32_t p = 0; p < readership->count; p++)
        if (!share[p])
          return p;
    }
  fail_msg ("100 others, and still all is its");
  return -1;
}

static bool
displaced_is_closed (struct bus **buses, int count)
{
  const struct readership *readership = &kafka (buses[0])->take.readers[0];
  if (readership->set->count == readership->count || count != 1)
    return false;
  for (int32_t p = 0; p < readership->count; p++)
    if (readership->share[p] != (partitions_find (readership->set, p) != NULL))
      return false;
  return true;
}

static void
publish_to (struct stage *stage, int32_t partition, uint32_t index)
{
  struct kafka_bus *bus = kafka (stage->bus);
  auto_buffer struct buffer payload = { 0 };
  auto_shard struct shard shard = { 0 };
  fixture_shard (&shard, "j", index);
  auto_free char *key = shard_key (&shard);
  expect (stage, 0, codec_encode_shard (&shard, &payload, &stage->err));
  expect (stage, 0,
          kafka_send (&bus->producer, TOPIC_SHARDS, partition, key, &payload,
                      &bus->producer.published, &stage->err));
  expect (stage, 0, bus_flush (stage->bus, &stage->err));
}

/* Its readers are dead, and their leases run: the one worker that lives and has nothing to do finds
 * what they leave undone. */
static void
what_nobody_reads_is_found_by_the_idle (void **state)
{
  struct stage *stage = *state;
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  auto_bus struct bus *worker = stage_open (stage->url, LONG_LEASE_MS);
  auto_delivery struct delivery *none = NULL;
  expect (stage, 0, bus_take (worker, BUS_SHARDS, "another", &none, &stage->err));
  int32_t partition = displace (stage, worker);
  await_all (stage, &worker, 1, displaced_is_closed);
  publish_to (stage, partition, 0);
  stage_settle_next (stage, worker, 0);
  assert_non_null (partitions_find (&kafka (worker)->work.shards[0], partition));
  await_all (stage, &worker, 1, displaced_is_closed);
}

/* What a worker holds keeps its partition open, whoever comes; and it is settled there. */
static void
what_is_held_keeps_its_partition_open (void **state)
{
  struct stage *stage = *state;
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  auto_bus struct bus *worker = stage_open (stage->url, LONG_LEASE_MS);
  auto_delivery struct delivery *none = NULL;
  expect (stage, 0, bus_take (worker, BUS_SHARDS, "another", &none, &stage->err));
  const struct readership *readership = &kafka (worker)->take.readers[0];
  for (int32_t p = 0; p < readership->count; p++)
    publish_to (stage, p, (uint32_t) p);
  struct delivery *held[64] = { NULL };
  for (int32_t p = 0; p < readership->count; p++)
    assert_in_range (stage_await (stage, worker, &held[p], COMING_MS), 0, readership->count);
  int32_t partition = displace (stage, worker);
  for (int i = 0; i < 3; i++) /* it has looked at its share since */
    {
      kafka (worker)->take.readers[0].tended = 0;
      expect (stage, 0, bus_take (worker, BUS_SHARDS, "another", &none, &stage->err));
    }
  assert_false (readership->share[partition]);
  assert_non_null (partitions_find (readership->set, partition));
  for (int32_t p = 0; p < readership->count; p++)
    {
      expect (stage, 1, bus_settle_wait (worker, held[p], NULL, NULL, &stage->err));
      delivery_free (held[p]);
    }
  await_all (stage, &worker, 1, displaced_is_closed);
}

int
main (void)
{
  static const struct bus_place place = {
    .make = kafka_place_spread, .discard = kafka_place_discard, .is_log = true, .patience_ms = 1000
  };
  static const struct bus_place one = {
    .make = kafka_place_ordered, .discard = kafka_place_discard, .is_log = true, .patience_ms = 1000
  };
#define ONE(name)                                                                                  \
  cmocka_unit_test_prestate_setup_teardown (name, stage_set_up, stage_tear_down, (void *) &one)
#define TEST(name)                                                                                 \
  cmocka_unit_test_prestate_setup_teardown (name, stage_set_up, stage_tear_down, (void *) &place)
  const struct CMUnitTest tests[] = {
    TEST (workers_seldom_want_the_same_shard),
    ONE (a_worker_commits_what_it_has_settled),
    TEST (a_worker_stays_at_a_partition_for_a_while),
    TEST (the_oldest_comes_first_as_long_as_nobody_else_was_met),
    TEST (the_oldest_is_left_to_others_for_seconds_only),
    TEST (workers_read_their_share),
    TEST (what_nobody_reads_is_found_by_the_idle),
    TEST (what_is_held_keeps_its_partition_open),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
