/* What follows an attempt. */
#include "worker/retry.h"

#include "common/memory.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static const struct retry_limits limits = { .max_infra = 5, .backoff_ms = 1000 };
static const int64_t now = 1000000;

static struct shard
new_shard (uint32_t attempt, uint32_t failures, uint32_t infra)
{
  return (struct shard){ .job_id = xstrdup ("j"),
                         .generation = 1,
                         .index = 7,
                         .count = -1,
                         .attempt = attempt,
                         .failures = failures,
                         .infra = infra,
                         .plan_offset = -1,
                         .plan_length = -1 };
}

/* Whether an attempt that ended so is followed by another, as retry_decide says. */
static bool
is_retried (const struct job *job, enum outcome outcome, int32_t exit_code, uint32_t failures,
            uint32_t infra, struct shard *retry)
{
  auto_shard struct shard shard = new_shard (1 + failures + infra, failures, infra);
  struct attempt_report report = { .outcome = outcome, .exit_code = exit_code };
  bool again = retry_decide (job, &shard, &limits, now, &report, retry);
  assert_int_equal (again, !report.final);
  return again;
}

static void
test_success_and_cancel_are_final (void **state)
{
  (void) state;
  auto_job struct job job = { 0 };
  job_init (&job);
  auto_shard struct shard retry = { 0 };
  assert_false (is_retried (&job, OUTCOME_SUCCEEDED, 0, 0, 0, &retry));
  assert_false (is_retried (&job, OUTCOME_CANCELLED, 143, 0, 0, &retry));
  assert_null (retry.job_id);
}

static void
test_failures_are_counted (void **state)
{
  (void) state;
  auto_job struct job job = { 0 };
  job_init (&job);
  job.retries = 2;
  static const enum outcome counted[] = { OUTCOME_FAILED, OUTCOME_OOM, OUTCOME_TIMEOUT };
  for (size_t i = 0; i < 3; i++)
    {
      auto_shard struct shard first = { 0 };
      auto_shard struct shard second = { 0 };
      auto_shard struct shard third = { 0 };
      assert_true (is_retried (&job, counted[i], 1, 0, 0, &first));
      assert_int_equal (first.attempt, 2);
      assert_int_equal (first.failures, 1);
      assert_int_equal (first.infra, 0);
      assert_true (first.not_before > now);
      assert_true (is_retried (&job, counted[i], 1, 1, 0, &second));
      assert_false (is_retried (&job, counted[i], 1, 2, 0, &third));
    }
}

static void
test_infra_uses_up_no_retry_but_is_bounded (void **state)
{
  (void) state;
  auto_job struct job job = { 0 };
  job_init (&job);
  job.retries = 0;
  auto_shard struct shard retry = { 0 };
  assert_true (is_retried (&job, OUTCOME_INFRA, -1, 0, 0, &retry));
  assert_int_equal (retry.failures, 0);
  assert_int_equal (retry.infra, 1);
  for (uint32_t infra = 1; infra < 5; infra++)
    {
      auto_shard struct shard again = { 0 };
      assert_true (is_retried (&job, OUTCOME_INFRA, -1, 0, infra, &again));
    }
  auto_shard struct shard last = { 0 };
  assert_false (is_retried (&job, OUTCOME_INFRA, -1, 0, 5, &last));
  auto_shard struct shard failed = { 0 };
  assert_false (is_retried (&job, OUTCOME_FAILED, 1, 0, 3, &failed));
}

static void
test_some_failures_are_never_retried (void **state)
{
  (void) state;
  auto_job struct job job = { 0 };
  job_init (&job);
  job.fail_on.has[42] = true;
  auto_shard struct shard retry = { 0 };
  assert_false (is_retried (&job, OUTCOME_FAILED, 42, 0, 0, &retry));
  assert_false (is_retried (&job, OUTCOME_FAILED, -1, 0, 0, &retry)); /* it couldn't even start */
  assert_true (is_retried (&job, OUTCOME_FAILED, 43, 0, 0, &retry));
}

static void
test_success_codes (void **state)
{
  (void) state;
  auto_job struct job job = { 0 };
  job_init (&job);
  job.success_codes.has[3] = true;
  assert_true (retry_is_success (&job, 0));
  assert_true (retry_is_success (&job, 3));
  assert_false (retry_is_success (&job, 1));
  assert_false (retry_is_success (&job, -1));
  assert_false (retry_is_success (&job, 256 + 3));
}

/* For random shards: a half to the whole of the doubled backoff, never above the maximum, always
 * the same. */
static void
test_delay_properties (void **state)
{
  (void) state;
  unsigned int seed = seed_of_test ();
  int64_t spread_low = INT64_MAX;
  int64_t spread_high = 0;
  for (int i = 0; i < 10000; i++)
    {
      struct shard shard = { .job_id = "job",
                             .generation = 1 + (uint32_t) rand_r (&seed) % 3,
                             .index = (uint32_t) rand_r (&seed),
                             .attempt = 1 + (uint32_t) rand_r (&seed) % 10 };
      uint32_t nth = 1 + (uint32_t) rand_r (&seed) % 40;
      int64_t full = nth > 7 ? 60000 : (int64_t) 1000 << (nth - 1);
      full = full > 60000 ? 60000 : full;
      int64_t delay = retry_delay (&shard, nth, 1000);
      assert_in_range (delay, full / 2, full);
      assert_int_equal (delay, retry_delay (&shard, nth, 1000));
      if (nth == 1)
        {
          spread_low = delay < spread_low ? delay : spread_low;
          spread_high = delay > spread_high ? delay : spread_high;
        }
    }
  assert_true (spread_high - spread_low > 300); /* those that failed together come back apart */
}

static void
test_memory_grows_after_oom (void **state)
{
  (void) state;
  auto_job struct job job = { 0 };
  job_init (&job);
  job.memory = 100 << 20;
  auto_shard struct shard unchanged = { 0 };
  assert_true (is_retried (&job, OUTCOME_OOM, 137, 0, 0, &unchanged));
  assert_true (unchanged.memory <= 0); /* the job's */
  job.retry_memory = 150;
  job.retry_memory_max = 200 << 20;
  auto_shard struct shard other = { 0 };
  assert_true (is_retried (&job, OUTCOME_FAILED, 1, 0, 0, &other));
  assert_true (other.memory <= 0);
  auto_shard struct shard first = { 0 };
  assert_true (is_retried (&job, OUTCOME_OOM, 137, 0, 0, &first));
  assert_int_equal (first.memory, 150 << 20);
  struct attempt_report report = { .outcome = OUTCOME_OOM, .exit_code = 137 };
  auto_shard struct shard second = { 0 };
  assert_true (retry_decide (&job, &first, &limits, now, &report, &second));
  assert_int_equal (second.memory, 200 << 20); /* the ceiling */
  job.retry_memory_max = -1;
  assert_int_equal (job_memory_most (&job), (int64_t) 800 << 20);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_success_and_cancel_are_final),
    cmocka_unit_test (test_failures_are_counted),
    cmocka_unit_test (test_infra_uses_up_no_retry_but_is_bounded),
    cmocka_unit_test (test_some_failures_are_never_retried),
    cmocka_unit_test (test_success_codes),
    cmocka_unit_test (test_memory_grows_after_oom),
    cmocka_unit_test (test_delay_properties),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
