#include "tests/lib/bus_conformance.h"

#include "common/clock.h"
#include "common/memory.h"
#include "tests/lib/bus_actor.h"
#include "tests/lib/bus_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>

enum
{
  LONG_LEASE_MS = 30000,
  SHORT_LEASE_MS = 300,
  SOON_MS = 3000, /* far below the long lease, far above a slow machine's pause */
};

struct stage /* of one test */
{
  const struct bus_place *place;
  char *url;
  struct bus *bus;
  struct error err;
};

static struct bus *
open_bus (const char *url, int64_t lease_ms)
{
  struct error err = ERROR_INIT;
  struct bus_options options = { .client = "test", .lease_ms = lease_ms };
  struct bus *bus = bus_open (url, &options, &err);
  if (bus == NULL)
    fail_msg ("%s", err.message);
  return bus;
}

static int
set_up (void **state)
{
  struct stage *stage = xcalloc (1, sizeof *stage);
  stage->place = *state;
  stage->url = stage->place->make ();
  stage->bus = open_bus (stage->url, LONG_LEASE_MS);
  *state = stage;
  return 0;
}

static int
tear_down (void **state)
{
  struct stage *stage = *state;
  bus_close (stage->bus);
  stage->place->discard (stage->url);
  free (stage);
  return 0;
}

/* A call that must give WANTED; else the error is shown. */
#define expect(stage, wanted, call)                                                                \
  do                                                                                               \
    {                                                                                              \
      error_clear (&(stage)->err);                                                                 \
      int got_ = (call);                                                                           \
      if (got_ != (wanted))                                                                        \
        fail_msg ("%s gave %d, not %d: %s", #call, got_, (wanted), (stage)->err.message);          \
    }                                                                                              \
  while (0)

/* The next shard's index, -1 when there is none. It is the caller's. */
static int
take_shard (struct stage *stage, struct bus *bus, struct delivery **delivery)
{
  int outcome = bus_take (bus, BUS_SHARDS, NULL, delivery, &stage->err);
  if (outcome < 0)
    fail_msg ("take: %s", stage->err.message);
  return outcome == 0 ? -1 : (int) (*delivery)->shard.index;
}

/* Takes until something comes, for at most TIMEOUT_MS. */
static int
await_shard (struct stage *stage, struct bus *bus, struct delivery **delivery, int timeout_ms)
{
  int64_t end = clock_boot_ms () + timeout_ms;
  int index = take_shard (stage, bus, delivery);
  while (index < 0 && clock_boot_ms () < end)
    {
      (void) bus_poll (bus, NULL, 0, 20);
      index = take_shard (stage, bus, delivery);
    }
  return index;
}

static void
take_and_settle (struct stage *stage, struct bus *bus, int wanted)
{
  auto_delivery struct delivery *delivery = NULL;
  assert_int_equal (take_shard (stage, bus, &delivery), wanted);
  if (wanted >= 0)
    expect (stage, 1, fixture_settle (bus, delivery, -1, &stage->err));
}

/* Events of KIND in the whole log. */
static int
count_events (struct stage *stage, enum event_kind kind)
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
  auto_bus struct bus *other = open_bus (stage->url, LONG_LEASE_MS);
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
  expect (stage, 0, bus_list_jobs (stage->bus, note_id, &ids, &stage->err));
  const char *const names[] = { "b", "a", "c", "d" };
  for (size_t i = 0; i < 4; i++)
    expect (stage, 1, fixture_submit (stage->bus, names[i], &stage->err));
  expect (stage, 7, bus_list_jobs (stage->bus, note_id, &ids, &stage->err));
  assert_string_equal (ids.data, "bac");
}

