/* Several processes at once; processes that are killed and stopped. */
#include "bus/follower.h"
#include "tests/lib/bus_conformance.h"

#include "common/clock.h"
#include "common/memory.h"
#include "tests/lib/bus_actor.h"
#include "tests/lib/bus_fixture.h"
#include "tests/lib/bus_stage.h"
#include "tests/lib/seed.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum
{
  CROWD = 6,
  WORK_TIMEOUT_MS = 120000,
};

/* What ACTOR must answer to COMMAND. */
static void
expect_answer (struct actor *actor, const char *command, const char *wanted)
{
  const char *answer = actor_ask (actor, command);
  if (strcmp (answer, wanted) != 0)
    fail_msg ("'%s' was answered '%s', not '%s'", command, answer, wanted);
}

/* What ACTOR must take, when it has come. */
static void
expect_shard (struct actor *actor, const char *wanted)
{
  const char *answer = actor_ask (actor, "take -");
  for (int64_t end = clock_boot_ms () + COMING_MS;
       strcmp (answer, "none") == 0 && clock_boot_ms () < end;)
    {
      (void) poll (NULL, 0, 5);
      answer = actor_ask (actor, "take -");
    }
  assert_string_equal (answer, wanted);
}

static void
one_shard (struct stage *stage)
{
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 1, &stage->err));
}

static void
a_killed_taker_is_replaced (void **state)
{
  struct stage *stage = *state;
  one_shard (stage);
  for (int round = 1; round <= 3; round++)
    {
      struct actor actor = { 0 };
      auto_free char *wanted = xasprintf ("shard 0 1 1 %d", round);
      actor_start (&actor, stage->url, stage_mortal_lease (stage));
      for (int64_t end = clock_boot_ms () + SOON_MS;;) /* long before a long lease runs out */
        {
          const char *answer = actor_ask (&actor, "take -");
          if (strcmp (answer, wanted) == 0)
            break;
          if (strcmp (answer, "none") != 0 || clock_boot_ms () > end)
            fail_msg ("round %d: '%s'", round, answer);
          (void) poll (NULL, 0, 5);
        }
      actor_kill (&actor);
    }
  auto_delivery struct delivery *delivery = NULL;
  assert_int_equal (stage_await (stage, stage->bus, &delivery, SOON_MS), 0);
  assert_int_equal (delivery->starts, 4);
}

static void
a_stopped_taker_comes_back_to_nothing (void **state)
{
  struct stage *stage = *state;
  one_shard (stage);
  struct actor actor = { 0 };
  actor_start (&actor, stage->url, SHORT_LEASE_MS);
  expect_shard (&actor, "shard 0 1 1 1");
  assert_int_equal (kill (actor.pid, SIGSTOP), 0);
  auto_delivery struct delivery *delivery = NULL;
  assert_int_equal (stage_await (stage, stage->bus, &delivery, SOON_MS), 0);
  assert_int_equal (delivery->starts, 2);
  assert_int_equal (kill (actor.pid, SIGCONT), 0);
  expect_answer (&actor, "keep", "0");
  expect_answer (&actor, "settle", "0");
  expect_answer (&actor, "release", "0");
  assert_int_equal (stage_count_events (stage, EVENT_FINISHED), 0);
  expect (stage, 1, fixture_settle (stage->bus, delivery, -1, &stage->err));
  actor_kill (&actor);
}

/* The first event of ACTOR's group that comes within SOON_MS. */
static const char *
await_event (struct actor *actor)
{
  for (int64_t end = clock_boot_ms () + SOON_MS;;)
    {
      const char *answer = actor_ask (actor, "next merger");
      if (strcmp (answer, "none") != 0 || clock_boot_ms () > end)
        return answer;
      (void) poll (NULL, 0, 5);
    }
}

