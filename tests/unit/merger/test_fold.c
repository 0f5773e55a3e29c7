/* The fold: the same events in every order that the log allows give the same state. */
#include "common/memory.h"
#include "merger/fold.h"
#include "merger/reasons.h"
#include "result/result.h"
#include "tests/lib/bus_fixture.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

/* ---- events ----------------------------------------------------------------------------- */

static struct event
shard_event (enum event_kind kind, uint32_t index, uint32_t generation, uint32_t attempt)
{
  return (struct event){ .kind = kind,
                         .index = index,
                         .generation = generation,
                         .attempt = attempt,
                         .starts = 1,
                         .atoms = 3,
                         .digest = { (uint8_t) (index + 1), 7 } };
}

static struct event
finished (uint32_t index, uint32_t generation, uint32_t attempt, enum outcome outcome, bool final)
{
  struct event event = shard_event (EVENT_FINISHED, index, generation, attempt);
  event.report =
      (struct attempt_report){ .outcome = outcome,
                               .final = final,
                               .exit_code = outcome == OUTCOME_SUCCEEDED ? 0 : 3,
                               .folder = result_attempt_name (index, generation, attempt, 1) };
  return event;
}

static enum fold_change
apply (struct fold *fold, struct event event)
{
  enum fold_change change = fold_apply (fold, &event);
  free (event.report.folder);
  return change;
}

static struct event
planned (int64_t shards)
{
  return (struct event){ .kind = EVENT_PLANNED, .shards = shards, .atoms = 3 * shards };
}

/* ---- by example ------------------------------------------------------------------------- */

/* Whichever merger asks, and when it took the job up: by the times at which events came to the
 * bus. */
static void
test_age_is_that_of_the_job (void **state)
{
  (void) state;
  auto_fold struct fold *fold = fold_new ();
  struct event event = planned (2);
  assert_int_equal (fold_age (fold, 5000), 0);
  event.logged = 1000;
  (void) apply (fold, event);
  event = shard_event (EVENT_STARTED, 0, 1, 1);
  event.logged = 3000;
  (void) apply (fold, event);
  assert_int_equal (fold_age (fold, 5000), 4000);
  assert_int_equal (fold_age (fold, 2000),
                    2000); /* our clock is behind: events aren't from the future */
  assert_int_equal (fold_age (fold, 0), 2000);
  event = finished (0, 1, 1, OUTCOME_FAILED, true);
  event.logged = 6000;
  (void) apply (fold, event);
  uint32_t again[] = { 0 };
  const struct event reopened = {
    .kind = EVENT_REOPENED, .generation = 2, .indexes = again, .index_count = 1, .logged = 9000
  };
  (void) apply (fold, reopened);
  assert_int_equal (fold_age (fold, 9500), 500); /* a retry has the whole time */
}

static void
test_the_first_success_wins (void **state)
{
  (void) state;
  auto_fold struct fold *fold = fold_new ();
  (void) apply (fold, planned (1));
  assert_int_equal (apply (fold, shard_event (EVENT_STARTED, 0, 1, 1)), FOLD_CHANGED);
  assert_int_equal (fold_counts (fold).running, 1);
  assert_false (fold_settled (fold, false));
  assert_int_equal (apply (fold, finished (0, 1, 2, OUTCOME_SUCCEEDED, true)), FOLD_SUCCEEDED);
  assert_int_equal (apply (fold, finished (0, 1, 1, OUTCOME_SUCCEEDED, true)), FOLD_NOTHING);
  assert_int_equal (apply (fold, finished (0, 1, 3, OUTCOME_FAILED, true)), FOLD_NOTHING);
  auto_free char *folder = fold_folder_name (fold, 0);
  assert_string_equal (folder, "00000.g1.a2.s1");
  assert_true (fold_settled (fold, false));
  assert_int_equal (fold_counts (fold).atoms_done, 3);
  assert_int_equal (fold_counts (fold).running, 0);
}

static void
test_a_shard_fails_when_its_attempts_are_used_up (void **state)
{
  (void) state;
  auto_fold struct fold *fold = fold_new ();
  (void) apply (fold, planned (1));
  (void) apply (fold, finished (0, 1, 1, OUTCOME_FAILED, false));
  assert_int_equal (fold_shard (fold, 0)->state, SHARD_WAITING);
  assert_false (fold_settled (fold, false));
  (void) apply (fold, finished (0, 1, 2, OUTCOME_TIMEOUT, true));
  assert_int_equal (fold_shard (fold, 0)->state, SHARD_FAILED);
  assert_int_equal (fold_shard (fold, 0)->outcome, OUTCOME_TIMEOUT);
  assert_int_equal (shard_attempts (fold_shard (fold, 0)), 2);
  assert_true (fold_settled (fold, false));
  assert_true (fold_complete (fold));
}

