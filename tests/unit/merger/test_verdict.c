/* Whether a job counts as done, as a table of limits and counts. */
#include "common/memory.h"
#include "merger/pilot.h"
#include "merger/verdict.h"
#include "schemas/job_bounds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void
finish (struct fold *fold, uint32_t index, enum outcome outcome, enum shard_kind kind)
{
  struct event event = { .kind = EVENT_FINISHED,
                         .index = index,
                         .shard_kind = kind,
                         .generation = 1,
                         .attempt = 1,
                         .starts = 1,
                         .report = { .outcome = outcome, .final = true } };
  (void) fold_apply (fold, &event);
}

static struct fold *
fold_with (int64_t shards, uint32_t succeeded, uint32_t failed)
{
  struct fold *fold = fold_new ();
  struct event planned = { .kind = EVENT_PLANNED, .shards = shards };
  (void) fold_apply (fold, &planned);
  for (uint32_t i = 0; i < succeeded + failed; i++)
    finish (fold, i, i < succeeded ? OUTCOME_SUCCEEDED : OUTCOME_FAILED, SHARD_MAP);
  return fold;
}

static void
test_min_success (void **state)
{
  (void) state;
  static const struct
  {
    uint32_t succeeded;
    uint32_t failed;
    int32_t min_success;
    enum job_state expected;
  } rows[] = {
    { 10, 0, 10000, JOB_SUCCEEDED }, { 9, 1, 10000, JOB_FAILED },  { 9, 1, 9000, JOB_PARTIAL },
    { 9, 1, 9001, JOB_FAILED },      { 0, 1, 0, JOB_PARTIAL },     { 0, 1, 1, JOB_FAILED },
    { 1, 2, 3333, JOB_PARTIAL },     { 1, 2, 3334, JOB_FAILED },   { 3, 0, 0, JOB_SUCCEEDED },
    { 199, 1, 9950, JOB_PARTIAL },   { 198, 2, 9950, JOB_FAILED },
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    {
      auto_job struct job job;
      job_init (&job);
      job.min_success = rows[i].min_success;
      auto_fold struct fold *fold =
          fold_with (rows[i].succeeded + rows[i].failed, rows[i].succeeded, rows[i].failed);
      auto_verdict struct verdict verdict = verdict_final (&job, fold);
      if (verdict.state != rows[i].expected)
        fail_msg ("row %zu: %s", i, job_state_name (verdict.state));
      assert_int_equal (verdict.reason == NULL, verdict.state == JOB_SUCCEEDED);
    }
}

/* Every shard of the plan succeeded, but the plan leaves inputs out. */
static void
test_quarantined_inputs (void **state)
{
  (void) state;
  auto_job struct job job;
  job_init (&job);
  strlist_add (&job.quarantined, "/in/bad");
  auto_fold struct fold *whole = fold_with (3, 3, 0);
  auto_verdict struct verdict one = verdict_final (&job, whole);
  assert_int_equal (one.state, JOB_PARTIAL);
  assert_string_equal (one.reason, "complete except 1 quarantined input");
  strlist_add (&job.quarantined, "/in/worse");
  auto_verdict struct verdict two = verdict_final (&job, whole);
  assert_string_equal (two.reason, "complete except 2 quarantined inputs");
  auto_fold struct fold *failing = fold_with (3, 2, 1);
  auto_verdict struct verdict failed = verdict_final (&job, failing);
  assert_int_equal (failed.state, JOB_FAILED);
}

static void
test_giving_up (void **state)
{
  (void) state;
  static const struct
  {
    uint32_t failed;
    int64_t max_failures;
    int32_t max_failures_bp;
    int64_t job_timeout_ms;
    int64_t age_ms;
    const char *expected; /* a part of the reason; NULL: go on */
  } rows[] = {
    { 5, -1, -1, -1, 1000000, NULL },       { 5, 5, -1, -1, 0, NULL },
    { 6, 5, -1, -1, 0, "more than the 5" }, { 1, 0, -1, -1, 0, "more than the 0" },
    { 10, -1, 1000, -1, 0, NULL },          { 11, -1, 1000, -1, 0, "more than the 10%" },
    { 0, -1, -1, 500, 500, NULL },          { 0, -1, -1, 500, 501, "time limit of 500ms" },
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    {
      auto_job struct job job;
      job_init (&job);
      job.max_failures = rows[i].max_failures;
      job.max_failures_bp = rows[i].max_failures_bp;
      job.job_timeout_ms = rows[i].job_timeout_ms;
      auto_fold struct fold *fold = fold_with (100, 0, rows[i].failed);
      auto_free char *reason = verdict_give_up (&job, fold, rows[i].age_ms);
      if ((reason == NULL) != (rows[i].expected == NULL)
          || (reason != NULL && strstr (reason, rows[i].expected) == NULL))
        fail_msg ("row %zu: %s", i, reason == NULL ? "no reason" : reason);
    }
}

static void
test_a_pilot_that_failed (void **state)
{
  (void) state;
  auto_job struct job job;
  job_init (&job);
  job.pilot = 2;
  job.min_success = 0; /* it counts for nothing here */
  auto_fold struct fold *fold = fold_with (5, 1, 0);
  assert_int_equal (pilot_state (&job, fold), PILOT_RUNS);
  assert_null (verdict_give_up (&job, fold, 0));
  finish (fold, 4, OUTCOME_FAILED, SHARD_MAP);
  assert_int_equal (pilot_state (&job, fold), PILOT_FAILED);
  auto_free char *reason = verdict_give_up (&job, fold, 0);
  assert_string_equal (reason,
                       "1 of the pilot's 2 shards failed; the other 3 of the job didn't run");
  job.pilot = 5; /* all of them */
  assert_int_equal (pilot_state (&job, fold), PILOT_NONE);
  assert_null (verdict_give_up (&job, fold, 0));
  job.pilot = 1;
  assert_int_equal (pilot_state (&job, fold), PILOT_PASSED);
  assert_null (verdict_give_up (&job, fold, 0));
  job.pilot = -1;
  assert_int_equal (pilot_state (&job, fold), PILOT_NONE);
}

/* A pilot that passed stays so when the plan is made anew: other shards are its then. */
static void
test_a_pilot_that_passed (void **state)
{
  (void) state;
  auto_job struct job job;
  job_init (&job);
  job.pilot = 2;
  auto_fold struct fold *fold = fold_with (5, 1, 0);
  finish (fold, 2, OUTCOME_SUCCEEDED, SHARD_MAP);
  assert_int_equal (pilot_state (&job, fold), PILOT_PASSED);
  finish (fold, 4, OUTCOME_FAILED, SHARD_MAP);
  assert_int_equal (pilot_state (&job, fold), PILOT_PASSED);
  assert_null (verdict_give_up (&job, fold, 0));
}

/* The first, the last, and the others evenly between them: each once, in order. */
static void
test_the_shards_of_a_pilot (void **state)
{
  (void) state;
  static const uint32_t of_ten[] = { 0, 3, 6, 9 };
  for (int64_t i = 0; i < 4; i++)
    assert_int_equal (pilot_shard (i, 4, 10), of_ten[i]);
  assert_int_equal (pilot_shard (0, 1, 10), 0);
  static const int64_t shards[] = { 2, 3, 7, 100, 1001, 1 << 27 };
  for (size_t k = 0; k < sizeof shards / sizeof *shards; k++)
    for (int64_t n = 2; n < shards[k] && n <= JOB_PILOT_MAX; n++)
      {
        assert_int_equal (pilot_shard (0, n, shards[k]), 0);
        assert_int_equal (pilot_shard (n - 1, n, shards[k]), shards[k] - 1);
        for (int64_t i = 1; i < n; i++)
          assert_true (pilot_shard (i, n, shards[k]) > pilot_shard (i - 1, n, shards[k]));
      }
}

static void
test_settled_jobs_are_not_given_up (void **state)
{
  (void) state;
  auto_job struct job job;
  job_init (&job);
  job.job_timeout_ms = 1;
  auto_fold struct fold *fold = fold_with (2, 2, 0);
  assert_null (verdict_give_up (&job, fold, 100));
}

static void
test_cancelled_and_given_up (void **state)
{
  (void) state;
  auto_job struct job job;
  job_init (&job);
  job.min_success = 0;
  auto_fold struct fold *by_user = fold_with (3, 1, 1);
  struct event cancelled = { .kind = EVENT_CANCELLED, .reason = (char *) "enough" };
  (void) fold_apply (by_user, &cancelled);
  auto_verdict struct verdict verdict = verdict_final (&job, by_user);
  assert_int_equal (verdict.state, JOB_CANCELLED);
  assert_string_equal (verdict.reason, "enough");

  auto_fold struct fold *by_limit = fold_with (3, 1, 1);
  cancelled.class_name = (char *) "limit";
  (void) fold_apply (by_limit, &cancelled);
  auto_verdict struct verdict given_up = verdict_final (&job, by_limit);
  assert_int_equal (given_up.state, JOB_FAILED);

  /* Too late: everything had ended. */
  auto_fold struct fold *late = fold_with (2, 2, 0);
  cancelled.class_name = NULL;
  (void) fold_apply (late, &cancelled);
  auto_verdict struct verdict done = verdict_final (&job, late);
  assert_int_equal (done.state, JOB_SUCCEEDED);
}

static void
test_reduce_decides (void **state)
{
  (void) state;
  auto_job struct job job;
  job_init (&job);
  job.reduce_image = xstrdup ("image");
  auto_fold struct fold *fold = fold_with (2, 2, 0);
  auto_verdict struct verdict before = verdict_final (&job, fold);
  assert_int_equal (before.state, JOB_FAILED);
  finish (fold, 2, OUTCOME_SUCCEEDED, SHARD_REDUCE);
  auto_verdict struct verdict after = verdict_final (&job, fold);
  assert_int_equal (after.state, JOB_SUCCEEDED);

  auto_fold struct fold *failing = fold_with (2, 2, 0);
  finish (failing, 2, OUTCOME_OOM, SHARD_REDUCE);
  auto_verdict struct verdict failed = verdict_final (&job, failing);
  assert_int_equal (failed.state, JOB_FAILED);
  assert_non_null (strstr (failed.reason, "oom"));
}

static void
test_a_job_that_was_not_planned (void **state)
{
  (void) state;
  auto_job struct job job;
  job_init (&job);
  auto_fold struct fold *fold = fold_new ();
  struct event event = { .kind = EVENT_FAILED, .reason = (char *) "no match" };
  (void) fold_apply (fold, &event);
  assert_true (fold_settled (fold, false));
  auto_verdict struct verdict verdict = verdict_final (&job, fold);
  assert_int_equal (verdict.state, JOB_FAILED);
  assert_string_equal (verdict.reason, "no match");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_min_success),
    cmocka_unit_test (test_quarantined_inputs),
    cmocka_unit_test (test_a_pilot_that_failed),
    cmocka_unit_test (test_a_pilot_that_passed),
    cmocka_unit_test (test_the_shards_of_a_pilot),
    cmocka_unit_test (test_giving_up),
    cmocka_unit_test (test_settled_jobs_are_not_given_up),
    cmocka_unit_test (test_cancelled_and_given_up),
    cmocka_unit_test (test_reduce_decides),
    cmocka_unit_test (test_a_job_that_was_not_planned),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
