/* Jobs and shards: submitting, publishing, taking, keeping, settling. */
#include "tests/lib/bus_conformance.h"

#include "bus/queue_list.h"
#include "bus/shard_list.h"
#include "common/clock.h"
#include "common/memory.h"
#include "tests/lib/bus_actor.h"
#include "tests/lib/bus_fixture.h"
#include "tests/lib/bus_stage.h"

#include <string.h>

/* ---- submitting and publishing ---------------------------------------------------------- */

static void
a_job_is_submitted_once (void **state)
{
  struct stage *stage = *state;
  auto_job struct job job;
  job_init (&job);
  job.id = xstrdup ("a");
  job.results = xstrdup ("/r");
  job.image = xstrdup ("first");
  expect (stage, 1, bus_submit (stage->bus, &job, &stage->err));
  free (job.image);
  job.image = xstrdup ("second");
  expect (stage, 0, bus_submit (stage->bus, &job, &stage->err));
  auto_bus struct bus *other = stage_open (stage->url, LONG_LEASE_MS);
  auto_job struct job back = { 0 };
  expect (stage, 1, bus_get_job (other, "a", &back, &stage->err));
  assert_string_equal (back.image, "first");
  auto_job struct job none = { 0 };
  expect (stage, 0, bus_get_job (other, "b", &none, &stage->err));
}

static int
note_id (void *context, const struct job *job)
{
  buffer_puts (context, job->id);
  return strcmp (job->id, "c") == 0 ? 7 : 0;
}

static void
jobs_are_listed_oldest_first (void **state)
{
  struct stage *stage = *state;
  auto_buffer struct buffer ids = { 0 };
  expect (stage, 0, bus_list_jobs (stage->bus, NULL, note_id, &ids, &stage->err));
  const char *const names[] = { "b", "a", "c", "d" };
  for (size_t i = 0; i < 4; i++)
    expect (stage, 1, fixture_submit (stage->bus, names[i], &stage->err));
  expect (stage, 7, bus_list_jobs (stage->bus, NULL, note_id, &ids, &stage->err));
  assert_string_equal (ids.data, "bac");
  buffer_clear (&ids);
  expect (stage, 0, bus_list_jobs (stage->bus, "c", note_id, &ids, &stage->err));
  assert_string_equal (ids.data, "d");
  buffer_clear (&ids);
  expect (stage, 7, bus_list_jobs (stage->bus, "b", note_id, &ids, &stage->err));
  assert_string_equal (ids.data, "ac");
  buffer_clear (&ids);
  expect (stage, 0, bus_list_jobs (stage->bus, "d", note_id, &ids, &stage->err));
  assert_int_equal (ids.size, 0);
  struct error err = ERROR_INIT;
  assert_int_equal (bus_list_jobs (stage->bus, "none", note_id, &ids, &err), -1);
  assert_int_equal (err.class, ERROR_USER);
}

static void
publishing_again_is_no_second_plan (void **state)
{
  struct stage *stage = *state;
  auto_bus struct bus *other = stage_open (stage->url, LONG_LEASE_MS);
  struct bus *buses[] = { stage->bus, other, stage->bus };
  for (size_t i = 0; i < 3; i++)
    {
      (void) fixture_submit (buses[i], "j", &stage->err);
      expect (stage, 0, fixture_publish (buses[i], "j", 0, 10, &stage->err));
      expect (stage, 0, fixture_plan_end (buses[i], "j", 10, &stage->err));
    }
  int planned = stage_count_events (stage, EVENT_PLANNED);
  assert_in_range (planned, 1, stage->place->is_log ? 3 : 1);
  for (int index = 0; index < 10; index++)
    stage_settle_next (stage, other, index);
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 10, &stage->err));
  stage_settle_next (stage, other, -1); /* a settled shard is settled */
}

static void
note_index (void *context, uint32_t index)
{
  uint32_t *seen = context;
  *seen += (uint32_t) 1 << (4 * index);
}

/* What HANDLE sees of the plan, a digit for each shard. */
static uint32_t
list_plan (struct stage *stage, struct bus *handle)
{
  uint32_t seen = 0;
  expect (stage, 0, bus_list_shards (handle, "j", note_index, &seen, &stage->err));
  return seen;
}