static void
publishing_again_is_no_second_plan (void **state)
{
  struct stage *stage = *state;
  auto_bus struct bus *other = open_bus (stage->url, LONG_LEASE_MS);
  struct bus *buses[] = { stage->bus, other, stage->bus };
  for (size_t i = 0; i < 3; i++)
    {
      (void) fixture_submit (buses[i], "j", &stage->err);
      expect (stage, 0, fixture_publish (buses[i], "j", 0, 10, &stage->err));
      expect (stage, 0, fixture_plan_end (buses[i], "j", 10, &stage->err));
    }
  assert_int_equal (count_events (stage, EVENT_PLANNED), 1);
  for (int index = 0; index < 10; index++)
    take_and_settle (stage, other, index);
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 10, &stage->err));
  take_and_settle (stage, other, -1); /* a settled shard is settled */
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
}

static void
shards_come_in_order_of_job_and_index (void **state)
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
      assert_int_equal (take_shard (stage, stage->bus, &delivery), i < 5 ? i : i - 5);
      assert_string_equal (delivery->job->id, i < 5 ? "older" : "newer");
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
    for (int round = 0; round < 2; round++)
      {
        auto_delivery struct delivery *delivery = NULL;
        expect (stage, 1 - round,
                bus_take (stage->bus, (enum bus_queue) queue, "b", &delivery, &stage->err));
        if (round == 0)
          assert_string_equal (delivery->job->id, "b");
      }
}

/* ---- holding a delivery ----------------------------------------------------------------- */

static void
a_job_is_delivered_as_shards_are (void **state)
{
  struct stage *stage = *state;
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  auto_bus struct bus *other = open_bus (stage->url, LONG_LEASE_MS);
  auto_delivery struct delivery *delivery = NULL;
  auto_delivery struct delivery *second = NULL;
  expect (stage, 1, bus_take (stage->bus, BUS_JOBS, NULL, &delivery, &stage->err));
  expect (stage, 0, bus_take (other, BUS_JOBS, NULL, &second, &stage->err));
  expect (stage, 1, bus_keep (stage->bus, delivery, &stage->err));
  expect (stage, 1, bus_release (stage->bus, delivery, &stage->err));
  expect (stage, 1, bus_take (other, BUS_JOBS, NULL, &second, &stage->err));
  assert_int_equal (second->starts, 1);
  expect (stage, 0, bus_keep (stage->bus, delivery, &stage->err));
  expect (stage, 1, bus_settle (other, second, NULL, 0, NULL, &stage->err));
  expect (stage, 0, bus_settle (other, second, NULL, 0, NULL, &stage->err));
  delivery_free (take (&second));
  expect (stage, 0, bus_take (other, BUS_JOBS, NULL, &second, &stage->err));
}

static void
a_release_gives_back_and_counts_no_start (void **state)
{
  struct stage *stage = *state;
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 1, &stage->err));
  auto_bus struct bus *other = open_bus (stage->url, LONG_LEASE_MS);
  for (int round = 0; round < 5; round++)
    {
      auto_delivery struct delivery *delivery = NULL;
      auto_delivery struct delivery *none = NULL;
      struct bus *taker = round % 2 == 0 ? stage->bus : other;
      assert_int_equal (take_shard (stage, taker, &delivery), 0);
      assert_int_equal (delivery->starts, 1);
      assert_int_equal (take_shard (stage, other, &none), -1);
      expect (stage, 1, bus_release (taker, delivery, &stage->err));
      expect (stage, 0, bus_release (taker, delivery, &stage->err));
      expect (stage, 0, fixture_settle (taker, delivery, -1, &stage->err));
    }
  assert_int_equal (count_events (stage, EVENT_FINISHED), 0);
}