/* An attempt that left a folder has its reason there. */
static void
test_why_a_shard_without_a_folder_failed_is_kept (void **state)
{
  (void) state;
  auto_fold struct fold *fold = fold_new ();
  (void) apply (fold, planned (4));
  for (uint32_t i = 0; i < 4; i++)
    {
      struct event event = finished (i, 1, 1, OUTCOME_INFRA, i != 2);
      event.report.reason = i == 0 ? "no such image" : "worker_lost";
      if (i != 3)
        free (take (&event.report.folder));
      (void) apply (fold, event);
    }
  assert_string_equal (fold_reason (fold, fold_shard (fold, 0)), "no such image");
  assert_string_equal (fold_reason (fold, fold_shard (fold, 1)), "worker_lost");
  assert_null (fold_reason (fold, fold_shard (fold, 2))); /* it is tried again */
  assert_null (fold_reason (fold, fold_shard (fold, 3)));
  struct event reopened = {
    .kind = EVENT_REOPENED, .generation = 2, .indexes = (uint32_t[]){ 0 }, .index_count = 1
  };
  (void) apply (fold, reopened);
  assert_null (fold_reason (fold, fold_shard (fold, 0)));
}

static void
test_reasons_are_kept_once_and_bounded (void **state)
{
  (void) state;
  struct reasons *reasons = reasons_new ();
  assert_int_equal (reasons_add (reasons, NULL), 0);
  assert_int_equal (reasons_add (reasons, ""), 0);
  for (uint32_t i = 0; i < 3000; i++)
    {
      auto_free char *text = xasprintf ("shard %u: gone", i % 1000);
      assert_int_equal (reasons_add (reasons, text), i % 1000 + 1);
    }
  assert_string_equal (reasons_text (reasons, 1000), "shard 999: gone");
  assert_null (reasons_text (reasons, 0));
  assert_null (reasons_text (reasons, 1001));
  uint32_t kept = 0;
  for (uint32_t i = 0; i < 20000; i++)
    {
      auto_free char *text = xasprintf ("%05u%02000d", i, 0);
      kept += reasons_add (reasons, text) != 0;
    }
  assert_in_range (kept, 4000, 5000);
  assert_int_equal (reasons_add (reasons, "shard 0: gone"), 1);
  reasons_free (reasons);
}

static void
test_a_folder_name_that_isnt_the_attempts_own_is_not_believed (void **state)
{
  (void) state;
  auto_fold struct fold *fold = fold_new ();
  struct event event = finished (0, 1, 1, OUTCOME_SUCCEEDED, true);
  free (event.report.folder);
  event.report.folder = xstrdup ("../../etc");
  (void) apply (fold, event);
  assert_null (fold_folder_name (fold, 0));
}

static void
test_reopening_sends_shards_back (void **state)
{
  (void) state;
  auto_fold struct fold *fold = fold_new ();
  (void) apply (fold, planned (2));
  (void) apply (fold, finished (0, 1, 1, OUTCOME_SUCCEEDED, true));
  (void) apply (fold, finished (1, 1, 1, OUTCOME_FAILED, true));
  uint32_t index = 1;
  struct event reopened = {
    .kind = EVENT_REOPENED, .generation = 2, .indexes = &index, .index_count = 1
  };
  assert_int_equal (fold_apply (fold, &reopened), FOLD_REOPENED);
  assert_int_equal (fold_apply (fold, &reopened), FOLD_NOTHING);
  assert_false (fold_settled (fold, false));
  assert_int_equal (apply (fold, finished (1, 1, 2, OUTCOME_SUCCEEDED, true)), FOLD_NOTHING);
  assert_int_equal (apply (fold, finished (1, 2, 1, OUTCOME_SUCCEEDED, true)), FOLD_SUCCEEDED);
  assert_int_equal (fold_counts (fold).succeeded, 2);
  assert_int_equal (fold_counts (fold).failed, 0);
  assert_int_equal (fold_generation (fold), 2);
  auto_free char *folder = fold_folder_name (fold, 1);
  assert_string_equal (folder, "00001.g2.a1.s1");
}