static void
what_was_published_is_seen_by_its_publisher (void **state)
{
  struct stage *stage = *state;
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  for (uint32_t index = 0; index < 3; index++)
    {
      auto_shard struct shard shard = { 0 };
      auto_shard struct shard back = { 0 };
      fixture_shard (&shard, "j", index);
      expect (stage, 0, bus_publish_shard (stage->bus, &shard, &stage->err));
      expect (stage, 1, bus_get_shard (stage->bus, "j", index, &back, &stage->err));
      assert_memory_equal (back.digest, shard.digest, DIGEST_SIZE);
      assert_string_equal (back.atoms.data, shard.atoms.data);
    }
  auto_shard struct shard none = { 0 };
  expect (stage, 0, bus_get_shard (stage->bus, "j", 3, &none, &stage->err));
  assert_int_equal (list_plan (stage, stage->bus), 0x111);
}

/* Retries and replays aren't the plan's. */
static void
the_shards_of_a_plan_are_listed_once_each (void **state)
{
  struct stage *stage = *state;
  auto_bus struct bus *other = stage_open (stage->url, LONG_LEASE_MS);
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 1, fixture_submit (stage->bus, "k", &stage->err));
  assert_int_equal (list_plan (stage, other), 0);
  expect (stage, 0, fixture_publish (stage->bus, "k", 0, 2, &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 5, 6, &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 3, &stage->err));
  expect (stage, 0, bus_flush (stage->bus, &stage->err));
  assert_int_equal (list_plan (stage, other), 0x100111);
  const uint32_t again[] = { 1 };
  expect (stage, 0, bus_replay (stage->bus, "j", 2, again, 1, &stage->err));
  assert_int_equal (list_plan (stage, other), 0x100111);
  assert_int_equal (list_plan (stage, stage->bus), 0x100111);
}

static void
shards_come_in_order_of_job_and_publishing (void **state)
{
  struct stage *stage = *state;
  expect (stage, 1, fixture_submit (stage->bus, "older", &stage->err));
  expect (stage, 1, fixture_submit (stage->bus, "newer", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "newer", 0, 2, &stage->err));
  for (uint32_t index = 5; index-- > 0;)
    expect (stage, 0, fixture_publish (stage->bus, "older", index, index + 1, &stage->err));
  for (int i = 0; i < 7; i++)
    {
      auto_delivery struct delivery *delivery = NULL;
      int log_order[] = { 0, 1, 4, 3, 2, 1, 0 };
      bool newer = stage->place->is_log ? i < 2 : i >= 5;
      int wanted = stage->place->is_log ? log_order[i] : i < 5 ? 4 - i : i - 5;
      assert_int_equal (stage_take (stage, stage->bus, &delivery), wanted);
      assert_string_equal (delivery->job->id, newer ? "newer" : "older");
      assert_string_equal (delivery->shard.job_id, delivery->job->id);
      assert_int_equal (delivery->starts, 1);
    }
}

static void
taking_of_one_job_leaves_the_others (void **state)
{
  struct stage *stage = *state;
  const char *const names[] = { "a", "b" };
  for (size_t i = 0; i < 2; i++)
    {
      expect (stage, 1, fixture_submit (stage->bus, names[i], &stage->err));
      expect (stage, 0, fixture_publish (stage->bus, names[i], 0, 1, &stage->err));
    }
  for (int queue = BUS_JOBS; queue <= BUS_SHARDS; queue++)
    {
      auto_delivery struct delivery *delivery = NULL;
      expect (stage, 1,
              stage_take_from (stage, stage->bus, (enum bus_queue) queue, "b", &delivery));
      assert_string_equal (delivery->job->id, "b");
      stage_take_none (stage, stage->bus, (enum bus_queue) queue, "b");
    }
}

/* ---- holding a delivery ----------------------------------------------------------------- */

static void
a_job_is_delivered_as_shards_are (void **state)
{
  struct stage *stage = *state;
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  auto_bus struct bus *other = stage_open (stage->url, LONG_LEASE_MS);
  auto_delivery struct delivery *delivery = NULL;
  auto_delivery struct delivery *second = NULL;
  expect (stage, 1, stage_take_from (stage, stage->bus, BUS_JOBS, NULL, &delivery));
  stage_take_none (stage, other, BUS_JOBS, NULL);
  expect (stage, 1, bus_keep (stage->bus, delivery, &stage->err));
  expect (stage, 1, bus_release (stage->bus, delivery, &stage->err));
  expect (stage, 1, stage_take_from (stage, other, BUS_JOBS, NULL, &second));
  assert_int_equal (second->starts, 1);
  expect (stage, 0, bus_keep (stage->bus, delivery, &stage->err));
  expect (stage, 1, bus_settle_wait (other, second, NULL, NULL, &stage->err));
  expect (stage, 0, bus_settle_wait (other, second, NULL, NULL, &stage->err));
  delivery_free (take (&second));
  stage_take_none (stage, other, BUS_JOBS, NULL);
}