static void
a_lease_that_ran_out_is_taken_over (void **state)
{
  struct stage *stage = *state;
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 1, &stage->err));
  auto_bus struct bus *slow = open_bus (stage->url, SHORT_LEASE_MS);
  auto_delivery struct delivery *delivery = NULL;
  auto_delivery struct delivery *second = NULL;
  assert_int_equal (take_shard (stage, slow, &delivery), 0);
  int64_t start = clock_boot_ms ();
  assert_int_equal (await_shard (stage, stage->bus, &second, SOON_MS), 0);
  assert_in_range (clock_boot_ms () - start, SHORT_LEASE_MS - 50, SOON_MS);
  assert_int_equal (second->starts, 2);
  expect (stage, 0, bus_keep (slow, delivery, &stage->err));
  expect (stage, 0, fixture_settle (slow, delivery, -1, &stage->err));
  expect (stage, 0, fixture_settle (slow, delivery, 0, &stage->err));
  expect (stage, 0, bus_release (slow, delivery, &stage->err));
  assert_int_equal (count_events (stage, EVENT_FINISHED), 0);
  expect (stage, 1, fixture_settle (stage->bus, second, -1, &stage->err));
  assert_int_equal (count_events (stage, EVENT_FINISHED), 1);
  take_and_settle (stage, stage->bus, -1); /* the retry of a claim that was lost isn't there */
}

static void
a_delivery_that_is_kept_stays (void **state)
{
  struct stage *stage = *state;
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 1, &stage->err));
  auto_bus struct bus *keeper = open_bus (stage->url, SHORT_LEASE_MS);
  auto_delivery struct delivery *delivery = NULL;
  auto_delivery struct delivery *second = NULL;
  assert_int_equal (take_shard (stage, keeper, &delivery), 0);
  for (int64_t end = clock_boot_ms () + 4 * (int64_t) SHORT_LEASE_MS; clock_boot_ms () < end;)
    {
      expect (stage, 1, bus_keep (keeper, delivery, &stage->err));
      assert_int_equal (await_shard (stage, stage->bus, &second, SHORT_LEASE_MS / 3), -1);
    }
  expect (stage, 1, fixture_settle (keeper, delivery, -1, &stage->err));
}

static void
a_closed_handle_holds_nothing (void **state)
{
  struct stage *stage = *state;
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 1, &stage->err));
  struct bus *gone = open_bus (stage->url, LONG_LEASE_MS);
  auto_delivery struct delivery *delivery = NULL;
  auto_delivery struct delivery *second = NULL;
  assert_int_equal (take_shard (stage, gone, &delivery), 0);
  bus_close (gone);
  assert_int_equal (await_shard (stage, stage->bus, &second, SOON_MS), 0);
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
      assert_int_equal (take_shard (stage, stage->bus, &delivery), 0);
      assert_int_equal (delivery->shard.attempt, attempt);
      assert_int_equal (delivery->shard.failures, attempt - 1);
      assert_int_equal (delivery->starts, 1);
      expect (stage, 1, fixture_settle (stage->bus, delivery, attempt < 3 ? 0 : -1, &stage->err));
      expect (stage, 0, fixture_settle (stage->bus, delivery, 0, &stage->err));
      assert_int_equal (count_events (stage, EVENT_FINISHED), attempt);
    }
  take_and_settle (stage, stage->bus, -1);
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
  assert_int_equal (take_shard (stage, stage->bus, &delivery), 0);
  int64_t start = clock_boot_ms ();
  expect (stage, 1, fixture_settle (stage->bus, delivery, WAIT_MS, &stage->err));
  take_and_settle (stage, stage->bus, 1); /* it holds up nobody */
  take_and_settle (stage, stage->bus, 2);
  assert_int_equal (await_shard (stage, stage->bus, &again, SOON_MS), 0);
  assert_in_range (clock_boot_ms () - start, WAIT_MS - 2, SOON_MS);
  assert_int_equal (again->shard.attempt, 2);
}

/* ---- control, status -------------------------------------------------------------------- */

static void
everybody_reads_all_control_records (void **state)
{
  struct stage *stage = *state;
  auto_bus struct bus *other = open_bus (stage->url, LONG_LEASE_MS);
  const char *const names[] = { "a", "b", "c" };
  for (size_t i = 0; i < 3; i++)
    expect (stage, 0, fixture_cancel (stage->bus, names[i], &stage->err));
  struct bus *readers[] = { stage->bus, other };
  for (size_t reader = 0; reader < 2; reader++)
    {
      int64_t position = 0;
      for (size_t i = 0; i < 3; i++)
        {
          auto_control struct control control = { 0 };
          int64_t before = position;
          expect (stage, 1, bus_next_control (readers[reader], &position, &control, &stage->err));
          assert_string_equal (control.job_id, names[i]);
          assert_int_equal (control.kind, CONTROL_CANCEL);
          assert_true (position > before);
          assert_int_equal (control.position, position);
        }
      auto_control struct control none = { 0 };
      expect (stage, 0, bus_next_control (readers[reader], &position, &none, &stage->err));
    }
}

