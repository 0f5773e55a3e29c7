/* Control, status, replay, followers and waiting. */
#include "bus/amend.h"
#include "bus/follower.h"
#include "bus/hold.h"
#include "bus/replan.h"
#include "bus/settings.h"
#include "tests/lib/bus_conformance.h"

#include "common/clock.h"
#include "common/memory.h"
#include "tests/lib/bus_actor.h"
#include "tests/lib/bus_fixture.h"
#include "tests/lib/bus_stage.h"

#include <poll.h>
#include <string.h>

/* ---- control, status -------------------------------------------------------------------- */

static void
everybody_reads_all_control_records (void **state)
{
  struct stage *stage = *state;
  auto_bus struct bus *other = stage_open (stage->url, LONG_LEASE_MS);
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
  auto_bus struct bus *other = stage_open (stage->url, LONG_LEASE_MS);
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

/* A merger that stood still and comes back must not open what another one has ended. */
static void
a_late_status_opens_nothing_that_ended (void **state)
{
  struct stage *stage = *state;
  if (!stage->place->is_log) /* there shoal merge opens it on purpose */
    return;
  auto_bus struct bus *other = stage_open (stage->url, LONG_LEASE_MS);
  expect (stage, 0, fixture_status (stage->bus, "j", JOB_RUNNING, 1, &stage->err));
  expect (stage, 0, fixture_status (other, "j", JOB_SUCCEEDED, 1, &stage->err));
  expect (stage, 0, fixture_status (stage->bus, "j", JOB_RUNNING, 1, &stage->err));
  auto_job_status struct job_status status = { 0 };
  expect (stage, 1, bus_get_status (other, "j", &status, &stage->err));
  assert_int_equal (status.state, JOB_SUCCEEDED);
  job_status_release (&status);
  expect (stage, 0, fixture_status (stage->bus, "j", JOB_RUNNING, 2, &stage->err));
  expect (stage, 1, bus_get_status (other, "j", &status, &stage->err));
  assert_int_equal (status.state, JOB_RUNNING);
}

/* Two jobs of three shards each, FIRST and "other"; a delivery of FIRST's. */
static struct delivery *
take_first_of_two (struct stage *stage, const char *first)
{
  const char *const names[] = { first, "other" };
  for (size_t i = 0; i < 2; i++)
    {
      expect (stage, 1, fixture_submit (stage->bus, names[i], &stage->err));
      expect (stage, 0, fixture_publish (stage->bus, names[i], 0, 3, &stage->err));
    }
  struct delivery *running = NULL;
  assert_int_equal (stage_take (stage, stage->bus, &running), 0);
  assert_string_equal (running->job->id, first);
  return running;
}

static void
a_cancelled_job_is_not_delivered (void **state)
{
  struct stage *stage = *state;
  auto_delivery struct delivery *running = take_first_of_two (stage, "stopped");
  auto_delivery struct delivery *next = NULL;
  expect (stage, 0, fixture_cancel (stage->bus, "stopped", &stage->err));
  assert_int_equal (stage_take (stage, stage->bus, &next), 0);
  assert_string_equal (next->job->id, "other");
  expect (stage, 1, fixture_settle (stage->bus, running, 0, &stage->err)); /* with a retry */
  expect (stage, 0, fixture_publish (stage->bus, "stopped", 3, 5, &stage->err));
  stage_settle_next (stage, stage->bus, 1);
  stage_settle_next (stage, stage->bus, 2);
  stage_settle_next (stage, stage->bus, -1);
}

/* BUS learns what another one publishes in its own time. */
static void
await_pause (struct stage *stage, struct bus *bus, char *job_id)
{
  const struct job job = { .id = job_id };
  for (int64_t end = clock_boot_ms () + COMING_MS;;)
    {
      auto_settings struct settings *known = settings_read (bus, &stage->err);
      assert_non_null (known);
      if (settings_of (known, &job).paused)
        return;
      assert_true (clock_boot_ms () < end);
      (void) bus_poll (bus, NULL, 0, 20);
    }
}

/* Whoever opens the bus later must know it as well. */
static void
a_paused_job_waits_until_it_goes_on (void **state)
{
  struct stage *stage = *state;
  auto_delivery struct delivery *running = take_first_of_two (stage, "paused");
  auto_delivery struct delivery *next = NULL;
  auto_bus struct bus *other = stage_open (stage->url, LONG_LEASE_MS);
  expect (stage, 0, fixture_pause (other, "paused", true, &stage->err));
  await_pause (stage, stage->bus, running->job->id);
  assert_int_equal (stage_take (stage, stage->bus, &next), 0);
  assert_string_equal (next->job->id, "other");
  expect (stage, 1, fixture_settle (stage->bus, running, 0, &stage->err)); /* with a retry */
  expect (stage, 0, fixture_publish (other, "paused", 3, 5, &stage->err));
  stage_settle_next (stage, stage->bus, 1);
  stage_settle_next (stage, stage->bus, 2);
  stage_settle_next (stage, stage->bus, -1);
  auto_bus struct bus *later = stage_open (stage->url, LONG_LEASE_MS);
  stage_settle_next (stage, later, -1);
  expect (stage, 0, fixture_pause (other, "paused", false, &stage->err));
  bool seen[5] = { false };
  for (int i = 0; i < 5; i++)
    {
      auto_delivery struct delivery *taken = NULL;
      (void) stage_take (stage, stage->bus, &taken);
      assert_string_equal (taken->job->id, "paused");
      assert_false (seen[taken->shard.index]);
      seen[taken->shard.index] = true;
      expect (stage, 1, fixture_settle (stage->bus, taken, -1, &stage->err));
    }
  stage_settle_next (stage, stage->bus, -1);
}

static void
a_paused_job_that_is_cancelled_does_not_go_on (void **state)
{
  struct stage *stage = *state;
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 3, &stage->err));
  expect (stage, 0, fixture_pause (stage->bus, "j", true, &stage->err));
  expect (stage, 0, fixture_cancel (stage->bus, "j", &stage->err));
  stage_settle_next (stage, stage->bus, -1);
  expect (stage, 0, fixture_pause (stage->bus, "j", false, &stage->err));
  stage_settle_next (stage, stage->bus, -1);
  expect (stage, 0, fixture_status (stage->bus, "j", JOB_CANCELLED, 1, &stage->err));
  const uint32_t indexes[] = { 1 };
  expect (stage, 0, bus_replay (stage->bus, "j", 2, indexes, 1, &stage->err));
  stage_settle_next (stage, stage->bus, 1);
  stage_settle_next (stage, stage->bus, -1);
}