static void
test_after_a_cancel_what_waits_will_not_run (void **state)
{
  (void) state;
  auto_fold struct fold *fold = fold_new ();
  (void) apply (fold, planned (4));
  (void) apply (fold, finished (0, 1, 1, OUTCOME_SUCCEEDED, true));
  (void) apply (fold, shard_event (EVENT_STARTED, 1, 1, 1));
  (void) apply (fold, finished (2, 1, 1, OUTCOME_FAILED, false));
  struct event cancelled = { .kind = EVENT_CANCELLED, .reason = (char *) "enough" };
  assert_int_equal (fold_apply (fold, &cancelled), FOLD_CHANGED);
  assert_false (fold_settled (fold, false));
  assert_true (fold_settled (fold, true));
  (void) apply (fold, finished (1, 1, 1, OUTCOME_CANCELLED, true));
  assert_true (fold_settled (fold, false));
  assert_int_equal (fold_counts (fold).stopped, 1);
  assert_false (fold_complete (fold));
  assert_string_equal (fold_cancel_reason (fold), "enough");
  /* One of them is sent back afterwards: the others still never run. */
  uint32_t index = 3;
  struct event reopened = {
    .kind = EVENT_REOPENED, .generation = 2, .indexes = &index, .index_count = 1
  };
  assert_int_equal (fold_apply (fold, &reopened), FOLD_REOPENED);
  assert_false (fold_cancelled (fold));
  assert_false (fold_settled (fold, true));
  (void) apply (fold, finished (3, 2, 1, OUTCOME_SUCCEEDED, true));
  assert_true (fold_settled (fold, false));
}

static void
test_contradictions_are_problems (void **state)
{
  (void) state;
  auto_fold struct fold *fold = fold_new ();
  (void) apply (fold, shard_event (EVENT_STARTED, 5, 1, 1));
  assert_null (fold_problem (fold));
  struct event other = finished (5, 1, 1, OUTCOME_SUCCEEDED, true);
  other.digest[1] = 99;
  (void) apply (fold, other);
  assert_non_null (strstr (fold_problem (fold), "shard 5"));

  auto_fold struct fold *beyond = fold_new ();
  (void) apply (beyond, shard_event (EVENT_STARTED, 5, 1, 1));
  (void) apply (beyond, planned (5));
  assert_non_null (strstr (fold_problem (beyond), "more shards"));
}

static void
test_a_far_index_takes_no_memory_for_those_before (void **state)
{
  (void) state;
  auto_fold struct fold *fold = fold_new ();
  (void) apply (fold, shard_event (EVENT_STARTED, UINT32_MAX, 1, 1));
  assert_int_equal (fold_known (fold), (int64_t) UINT32_MAX + 1);
  assert_int_equal (fold_shard (fold, 1234567)->state, SHARD_WAITING);
}

/* ---- in every order --------------------------------------------------------------------- */

enum
{
  SHARDS = 6,
  LANES = SHARDS + 1, /* the last: events of the job as a whole */
  LANE_MAX = 64,
};

/* The events of one shard, whose order the log keeps. */
struct lane
{
  struct event events[LANE_MAX];
  int count;
  int at;
};

static int
below (unsigned int *seed, int limit)
{
  return rand_r (seed) % limit;
}

static void
add (struct lane *lane, unsigned int *seed, struct event event)
{
  if (lane->count + 3 >= LANE_MAX)
    {
      free (event.report.folder);
      return;
    }
  lane->events[lane->count++] = event;
  if (below (seed, 5) != 0)
    return;
  event.report.folder = xstrdup (event.report.folder); /* delivered twice */
  lane->events[lane->count++] = event;
}

static void
fill_shard (struct lane *lane, unsigned int *seed, uint32_t index, uint32_t generations)
{
  for (uint32_t generation = 1; generation <= generations; generation++)
    {
      uint32_t attempts = 1 + (uint32_t) below (seed, 3);
      for (uint32_t attempt = 1; attempt <= attempts; attempt++)
        {
          if (below (seed, 4) != 0)
            add (lane, seed, shard_event (EVENT_STARTED, index, generation, attempt));
          if (below (seed, 8) == 0)
            break;
          bool last = attempt == attempts;
          enum outcome outcome =
              last && below (seed, 2) == 0 ? OUTCOME_SUCCEEDED : (enum outcome) below (seed, 6);
          add (lane, seed, finished (index, generation, attempt, outcome, last));
        }
      if (below (seed, 4) == 0) /* a late one of an older generation */
        add (lane, seed, finished (index, 1, 9, OUTCOME_SUCCEEDED, true));
    }
}