static void
the_last_status_stays (void **state)
{
  struct stage *stage = *state;
  auto_bus struct bus *other = open_bus (stage->url, LONG_LEASE_MS);
  auto_job_status struct job_status none = { 0 };
  expect (stage, 0, bus_get_status (other, "j", &none, &stage->err));
  for (int job_state = JOB_QUEUED; job_state <= JOB_SUCCEEDED; job_state++)
    {
      expect (stage, 0,
              fixture_status (stage->bus, "j", (enum job_state) job_state, 1, &stage->err));
      auto_job_status struct job_status status = { 0 };
      expect (stage, 1, bus_get_status (other, "j", &status, &stage->err));
      assert_int_equal (status.state, job_state);
    }
}

static void
a_cancelled_job_is_not_delivered (void **state)
{
  struct stage *stage = *state;
  const char *const names[] = { "stopped", "other" };
  for (size_t i = 0; i < 2; i++)
    {
      expect (stage, 1, fixture_submit (stage->bus, names[i], &stage->err));
      expect (stage, 0, fixture_publish (stage->bus, names[i], 0, 3, &stage->err));
    }
  auto_delivery struct delivery *running = NULL;
  auto_delivery struct delivery *next = NULL;
  assert_int_equal (take_shard (stage, stage->bus, &running), 0);
  assert_string_equal (running->job->id, "stopped");
  expect (stage, 0, fixture_cancel (stage->bus, "stopped", &stage->err));
  assert_int_equal (take_shard (stage, stage->bus, &next), 0);
  assert_string_equal (next->job->id, "other");
  expect (stage, 1, fixture_settle (stage->bus, running, 0, &stage->err)); /* with a retry */
  expect (stage, 0, fixture_publish (stage->bus, "stopped", 3, 5, &stage->err));
  take_and_settle (stage, stage->bus, 1);
  take_and_settle (stage, stage->bus, 2);
  take_and_settle (stage, stage->bus, -1);
}

static void
a_job_that_ended_is_not_delivered (void **state)
{
  struct stage *stage = *state;
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 3, &stage->err));
  expect (stage, 0, fixture_status (stage->bus, "j", JOB_RUNNING, 1, &stage->err));
  take_and_settle (stage, stage->bus, 0);
  expect (stage, 0, fixture_status (stage->bus, "j", JOB_FAILED, 1, &stage->err));
  take_and_settle (stage, stage->bus, -1);
}

/* ---- replay ----------------------------------------------------------------------------- */

static void
replay_runs_the_chosen_shards_again (void **state)
{
  struct stage *stage = *state;
  const uint32_t chosen[] = { 3, 1 };
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 5, &stage->err));
  for (int index = 0; index < 5; index++)
    take_and_settle (stage, stage->bus, index);
  expect (stage, 0, fixture_status (stage->bus, "j", JOB_FAILED, 1, &stage->err));
  for (int round = 0; round < 2; round++) /* twice is once */
    {
      expect (stage, 0, bus_replay (stage->bus, "j", 2, chosen, 2, &stage->err));
      assert_int_equal (count_events (stage, EVENT_REOPENED), 1);
    }
  for (int i = 0; i < 2; i++)
    {
      auto_delivery struct delivery *delivery = NULL;
      assert_int_equal (take_shard (stage, stage->bus, &delivery), i == 0 ? 1 : 3);
      assert_int_equal (delivery->shard.generation, 2);
      assert_int_equal (delivery->shard.attempt, 1);
      assert_int_equal (delivery->starts, 1);
      assert_true (delivery->shard.atoms.size > 0);
      expect (stage, 1, fixture_settle (stage->bus, delivery, -1, &stage->err));
    }
  take_and_settle (stage, stage->bus, -1);
  expect (stage, 0, bus_replay (stage->bus, "j", 2, chosen, 2, &stage->err));
  take_and_settle (stage, stage->bus, -1);
}