/* More than a reader looks at ahead of what it takes. */
static void
nothing_waits_behind_a_paused_job_that_is_over (void **state)
{
  enum
  {
    SHARDS = 2100
  };
  struct stage *stage = *state;
  const char *const names[] = { "cancelled", "failed" };
  for (size_t i = 0; i < 2; i++)
    {
      expect (stage, 1, fixture_submit (stage->bus, names[i], &stage->err));
      expect (stage, 0, fixture_publish (stage->bus, names[i], 0, SHARDS, &stage->err));
      expect (stage, 0, fixture_pause (stage->bus, names[i], true, &stage->err));
    }
  expect (stage, 1, fixture_submit (stage->bus, "other", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "other", 7, 8, &stage->err));
  auto_bus struct bus *later = stage_open (stage->url, LONG_LEASE_MS);
  expect (stage, 0, fixture_cancel (stage->bus, "cancelled", &stage->err));
  expect (stage, 0, fixture_status (stage->bus, "failed", JOB_FAILED, 1, &stage->err));
  stage_settle_next (stage, later, 7);
  stage_settle_next (stage, later, -1);
  /* What ended while it was paused isn't paused any more. */
  const uint32_t indexes[] = { 1 };
  expect (stage, 0, bus_replay (stage->bus, "failed", 2, indexes, 1, &stage->err));
  stage_settle_next (stage, later, 1);
  stage_settle_next (stage, later, -1);
}

/* What is set adds up, whoever asks; the last word counts, within bounds. */
static void
jobs_go_on_as_they_were_set (void **state)
{
  struct stage *stage = *state;
  char id[] = "j";
  const struct job job = { .id = id, .priority = 2, .max_parallel = -1 };
  const int32_t kept = CONTROL_KEPT;
  const struct control orders[] = {
    { .kind = CONTROL_SET, .job_id = id, .priority = -4, .max_parallel = kept, .paused = kept },
    { .kind = CONTROL_SET, .job_id = id, .priority = kept, .max_parallel = 7, .paused = 1 },
    { .kind = CONTROL_SET, .job_id = id, .priority = 1000, .max_parallel = kept, .paused = kept },
    { .kind = CONTROL_SET, .job_id = id, .priority = kept, .max_parallel = 0, .paused = 0 },
  };
  const struct job_settings expected[] = {
    { 2, -1, false }, { -4, -1, false }, { -4, 7, true }, { 10, 7, true }, { 10, -1, false }
  };
  for (size_t i = 0; i < 5; i++)
    {
      if (i > 0)
        expect (stage, 0, bus_publish_control (stage->bus, &orders[i - 1], &stage->err));
      auto_bus struct bus *other = stage_open (stage->url, LONG_LEASE_MS);
      auto_settings struct settings *known = settings_read (other, &stage->err);
      assert_non_null (known);
      const struct job_settings got = settings_of (known, &job);
      assert_int_equal (got.priority, expected[i].priority);
      assert_int_equal (got.max_parallel, expected[i].max_parallel);
      assert_int_equal (got.paused, expected[i].paused);
    }
}