static void
a_groups_member_is_replaced (void **state)
{
  struct stage *stage = *state;
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, 3, &stage->err));
  stage_settle_any (stage, stage->bus, 3);

  struct actor killed = { 0 };
  struct actor stopped = { 0 };
  struct actor last = { 0 };
  actor_start (&killed, stage->url, stage_mortal_lease (stage));
  actor_start (&stopped, stage->url, SHORT_LEASE_MS);
  actor_start (&last, stage->url, stage_mortal_lease (stage));
  auto_free char *first = xstrdup (actor_ask (&killed, "next merger"));
  auto_free char *second = xstrdup (actor_ask (&killed, "next merger"));
  assert_non_null (strstr (first, "event"));
  auto_free char *commit = xasprintf ("commit %ld", strtol (second + strlen ("event "), NULL, 10));
  expect_answer (&stopped, "next merger", "none");
  expect_answer (&killed, commit, "0");
  actor_kill (&killed);

  assert_string_equal (await_event (&stopped), second); /* from what was committed */
  expect_answer (&stopped, "holds", "1");
  assert_int_equal (kill (stopped.pid, SIGSTOP), 0);
  assert_string_equal (await_event (&last), second);
  assert_int_equal (kill (stopped.pid, SIGCONT), 0);
  expect_answer (&stopped, "holds", "0");
  expect_answer (&stopped, "next merger", "none");
  expect_answer (&stopped, "commit 1000000", "0"); /* and is not committed … */
  expect_answer (&stopped, "rewind", "0");
  expect_answer (&stopped, "next merger", "none");
  actor_kill (&last);
  assert_string_equal (await_event (&stopped), second); /* … as is seen here */
  actor_kill (&stopped);
}

static void
many_open_at_once (void **state)
{
  struct stage *stage = *state;
  char *url = stage->place->make ();
  for (int round = 0; round < 5; round++)
    {
      struct actor crowd[CROWD] = { 0 };
      for (int i = 0; i < CROWD; i++)
        actor_launch (&crowd[i], url, LONG_LEASE_MS);
      for (int i = 0; i < CROWD; i++)
        actor_await (&crowd[i]);
      for (int i = 0; i < CROWD; i++)
        expect_answer (&crowd[i], "take -", "none");
      for (int i = 0; i < CROWD; i++)
        actor_kill (&crowd[i]);
      stage->place->discard (url);
      url = stage->place->make ();
    }
  stage->place->discard (url);
}

/* ---- what stands in the log afterwards -------------------------------------------------- */

enum
{
  ATTEMPTS_MAX = 8,
};

struct tally /* of one shard */
{
  int final;
  uint32_t attempts[ATTEMPTS_MAX]; /* with which start each ended; 0: not yet */
};

/* Each attempt ended once, each shard is final once, with its last attempt. */
static void
check_log (struct stage *stage, uint32_t shards)
{
  auto_free struct tally *tallies = xcalloc (shards, sizeof *tallies);
  auto_follower struct follower *follower = bus_follow (stage->bus, NULL, "j", &stage->err);
  for (;;)
    {
      auto_event struct event event = { 0 };
      int outcome = follower_next (follower, &event, &stage->err);
      if (outcome < 0)
        fail_msg ("%s", stage->err.message);
      if (outcome == 0)
        break;
      if (event.kind != EVENT_FINISHED)
        continue;
      assert_in_range (event.index, 0, shards - 1);
      assert_in_range (event.attempt, 1, ATTEMPTS_MAX - 1);
      struct tally *tally = &tallies[event.index];
      if (stage->place->is_log && tally->attempts[event.attempt] == event.starts)
        continue;           /* the same one again: its writer died behind it */
      if (tally->final > 0) /* nothing comes after the final one */
        fail_msg (
            "shard %u attempt %u start %u by %s ended after the final one (of starts %u %u %u)",
            event.index, event.attempt, event.starts, event.writer, tally->attempts[1],
            tally->attempts[2], tally->attempts[3]);
      assert_int_equal (tally->attempts[event.attempt], 0);
      assert_true (event.attempt == 1 || tally->attempts[event.attempt - 1] > 0);
      tally->attempts[event.attempt] = event.starts;
      tally->final += event.report.final ? 1 : 0;
    }
  for (uint32_t index = 0; index < shards; index++)
    assert_int_equal (tallies[index].final, 1);
  stage_take_none (stage, stage->bus, BUS_SHARDS, NULL);
}