static void
replay_of_unknown_shards_writes_nothing (void **state)
{
  struct stage *stage = *state;
  const uint32_t chosen[] = { 0, 9 };
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 1, &stage->err));
  take_and_settle (stage, stage->bus, 0);
  expect (stage, -1, bus_replay (stage->bus, "j", 2, chosen, 2, &stage->err));
  assert_int_equal (stage->err.class, ERROR_USER);
  assert_non_null (strstr (stage->err.message, "9"));
  expect (stage, -1, bus_replay (stage->bus, "nobody", 2, chosen, 1, &stage->err));
  assert_int_equal (stage->err.class, ERROR_USER);
  assert_int_equal (count_events (stage, EVENT_REOPENED), 0);
  take_and_settle (stage, stage->bus, -1);
}

static void
replay_reopens_a_cancelled_job (void **state)
{
  struct stage *stage = *state;
  const uint32_t chosen[] = { 1 };
  const uint32_t later[] = { 2 };
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 4, &stage->err));
  expect (stage, 0, fixture_cancel (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_status (stage->bus, "j", JOB_CANCELLED, 1, &stage->err));
  expect (stage, 0, bus_replay (stage->bus, "j", 2, chosen, 1, &stage->err));
  take_and_settle (stage, stage->bus, 1);
  take_and_settle (stage, stage->bus, -1); /* what the cancel stopped and nobody named stays so */
  expect (stage, 0, bus_replay (stage->bus, "j", 3, later, 1, &stage->err));
  expect (stage, 0, fixture_cancel (stage->bus, "j", &stage->err));
  take_and_settle (stage, stage->bus, -1);
}

/* A merger that hasn't seen the replay yet must not end it. */
static void
a_late_status_of_an_old_generation_stops_no_replay (void **state)
{
  struct stage *stage = *state;
  const uint32_t chosen[] = { 0 };
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 1, &stage->err));
  take_and_settle (stage, stage->bus, 0);
  expect (stage, 0, bus_replay (stage->bus, "j", 2, chosen, 1, &stage->err));
  expect (stage, 0, fixture_status (stage->bus, "j", JOB_FAILED, 1, &stage->err));
  take_and_settle (stage, stage->bus, 0);
  expect (stage, 0, fixture_status (stage->bus, "j", JOB_SUCCEEDED, 2, &stage->err));
}

/* ---- followers -------------------------------------------------------------------------- */

static void
followers_see_one_order (void **state)
{
  struct stage *stage = *state;
  const char *const names[] = { "a", "b" };
  for (size_t i = 0; i < 2; i++)
    {
      expect (stage, 1, fixture_submit (stage->bus, names[i], &stage->err));
      expect (stage, 0, fixture_publish (stage->bus, names[i], 0, 20, &stage->err));
    }
  auto_bus struct bus *other = open_bus (stage->url, LONG_LEASE_MS);
  for (int i = 0; i < 20; i++)
    {
      auto_delivery struct delivery *of_a = NULL;
      auto_delivery struct delivery *of_b = NULL;
      expect (stage, 1, bus_take (stage->bus, BUS_SHARDS, "a", &of_a, &stage->err));
      expect (stage, 1, bus_take (other, BUS_SHARDS, "b", &of_b, &stage->err));
      expect (stage, 1, fixture_settle (other, of_b, -1, &stage->err));
      expect (stage, 1, fixture_settle (stage->bus, of_a, -1, &stage->err));
    }
  auto_follower struct follower *all = bus_follow (other, NULL, NULL, &stage->err);
  auto_follower struct follower *one = bus_follow (stage->bus, NULL, "a", &stage->err);
  int64_t position = 0;
  for (uint32_t i = 0; i < 20; i++)
    for (int which = 0; which < 2; which++)
      {
        auto_event struct event event = { 0 };
        auto_event struct event same = { 0 };
        expect (stage, 1, follower_next (all, &event, &stage->err));
        assert_string_equal (event.job_id, which == 0 ? "b" : "a");
        assert_int_equal (event.index, i);
        assert_true (event.position > position);
        position = event.position;
        if (which == 0)
          continue;
        expect (stage, 1, follower_next (one, &same, &stage->err));
        assert_int_equal (same.position, event.position);
        assert_int_equal (same.index, i);
      }
  auto_event struct event none = { 0 };
  expect (stage, 0, follower_next (all, &none, &stage->err));
  expect (stage, 0, follower_next (one, &none, &stage->err));
  expect (stage, 0, follower_rewind (one, &stage->err));
  expect (stage, 1, follower_next (one, &none, &stage->err));
  assert_int_equal (none.index, 0);
}