/* The order to stop and the pause are history after a replay; how the job goes on isn't. */
static void
a_replay_keeps_what_was_set (void **state)
{
  struct stage *stage = *state;
  char id[] = "j";
  const uint32_t indexes[] = { 1 };
  const struct job job = { .id = id, .max_parallel = -1 };
  const int32_t kept = CONTROL_KEPT;
  const struct control orders[] = {
    { .kind = CONTROL_SET, .job_id = id, .priority = 4, .max_parallel = 9, .paused = kept },
    { .kind = CONTROL_SET, .job_id = id, .priority = kept, .max_parallel = 3, .paused = 1 },
    { .kind = CONTROL_SET, .job_id = id, .priority = kept, .max_parallel = kept, .paused = 1 },
  };
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 3, &stage->err));
  for (size_t i = 0; i < 3; i++)
    expect (stage, 0, bus_publish_control (stage->bus, &orders[i], &stage->err));
  expect (stage, 0, fixture_cancel (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_status (stage->bus, "j", JOB_CANCELLED, 1, &stage->err));
  expect (stage, 0, bus_replay (stage->bus, "j", 2, indexes, 1, &stage->err));
  auto_bus struct bus *other = stage_open (stage->url, LONG_LEASE_MS);
  for (int64_t position = 0;;)
    {
      auto_control struct control control = { 0 };
      int got = bus_next_control (other, &position, &control, &stage->err);
      assert_in_range (got, 0, 1);
      if (got == 0)
        break;
      assert_int_equal (control.kind, CONTROL_SET);
      assert_int_equal (control.paused, kept);
    }
  auto_settings struct settings *known = settings_read (other, &stage->err);
  assert_non_null (known);
  const struct job_settings got = settings_of (known, &job);
  assert_int_equal (got.priority, 4);
  assert_int_equal (got.max_parallel, 3);
  assert_false (got.paused);
  stage_settle_next (stage, other, 1);
  stage_settle_next (stage, other, -1);
}

static void
a_job_that_ended_is_not_delivered (void **state)
{
  struct stage *stage = *state;
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 3, &stage->err));
  expect (stage, 0, fixture_status (stage->bus, "j", JOB_RUNNING, 1, &stage->err));
  stage_settle_next (stage, stage->bus, 0);
  expect (stage, 0, fixture_status (stage->bus, "j", JOB_FAILED, 1, &stage->err));
  stage_settle_next (stage, stage->bus, -1);
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
    stage_settle_next (stage, stage->bus, index);
  expect (stage, 0, fixture_status (stage->bus, "j", JOB_FAILED, 1, &stage->err));
  for (int round = 0; round < 2; round++) /* twice is once */
    {
      expect (stage, 0, bus_replay (stage->bus, "j", 2, chosen, 2, &stage->err));
      assert_int_equal (stage_count_events (stage, EVENT_REOPENED), 1);
    }
  for (int i = 0; i < 2; i++)
    {
      auto_delivery struct delivery *delivery = NULL;
      assert_int_equal (stage_take (stage, stage->bus, &delivery), i == 0 ? 1 : 3);
      assert_int_equal (delivery->shard.generation, 2);
      assert_int_equal (delivery->shard.attempt, 1);
      assert_int_equal (delivery->starts, 1);
      assert_true (delivery->shard.atoms.size > 0);
      expect (stage, 1, fixture_settle (stage->bus, delivery, -1, &stage->err));
    }
  stage_settle_next (stage, stage->bus, -1);
  expect (stage, 0, bus_replay (stage->bus, "j", 2, chosen, 2, &stage->err));
  stage_settle_next (stage, stage->bus, -1);
}