static void
a_release_gives_back_and_counts_no_start (void **state)
{
  struct stage *stage = *state;
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 1, &stage->err));
  auto_bus struct bus *other = stage_open (stage->url, LONG_LEASE_MS);
  for (int round = 0; round < 5; round++)
    {
      auto_delivery struct delivery *delivery = NULL;
      struct bus *taker = round % 2 == 0 ? stage->bus : other;
      assert_int_equal (stage_take (stage, taker, &delivery), 0);
      assert_int_equal (delivery->starts, 1);
      stage_take_none (stage, other, BUS_SHARDS, NULL);
      expect (stage, 1, bus_release (taker, delivery, &stage->err));
      expect (stage, 0, bus_release (taker, delivery, &stage->err));
      expect (stage, 0, fixture_settle (taker, delivery, -1, &stage->err));
    }
  assert_int_equal (stage_count_events (stage, EVENT_FINISHED), 0);
}

static void
a_lease_that_ran_out_is_taken_over (void **state)
{
  struct stage *stage = *state;
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 1, &stage->err));
  auto_bus struct bus *slow = stage_open (stage->url, SHORT_LEASE_MS);
  auto_delivery struct delivery *delivery = NULL;
  auto_delivery struct delivery *second = NULL;
  assert_int_equal (stage_take (stage, slow, &delivery), 0);
  int64_t start = clock_boot_ms ();
  assert_int_equal (stage_await (stage, stage->bus, &second, SOON_MS), 0);
  assert_in_range (clock_boot_ms () - start, SHORT_LEASE_MS - 50, SOON_MS);
  assert_int_equal (second->starts, 2);
  expect (stage, 0, bus_keep (slow, delivery, &stage->err));
  expect (stage, 0, fixture_settle (slow, delivery, -1, &stage->err));
  expect (stage, 0, fixture_settle (slow, delivery, 0, &stage->err));
  expect (stage, 0, bus_release (slow, delivery, &stage->err));
  assert_int_equal (stage_count_events (stage, EVENT_FINISHED), 0);
  expect (stage, 1, fixture_settle (stage->bus, second, -1, &stage->err));
  assert_int_equal (stage_count_events (stage, EVENT_FINISHED), 1);
  stage_settle_next (stage, stage->bus, -1); /* the retry of a claim that was lost isn't there */
}

static void
a_delivery_that_is_kept_stays (void **state)
{
  struct stage *stage = *state;
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 1, &stage->err));
  auto_bus struct bus *keeper = stage_open (stage->url, SHORT_LEASE_MS);
  auto_delivery struct delivery *delivery = NULL;
  auto_delivery struct delivery *second = NULL;
  assert_int_equal (stage_take (stage, keeper, &delivery), 0);
  for (int64_t end = clock_boot_ms () + 4 * (int64_t) SHORT_LEASE_MS; clock_boot_ms () < end;)
    {
      expect (stage, 1, bus_keep (keeper, delivery, &stage->err));
      assert_int_equal (stage_await (stage, stage->bus, &second, SHORT_LEASE_MS / 3), -1);
    }
  expect (stage, 1, fixture_settle (keeper, delivery, -1, &stage->err));
}

static void
a_closed_handle_holds_nothing (void **state)
{
  struct stage *stage = *state;
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 1, &stage->err));
  struct bus *gone = stage_open (stage->url, LONG_LEASE_MS);
  auto_delivery struct delivery *delivery = NULL;
  auto_delivery struct delivery *second = NULL;
  assert_int_equal (stage_take (stage, gone, &delivery), 0);
  bus_close (gone);
  assert_int_equal (stage_await (stage, stage->bus, &second, SOON_MS), 0);
  assert_int_equal (second->starts, 2);
}

/* ---- settling --------------------------------------------------------------------------- */