static void
start_worker (struct stage *stage, struct actor *actor, uint32_t shards, unsigned int *seed)
{
  auto_free char *command = xasprintf ("work j %d %u", rand_r (seed), shards);
  actor_start (actor, stage->url, stage_mortal_lease (stage));
  actor_tell (actor, command);
}

static void
many_workers_run_each_shard_once (void **state)
{
  enum
  {
    SHARDS = 300
  };
  struct stage *stage = *state;
  unsigned int seed = seed_of_test ();
  expect (stage, 1, fixture_submit (stage->bus, "j", &stage->err));
  expect (stage, 0, fixture_publish (stage->bus, "j", 0, SHARDS, &stage->err));
  struct actor crowd[CROWD] = { 0 };
  for (int i = 0; i < CROWD; i++)
    start_worker (stage, &crowd[i], SHARDS, &seed);
  for (int i = 0; i < CROWD; i++)
    assert_int_equal (actor_wait (&crowd[i], WORK_TIMEOUT_MS), 0);
  check_log (stage, SHARDS);
}

/* Publishes the job with processes that are killed on the way, until one gets through. */
static void
publish_under_fire (const char *url, uint32_t shards, unsigned int *seed)
{
  auto_free char *command = xasprintf ("publish j %u", shards);
  for (int round = 0;; round++)
    {
      struct actor publisher = { 0 };
      actor_start (&publisher, url, LONG_LEASE_MS);
      actor_tell (&publisher, command);
      int status = actor_wait (&publisher, round < 8 ? rand_r (seed) % 12 : WORK_TIMEOUT_MS);
      assert_true (status == 0 || (status == -1 && round < 8));
      if (status == 0)
        return;
      actor_kill (&publisher);
    }
}

/* Hundreds of kills at any moment: nothing is lost, nothing ends twice. */
static void
killed_workers_lose_and_double_nothing (void **state)
{
  enum
  {
    SHARDS = 4500,
    WORKERS = 3,
    KILLS = 300, /* a third of it would show enough */
  };
  struct stage *stage = *state;
  const uint32_t shards = stage->place->shards > 0 ? stage->place->shards : SHARDS;
  const int kills_max = stage->place->kills > 0 ? stage->place->kills : KILLS;
  unsigned int seed = seed_of_test ();
  publish_under_fire (stage->url, shards, &seed);
  int planned = stage_count_events (stage, EVENT_PLANNED);
  assert_in_range (planned, 1, stage->place->is_log ? 9 : 1);
  struct actor workers[WORKERS] = { 0 };
  for (int i = 0; i < WORKERS; i++)
    start_worker (stage, &workers[i], shards, &seed);
  int kills = 0;
  for (bool working = true; working && kills < kills_max;)
    {
      int i = rand_r (&seed) % WORKERS;
      int status = actor_wait (&workers[i], rand_r (&seed) % 15);
      if (status == 0)
        {
          working = false;
          continue;
        }
      assert_int_equal (status, -1);
      actor_kill (&workers[i]);
      start_worker (stage, &workers[i], shards, &seed);
      kills++;
    }
  print_message ("%d workers were killed\n", kills);
  assert_in_range (kills, kills_max / 3, kills_max);
  for (int i = 0; i < WORKERS; i++)
    if (workers[i].pid != 0)
      assert_int_equal (actor_wait (&workers[i], WORK_TIMEOUT_MS), 0);
  check_log (stage, shards);
}

/* ---- all -------------------------------------------------------------------------------- */

#define TEST(name)                                                                                 \
  cmocka_unit_test_prestate_setup_teardown (name, stage_set_up, stage_tear_down, state)

int
bus_conformance_run_faults (const struct bus_place *place)
{
  void *state = (void *) (uintptr_t) place;
  const struct CMUnitTest tests[] = {
    TEST (a_killed_taker_is_replaced),       TEST (a_stopped_taker_comes_back_to_nothing),
    TEST (a_groups_member_is_replaced),      TEST (many_open_at_once),
    TEST (many_workers_run_each_shard_once), TEST (killed_workers_lose_and_double_nothing),
  };
  return cmocka_run_group_tests_name ("bus_faults", tests, NULL, NULL);
}