/* Ten events of job j, indexes 0 to 9. */
static void
ten_events (struct stage *stage)
{
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 10, &stage->err));
  for (int index = 0; index < 10; index++)
    take_and_settle (stage, stage->bus, index);
}

static void
of_a_group_one_member_gets_the_events (void **state)
{
  struct stage *stage = *state;
  ten_events (stage);
  auto_bus struct bus *other = open_bus (stage->url, LONG_LEASE_MS);
  struct follower *first = bus_follow (stage->bus, "merger", NULL, &stage->err);
  auto_follower struct follower *second = bus_follow (other, "merger", NULL, &stage->err);
  int64_t third_position = 0;
  for (uint32_t i = 0; i < 5; i++)
    {
      auto_event struct event event = { 0 };
      auto_event struct event none = { 0 };
      expect (stage, 1, follower_next (first, &event, &stage->err));
      assert_int_equal (event.index, i);
      if (i == 3)
        third_position = event.position;
      expect (stage, 0, follower_next (second, &none, &stage->err));
    }
  assert_true (follower_holds (first, &stage->err));
  expect (stage, 0, follower_commit (first, third_position, &stage->err));
  follower_close (first);
  for (uint32_t i = 3; i < 10; i++) /* goes on at what was committed */
    {
      auto_event struct event event = { 0 };
      expect (stage, 1, follower_next (second, &event, &stage->err));
      assert_int_equal (event.index, i);
    }
  expect (stage, 0, follower_rewind (second, &stage->err));
  auto_event struct event event = { 0 };
  expect (stage, 1, follower_next (second, &event, &stage->err));
  assert_int_equal (event.index, 3);
}

static void
groups_do_not_disturb_each_other (void **state)
{
  struct stage *stage = *state;
  ten_events (stage);
  auto_follower struct follower *merger = bus_follow (stage->bus, "merger", NULL, &stage->err);
  auto_follower struct follower *other = bus_follow (stage->bus, "other", NULL, &stage->err);
  struct follower *followers[] = { merger, other };
  for (size_t i = 0; i < 2; i++)
    {
      auto_event struct event event = { 0 };
      expect (stage, 1, follower_next (followers[i], &event, &stage->err));
      assert_int_equal (event.index, 0);
    }
}

/* ---- waiting ---------------------------------------------------------------------------- */

static void
a_poll_ends_when_there_is_news (void **state)
{
  struct stage *stage = *state;
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  struct actor actor = { 0 };
  actor_start (&actor, stage->url, LONG_LEASE_MS);
  while (bus_poll (stage->bus, NULL, 0, 0) != 0)
    ;
  actor_tell (&actor, "publish j 1");
  auto_delivery struct delivery *delivery = NULL;
  int64_t start = clock_boot_ms ();
  int index = -1;
  for (int polls = 0; index < 0 && polls < 100; polls++)
    {
      (void) bus_poll (stage->bus, NULL, 0, 10 * SOON_MS);
      index = take_shard (stage, stage->bus, &delivery);
    }
  assert_int_equal (index, 0);
  assert_true (clock_boot_ms () - start < SOON_MS);
  assert_int_equal (actor_wait (&actor, SOON_MS), 0);
}