static void
settling_writes_events_and_retry_together (void **state)
{
  struct stage *stage = *state;
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 1, &stage->err));
  for (uint32_t attempt = 1; attempt <= 3; attempt++)
    {
      auto_delivery struct delivery *delivery = NULL;
      assert_int_equal (stage_take (stage, stage->bus, &delivery), 0);
      assert_int_equal (delivery->shard.attempt, attempt);
      assert_int_equal (delivery->shard.failures, attempt - 1);
      assert_int_equal (delivery->starts, 1);
      expect (stage, 1, fixture_settle (stage->bus, delivery, attempt < 3 ? 0 : -1, &stage->err));
      expect (stage, 0, fixture_settle (stage->bus, delivery, 0, &stage->err));
      assert_int_equal (stage_count_events (stage, EVENT_FINISHED), attempt);
    }
  stage_settle_next (stage, stage->bus, -1);
}

static void
a_retry_waits_until_it_is_due (void **state)
{
  enum
  {
    WAIT_MS = 400
  };
  struct stage *stage = *state;
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 3, &stage->err));
  auto_delivery struct delivery *delivery = NULL;
  auto_delivery struct delivery *again = NULL;
  assert_int_equal (stage_take (stage, stage->bus, &delivery), 0);
  int64_t start = clock_boot_ms ();
  expect (stage, 1, fixture_settle (stage->bus, delivery, WAIT_MS, &stage->err));
  stage_settle_next (stage, stage->bus, 1); /* it holds up nobody */
  stage_settle_next (stage, stage->bus, 2);
  assert_int_equal (stage_await (stage, stage->bus, &again, SOON_MS), 0);
  assert_in_range (clock_boot_ms () - start, WAIT_MS - 2, SOON_MS);
  assert_int_equal (again->shard.attempt, 2);
}

/* ---- queues ----------------------------------------------------------------------------- */

static struct bus *
open_serving (struct stage *stage, const char *first, const char *second)
{
  auto_strlist struct strlist queues = { 0 };
  strlist_add (&queues, first);
  if (second != NULL)
    strlist_add (&queues, second);
  return stage_open_for (stage->url, LONG_LEASE_MS, &queues);
}

static void
fill_two_queues (struct stage *stage, uint32_t shards)
{
  expect (stage, 1, fixture_submit (stage->bus, "plain", &stage->err));
  expect (stage, 1, fixture_submit_to (stage->bus, "drawn", "gpu", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "plain", 0, shards, &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "drawn", 0, shards, &stage->err));
  expect (stage, 0, fixture_plan_end (stage->bus, "plain", shards, &stage->err));
  expect (stage, 0, fixture_plan_end (stage->bus, "drawn", shards, &stage->err));
}

/* Settles COUNT shards: how many of them were the job ID's. */
static int
settle_and_count (struct stage *stage, struct bus *bus, int count, const char *id)
{
  int of_job = 0;
  for (int i = 0; i < count; i++)
    {
      auto_delivery struct delivery *delivery = NULL;
      assert_true (stage_take (stage, bus, &delivery) >= 0);
      of_job += strcmp (delivery->job->id, id) == 0;
      expect (stage, 1, fixture_settle (bus, delivery, -1, &stage->err));
    }
  return of_job;
}

static void
a_queue_is_for_those_who_serve_it (void **state)
{
  struct stage *stage = *state;
  auto_delivery struct delivery *failed = NULL;
  fill_two_queues (stage, 3);
  auto_bus struct bus *gpu = open_serving (stage, "gpu", NULL);
  assert_true (stage_take (stage, gpu, &failed) >= 0);
  assert_string_equal (failed->job->id, "drawn");
  expect (stage, 1,
          fixture_settle (gpu, failed, 0, &stage->err)); /* its retry stays in its queue */
  assert_int_equal (settle_and_count (stage, gpu, 3, "drawn"), 3);
  stage_take_none (stage, gpu, BUS_SHARDS, NULL);
  assert_int_equal (settle_and_count (stage, stage->bus, 3, "plain"), 3);
  stage_take_none (stage, stage->bus, BUS_SHARDS, NULL);
}