static void
replay_of_unknown_shards_writes_nothing (void **state)
{
  struct stage *stage = *state;
  const uint32_t chosen[] = { 0, 9 };
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 1, &stage->err));
  stage_settle_next (stage, stage->bus, 0);
  expect (stage, -1, bus_replay (stage->bus, "j", 2, chosen, 2, &stage->err));
  assert_int_equal (stage->err.class, ERROR_USER);
  assert_non_null (strstr (stage->err.message, "9"));
  expect (stage, -1, bus_replay (stage->bus, "nobody", 2, chosen, 1, &stage->err));
  assert_int_equal (stage->err.class, ERROR_USER);
  assert_int_equal (stage_count_events (stage, EVENT_REOPENED), 0);
  stage_settle_next (stage, stage->bus, -1);
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
  stage_settle_next (stage, stage->bus, 1);
  stage_settle_next (stage, stage->bus, -1); /* what the cancel stopped and nobody named stays so */
  expect (stage, 0, bus_replay (stage->bus, "j", 3, later, 1, &stage->err));
  expect (stage, 0, fixture_cancel (stage->bus, "j", &stage->err));
  stage_settle_next (stage, stage->bus, -1);
}

/* A merger that hasn't seen the replay yet must not end it. */
static void
a_late_status_of_an_old_generation_stops_no_replay (void **state)
{
  struct stage *stage = *state;
  const uint32_t chosen[] = { 0 };
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 1, &stage->err));
  stage_settle_next (stage, stage->bus, 0);
  expect (stage, 0, bus_replay (stage->bus, "j", 2, chosen, 1, &stage->err));
  expect (stage, 0, fixture_status (stage->bus, "j", JOB_FAILED, 1, &stage->err));
  stage_settle_next (stage, stage->bus, 0);
  expect (stage, 0, fixture_status (stage->bus, "j", JOB_SUCCEEDED, 2, &stage->err));
}

/* ---- a job that is changed -------------------------------------------------------------- */

/* On a log, which others read on, the change is refused and nothing of it is there. */
static void
a_job_is_amended_or_says_that_it_cannot_be (void **state)
{
  struct stage *stage = *state;
  bool refuses = stage->place->is_log;
  auto_job struct job amended = { 0 };
  auto_job struct job back = { 0 };
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 2, &stage->err));
  stage_settle_next (stage, stage->bus, 0);
  expect (stage, 1, bus_get_job (stage->bus, "j", &amended, &stage->err));
  amended.memory = 64 << 20;
  expect (stage, refuses ? -1 : 0, bus_amend_job (stage->bus, &amended, &stage->err));
  assert_int_equal (stage->err.class, refuses ? ERROR_USER : ERROR_NONE);
  auto_bus struct bus *other = stage_open (stage->url, LONG_LEASE_MS);
  expect (stage, 1, bus_get_job (other, "j", &back, &stage->err));
  assert_int_equal (back.memory, refuses ? -1 : 64 << 20);
  assert_int_equal (stage_count_events (stage, EVENT_FINISHED), 1);
  stage_settle_next (stage, stage->bus, 1);
  stage_settle_next (stage, stage->bus, -1);
}

struct new_plan
{
  struct stage *stage;
  int outcome; /* of filling it */
};

/* Shards 0, which has ended, and 1 and 2, which haven't: the old 1 in two. */
static int
fill_plan (void *context, struct error *err)
{
  struct new_plan *plan = context;
  struct bus *bus = plan->stage->bus;
  for (uint32_t index = 0; index < 3; index++)
    {
      auto_shard struct shard old = { 0 };
      auto_shard struct shard shard = { 0 };
      /* The old plan is there as long as the new one isn't whole. */
      if (bus_get_shard (bus, "j", index, &old, err) != (index < 2))
        return error_set (err, ERROR_USER, "shard %u of the old plan", index);
      fixture_shard (&shard, "j", index + 10);
      shard.index = index;
      shard.generation = 3;
      if (bus_publish_shard (bus, &shard, err) != 0)
        return -1;
    }
  const struct event finished = { .kind = EVENT_FINISHED,
                                  .job_id = (char *) (uintptr_t) "j",
                                  .time = 1,
                                  .generation = 3,
                                  .attempt = 1 };
  if (bus_publish_event (bus, &finished, err) != 0)
    return -1;
  return fixture_plan_end (bus, "j", 3, err) != 0 ? -1 : plan->outcome;
}