static void
fill_job (struct lane *lane, unsigned int *seed, uint32_t generations)
{
  static uint32_t all[SHARDS];
  int planned_at = below (seed, (int) generations);
  for (uint32_t generation = 1; generation <= generations; generation++)
    {
      if ((int) generation - 1 == planned_at)
        add (lane, seed, planned (SHARDS));
      if (generation > 1)
        {
          for (uint32_t i = 0; i < SHARDS; i++)
            all[i] = i;
          add (lane, seed,
               (struct event){ .kind = EVENT_REOPENED,
                               .generation = generation,
                               .indexes = all,
                               .index_count = 1 + (size_t) below (seed, SHARDS) });
        }
      if (below (seed, 3) == 0)
        add (lane, seed,
             (struct event){
                 .kind = EVENT_CANCELLED, .generation = generation, .reason = (char *) "why" });
      if (below (seed, 5) == 0)
        add (lane, seed, (struct event){ .kind = EVENT_REMERGE, .on_conflict = CONFLICT_LAST });
    }
}

/* All that can be asked of FOLD, as text. */
static void
describe (const struct fold *fold, struct buffer *text)
{
  struct fold_counts counts = fold_counts (fold);
  buffer_clear (text);
  buffer_printf (text, "shards %lld generation %u: %lld %lld %lld %lld atoms %lld\n",
                 (long long) fold_shards (fold), fold_generation (fold),
                 (long long) counts.succeeded, (long long) counts.failed,
                 (long long) counts.stopped, (long long) counts.running,
                 (long long) counts.atoms_done);
  buffer_printf (text, "settled %d %d complete %d cancelled %d policy %d problem %s\n",
                 fold_settled (fold, false), fold_settled (fold, true), fold_complete (fold),
                 fold_cancelled (fold), (int) fold_on_conflict (fold, CONFLICT_FAIL),
                 fold_problem (fold) == NULL ? "none" : fold_problem (fold));
  for (uint32_t i = 0; i < SHARDS; i++)
    {
      const struct shard_record *record = fold_shard (fold, i);
      auto_free char *folder = fold_folder_name (fold, i);
      buffer_printf (text, "%u: state %d outcome %d exit %d generation %u attempts %u folder %s\n",
                     i, record->state, record->outcome, record->exit_code, record->generation,
                     shard_attempts (record), folder == NULL ? "none" : folder);
    }
}

/* Applies the lanes' events, picking a lane at random each time. */
static void
play (struct lane *lanes, unsigned int *seed, struct buffer *text)
{
  auto_fold struct fold *fold = fold_new ();
  int left = 0;
  for (int i = 0; i < LANES; i++)
    {
      lanes[i].at = 0;
      left += lanes[i].count;
    }
  while (left > 0)
    {
      struct lane *lane = &lanes[below (seed, LANES)];
      int run = 1 + below (seed, 4);
      for (; run > 0 && lane->at < lane->count; run--, left--)
        (void) fold_apply (fold, &lane->events[lane->at++]);
    }
  describe (fold, text);
}

static void
test_every_order_that_the_log_allows_gives_the_same_state (void **state)
{
  (void) state;
  unsigned int seed = seed_of_test ();
  for (int round = 0; round < 300; round++)
    {
      static struct lane lanes[LANES];
      memset (lanes, 0, sizeof lanes);
      uint32_t generations = 1 + (uint32_t) below (&seed, 3);
      for (uint32_t i = 0; i < SHARDS; i++)
        fill_shard (&lanes[i], &seed, i, generations);
      fill_job (&lanes[SHARDS], &seed, generations);
      auto_buffer struct buffer expected = { 0 };
      auto_buffer struct buffer got = { 0 };
      play (lanes, &seed, &expected);
      for (int order = 0; order < 20; order++)
        {
          play (lanes, &seed, &got);
          if (strcmp (expected.data, got.data) != 0)
            fail_msg ("round %d, order %d: expected\n%sgot\n%s", round, order, expected.data,
                      got.data);
        }
      for (int i = 0; i < LANES; i++)
        for (int j = 0; j < lanes[i].count; j++)
          free (lanes[i].events[j].report.folder);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_age_is_that_of_the_job),
    cmocka_unit_test (test_the_first_success_wins),
    cmocka_unit_test (test_a_shard_fails_when_its_attempts_are_used_up),
    cmocka_unit_test (test_why_a_shard_without_a_folder_failed_is_kept),
    cmocka_unit_test (test_reasons_are_kept_once_and_bounded),
    cmocka_unit_test (test_a_folder_name_that_isnt_the_attempts_own_is_not_believed),
    cmocka_unit_test (test_reopening_sends_shards_back),
    cmocka_unit_test (test_after_a_cancel_what_waits_will_not_run),
    cmocka_unit_test (test_contradictions_are_problems),
    cmocka_unit_test (test_a_far_index_takes_no_memory_for_those_before),
    cmocka_unit_test (test_every_order_that_the_log_allows_gives_the_same_state),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