static void
what_is_in_a_queue_is_found_and_run_again (void **state)
{
  struct stage *stage = *state;
  auto_shard struct shard shard = { 0 };
  const uint32_t index = 1;
  fill_two_queues (stage, 3);
  auto_bus struct bus *gpu = open_serving (stage, "gpu", NULL);
  assert_int_equal (settle_and_count (stage, gpu, 3, "drawn"), 3);
  expect (stage, 1, bus_get_shard (stage->bus, "drawn", 2, &shard, &stage->err));
  expect (stage, 0, bus_replay (stage->bus, "drawn", 2, &index, 1, &stage->err));
  auto_delivery struct delivery *again = NULL;
  assert_int_equal (stage_take (stage, gpu, &again), 1);
  assert_int_equal (again->shard.generation, 2);
}

static void
the_preferred_queue_comes_first_and_no_queue_starves (void **state)
{
  enum
  {
    SHARDS = 40,
    TAKEN = 32
  };
  struct stage *stage = *state;
  fill_two_queues (stage, SHARDS);
  auto_bus struct bus *both = open_serving (stage, "gpu", "default");
  int preferred = settle_and_count (stage, both, TAKEN, "drawn");
  assert_in_range (preferred, TAKEN / 2 + 1, TAKEN - 1);
  assert_int_equal (settle_and_count (stage, both, 2 * SHARDS - TAKEN, "drawn"),
                    SHARDS - preferred);
}

static void
it_is_known_who_serves_a_queue (void **state)
{
  struct stage *stage = *state;
  int64_t since = -1;
  auto_delivery struct delivery *none = NULL;
  if (stage->place->is_log)
    expect (stage, 0, bus_queue_served (stage->bus, "gpu", &since, &stage->err));
  auto_bus struct bus *gpu = open_serving (stage, "gpu", NULL);
  int served = 0;
  for (int64_t end = clock_boot_ms () + COMING_MS; served == 0 && clock_boot_ms () < end;)
    {
      expect (stage, 0, bus_take (gpu, BUS_SHARDS, NULL, &none, &stage->err));
      (void) bus_poll (gpu, NULL, 0, 10);
      served = bus_queue_served (stage->bus, "gpu", &since, &stage->err);
    }
  assert_int_equal (served, 1);
}

/* "gpu" is there beside the default; where a bus has no topics its first job makes it. */
static void
queues_are_listed (void **state)
{
  struct stage *stage = *state;
  auto_strlist struct strlist before = { 0 };
  auto_strlist struct strlist queues = { 0 };
  expect (stage, 0, bus_list_queues (stage->bus, &before, &stage->err));
  assert_true (strlist_has (&before, "default"));
  assert_int_equal (before.count, stage->place->is_log ? 2 : 1);
  fill_two_queues (stage, 1);
  expect (stage, 0, bus_list_queues (stage->bus, &queues, &stage->err));
  assert_int_equal (queues.count, 2);
  assert_true (strlist_has (&queues, "gpu"));
}

/* ---- all -------------------------------------------------------------------------------- */

#define TEST(name)                                                                                 \
  cmocka_unit_test_prestate_setup_teardown (name, stage_set_up, stage_tear_down, state)

int
bus_conformance_run_work (const struct bus_place *place)
{
  void *state = (void *) (uintptr_t) place;
  const struct CMUnitTest tests[] = {
    TEST (a_job_is_submitted_once),
    TEST (jobs_are_listed_oldest_first),
    TEST (publishing_again_is_no_second_plan),
    TEST (what_was_published_is_seen_by_its_publisher),
    TEST (the_shards_of_a_plan_are_listed_once_each),
    TEST (shards_come_in_order_of_job_and_publishing),
    TEST (taking_of_one_job_leaves_the_others),
    TEST (a_job_is_delivered_as_shards_are),
    TEST (a_release_gives_back_and_counts_no_start),
    TEST (a_lease_that_ran_out_is_taken_over),
    TEST (a_delivery_that_is_kept_stays),
    TEST (a_closed_handle_holds_nothing),
    TEST (settling_writes_events_and_retry_together),
    TEST (a_retry_waits_until_it_is_due),
    TEST (a_queue_is_for_those_who_serve_it),
    TEST (what_is_in_a_queue_is_found_and_run_again),
    TEST (the_preferred_queue_comes_first_and_no_queue_starves),
    TEST (it_is_known_who_serves_a_queue),
    TEST (queues_are_listed),
  };
  return cmocka_run_group_tests_name ("bus_work", tests, NULL, NULL);
}