static void
a_plan_is_replaced_whole_or_not_at_all (void **state)
{
  struct stage *stage = *state;
  struct new_plan plan = { .stage = stage, .outcome = -1 };
  auto_job struct job job = { 0 };
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 1, fixture_submit (stage->bus, "other", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 2, &stage->err));
  expect (stage, 0, fixture_plan_end (stage->bus, "j", 2, &stage->err));
  stage_settle_next (stage, stage->bus, 0);
  stage_settle_next (stage, stage->bus, 1);
  expect (stage, 0, fixture_status (stage->bus, "j", JOB_FAILED, 1, &stage->err));
  expect (stage, 1, bus_get_job (stage->bus, "j", &job, &stage->err));
  strlist_add (&job.quarantined, "/in/bad");
  expect (stage, -1, bus_replan (stage->bus, &job, 3, fill_plan, &plan, &stage->err));
  stage_settle_next (stage, stage->bus, -1);
  assert_int_equal (stage_count_events (stage, EVENT_FINISHED), 2);
  assert_int_equal (stage_count_events (stage, EVENT_PLANNED), 1);
  plan.outcome = 0;
  if (stage->place->is_log)
    {
      expect (stage, -1, bus_replan (stage->bus, &job, 3, fill_plan, &plan, &stage->err));
      assert_int_equal (stage->err.class, ERROR_USER);
      return;
    }
  expect (stage, 0, bus_replan (stage->bus, &job, 3, fill_plan, &plan, &stage->err));
  assert_int_equal (stage_count_events (stage, EVENT_FINISHED), 1);
  assert_int_equal (stage_count_events (stage, EVENT_PLANNED), 1);
  auto_job_status struct job_status status = { 0 };
  expect (stage, 1, bus_get_status (stage->bus, "j", &status, &stage->err));
  assert_int_equal (status.state, JOB_RUNNING);
  assert_int_equal (status.generation, 3);
  auto_bus struct bus *other = stage_open (stage->url, LONG_LEASE_MS);
  auto_job struct job back = { 0 };
  auto_shard struct shard second = { 0 };
  expect (stage, 1, bus_get_job (other, "j", &back, &stage->err));
  assert_string_equal (back.quarantined.items[0], "/in/bad");
  expect (stage, 1, bus_get_shard (other, "j", 2, &second, &stage->err));
  assert_int_equal (second.digest[0], 13);
  stage_settle_next (stage, other, 1);
  stage_settle_next (stage, other, 2);
  stage_settle_next (stage, other, -1);
  /* What is run again afterwards is the new plan's. */
  const uint32_t chosen[] = { 2 };
  expect (stage, 0, bus_replay (other, "j", 4, chosen, 1, &stage->err));
  stage_settle_next (stage, other, 2);
  stage_settle_next (stage, other, -1);
}

/* ---- shards that are held -------------------------------------------------------------------- */