static void
a_poll_ends_when_a_descriptor_is_ready (void **state)
{
  struct stage *stage = *state;
  int pipe_fds[2];
  assert_int_equal (pipe (pipe_fds), 0);
  struct pollfd fd = { .fd = pipe_fds[0], .events = POLLIN };
  for (int tries = 0; tries < 10; tries++) /* nothing yet */
    assert_int_equal (bus_poll (stage->bus, &fd, 1, 5), 0);
  assert_int_equal (write (pipe_fds[1], "x", 1), 1);
  int64_t start = clock_boot_ms ();
  assert_int_equal (bus_poll (stage->bus, &fd, 1, SOON_MS), 1);
  assert_int_equal (fd.revents, POLLIN);
  assert_true (clock_boot_ms () - start < SOON_MS / 2);
  (void) close (pipe_fds[0]);
  (void) close (pipe_fds[1]);
}

/* Work that waits for somebody else's hands must not keep the others from sleeping. */
static void
a_poll_with_nothing_to_do_does_not_spin (void **state)
{
  struct stage *stage = *state;
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 2, &stage->err));
  auto_delivery struct delivery *retried = NULL;
  auto_delivery struct delivery *expired = NULL;
  assert_int_equal (take_shard (stage, stage->bus, &retried), 0);
  expect (stage, 1, fixture_settle (stage->bus, retried, 50, &stage->err));
  struct bus *gone = open_bus (stage->url, SHORT_LEASE_MS);
  assert_int_equal (take_shard (stage, gone, &expired), 1);
  bus_close (gone);
  int polls = 0;
  for (int64_t end = clock_boot_ms () + 1000; clock_boot_ms () < end; polls++)
    (void) bus_poll (stage->bus, NULL, 0, 500);
  assert_in_range (polls, 1, 60);
}

/* ---- all -------------------------------------------------------------------------------- */

#define TEST(name) cmocka_unit_test_prestate_setup_teardown (name, set_up, tear_down, state)

int
bus_conformance_run (const struct bus_place *place)
{
  void *state = (void *) (uintptr_t) place;
  const struct CMUnitTest tests[] = {
    TEST (a_job_is_submitted_once),
    TEST (jobs_are_listed_oldest_first),
    TEST (publishing_again_is_no_second_plan),
    TEST (what_was_published_is_seen_by_its_publisher),
    TEST (shards_come_in_order_of_job_and_index),
    TEST (taking_of_one_job_leaves_the_others),
    TEST (a_job_is_delivered_as_shards_are),
    TEST (a_release_gives_back_and_counts_no_start),
    TEST (a_lease_that_ran_out_is_taken_over),
    TEST (a_delivery_that_is_kept_stays),
    TEST (a_closed_handle_holds_nothing),
    TEST (settling_writes_events_and_retry_together),
    TEST (a_retry_waits_until_it_is_due),
    TEST (everybody_reads_all_control_records),
    TEST (the_last_status_stays),
    TEST (a_cancelled_job_is_not_delivered),
    TEST (a_job_that_ended_is_not_delivered),
    TEST (replay_runs_the_chosen_shards_again),
    TEST (replay_of_unknown_shards_writes_nothing),
    TEST (replay_reopens_a_cancelled_job),
    TEST (a_late_status_of_an_old_generation_stops_no_replay),
    TEST (followers_see_one_order),
    TEST (of_a_group_one_member_gets_the_events),
    TEST (groups_do_not_disturb_each_other),
    TEST (a_poll_ends_when_there_is_news),
    TEST (a_poll_ends_when_a_descriptor_is_ready),
    TEST (a_poll_with_nothing_to_do_does_not_spin),
  };
  return cmocka_run_group_tests_name ("bus", tests, NULL, NULL);
}