static void
shards_of_a_pilot_s_job_wait_until_they_are_let_go (void **state)
{
  struct stage *stage = *state;
  const uint32_t first = 0;
  const uint32_t chosen[] = { 0, 2 };
  if (stage->place->is_log)
    {
      expect (stage, -1, bus_let_go (stage->bus, "j", NULL, 0, &stage->err));
      assert_int_equal (stage->err.class, ERROR_USER);
      return;
    }
  auto_job struct job job = { 0 };
  job_init (&job);
  job.id = xstrdup ("j");
  job.results = xstrdup ("/r");
  job.image = xstrdup ("i");
  job.pilot = 1;
  expect (stage, 1, bus_submit (stage->bus, &job, &stage->err));
  expect (stage, 1, fixture_submit (stage->bus, "other", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 4, &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "other", 7, 8, &stage->err));
  stage_settle_next (stage, stage->bus, 7);
  stage_settle_next (stage, stage->bus, -1);
  expect (stage, 0, bus_let_go (stage->bus, "other", NULL, 0, &stage->err));
  stage_settle_next (stage, stage->bus, -1);
  auto_bus struct bus *another = stage_open (stage->url, LONG_LEASE_MS);
  expect (stage, 0, bus_let_go (another, "j", &first, 1, &stage->err));
  auto_delivery struct delivery *delivery = NULL;
  expect (stage, 0, stage_take (stage, another, &delivery));
  /* A retry of what ran waits for its own time only. */
  expect (stage, 1, fixture_settle (another, delivery, 0, &stage->err));
  stage_settle_next (stage, another, 0);
  stage_settle_next (stage, another, -1);
  expect (stage, 0, bus_let_go (stage->bus, "j", NULL, 0, &stage->err));
  for (int index = 1; index < 4; index++)
    stage_settle_next (stage, another, index);
  expect (stage, 0, bus_replay (another, "j", 2, chosen, 2, &stage->err));
  stage_settle_next (stage, another, -1);
  expect (stage, 0, bus_let_go (another, "j", &chosen[1], 1, &stage->err));
  stage_settle_next (stage, another, 2);
  stage_settle_next (stage, another, -1);
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
  auto_bus struct bus *other = stage_open (stage->url, LONG_LEASE_MS);
  for (int i = 0; i < 20; i++)
    {
      auto_delivery struct delivery *of_a = NULL;
      auto_delivery struct delivery *of_b = NULL;
      expect (stage, 1, stage_take_from (stage, stage->bus, BUS_SHARDS, "a", &of_a));
      expect (stage, 1, stage_take_from (stage, other, BUS_SHARDS, "b", &of_b));
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
  follower_rewind (one);
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
    stage_settle_next (stage, stage->bus, index);
}

/* follower_next, of what is on its way. */
static int
next_event (struct stage *stage, struct follower *follower, struct event *event)
{
  int64_t end = clock_boot_ms () + COMING_MS;
  int got = follower_next (follower, event, &stage->err);
  while (got == 0 && clock_boot_ms () < end)
    {
      (void) bus_poll (stage->bus, NULL, 0, 10);
      got = follower_next (follower, event, &stage->err);
    }
  return got;
}

static void
of_a_group_one_member_gets_the_events (void **state)
{
  struct stage *stage = *state;
  ten_events (stage);
  auto_bus struct bus *other = stage_open (stage->url, LONG_LEASE_MS);
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
  assert_true (follower_holds (first, NULL, &stage->err));
  expect (stage, 0, follower_commit (first, &third_position, 1, &stage->err));
  follower_close (first);
  for (uint32_t i = 3; i < 10; i++) /* goes on at what was committed */
    {
      auto_event struct event event = { 0 };
      expect (stage, 1, next_event (stage, second, &event));
      assert_int_equal (event.index, i);
    }
  follower_rewind (second);
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
      index = stage_await (stage, stage->bus, &delivery, 0);
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
  assert_int_equal (stage_take (stage, stage->bus, &retried), 0);
  expect (stage, 1, fixture_settle (stage->bus, retried, 50, &stage->err));
  struct bus *gone = stage_open (stage->url, SHORT_LEASE_MS);
  assert_int_equal (stage_take (stage, gone, &expired), 1);
  bus_close (gone);
  int polls = 0;
  for (int64_t end = clock_boot_ms () + 1000; clock_boot_ms () < end; polls++)
    (void) bus_poll (stage->bus, NULL, 0, 500);
  assert_in_range (polls, 1, 60);
}

/* ---- all -------------------------------------------------------------------------------- */

#define TEST(name)                                                                                 \
  cmocka_unit_test_prestate_setup_teardown (name, stage_set_up, stage_tear_down, state)

int
bus_conformance_run_events (const struct bus_place *place)
{
  void *state = (void *) (uintptr_t) place;
  const struct CMUnitTest tests[] = {
    TEST (everybody_reads_all_control_records),
    TEST (the_last_status_stays),
    TEST (a_late_status_opens_nothing_that_ended),
    TEST (a_cancelled_job_is_not_delivered),
    TEST (a_paused_job_waits_until_it_goes_on),
    TEST (a_paused_job_that_is_cancelled_does_not_go_on),
    TEST (nothing_waits_behind_a_paused_job_that_is_over),
    TEST (jobs_go_on_as_they_were_set),
    TEST (a_replay_keeps_what_was_set),
    TEST (a_job_that_ended_is_not_delivered),
    TEST (replay_runs_the_chosen_shards_again),
    TEST (replay_of_unknown_shards_writes_nothing),
    TEST (replay_reopens_a_cancelled_job),
    TEST (a_late_status_of_an_old_generation_stops_no_replay),
    TEST (a_job_is_amended_or_says_that_it_cannot_be),
    TEST (shards_of_a_pilot_s_job_wait_until_they_are_let_go),
    TEST (a_plan_is_replaced_whole_or_not_at_all),
    TEST (followers_see_one_order),
    TEST (of_a_group_one_member_gets_the_events),
    TEST (groups_do_not_disturb_each_other),
    TEST (a_poll_ends_when_there_is_news),
    TEST (a_poll_ends_when_a_descriptor_is_ready),
    TEST (a_poll_with_nothing_to_do_does_not_spin),
  };
  return cmocka_run_group_tests_name ("bus_events", tests, NULL, NULL);
}
