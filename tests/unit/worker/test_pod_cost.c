/* When a pod's cost is told: busy at once, idle after a while, never twice in ten seconds. */
#include "worker/pod_cost.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NEVER INT64_MAX

static void
what_is_known_is_not_told (void **state)
{
  (void) state;
  const struct pod_cost_plan idle = { .busy = false, .since = 5000, .told = 0 };
  const struct pod_cost_plan busy = { .busy = true, .since = 5000, .told = 1 };
  assert_int_equal (pod_cost_plan_due (&idle), NEVER);
  assert_int_equal (pod_cost_plan_due (&busy), NEVER);
}

static void
busy_is_told_at_once_and_idle_when_it_lasts (void **state)
{
  (void) state;
  const struct pod_cost_plan busy = { .busy = true, .since = 50000, .told = 0 };
  const struct pod_cost_plan idle = { .busy = false, .since = 50000, .told = 1 };
  const struct pod_cost_plan fresh = { .busy = false, .since = 50000, .told = -1 };
  assert_int_equal (pod_cost_plan_due (&busy), 50000);
  assert_int_equal (pod_cost_plan_due (&idle), 60000);
  assert_int_equal (pod_cost_plan_due (&fresh), 60000);
}

static void
requests_are_ten_seconds_apart (void **state)
{
  (void) state;
  const struct pod_cost_plan busy = { .busy = true, .since = 50000, .told = 0, .asked = 45000 };
  const struct pod_cost_plan idle = { .busy = false, .since = 50000, .told = 1, .asked = 49000 };
  assert_int_equal (pod_cost_plan_due (&busy), 55000);
  assert_int_equal (pod_cost_plan_due (&idle), 60000);
}

static void
failures_make_it_rarer (void **state)
{
  (void) state;
  static const int64_t pauses[] = { 10000, 20000, 40000, 80000, 160000, 320000, 320000 };
  for (int i = 0; i < (int) (sizeof pauses / sizeof *pauses); i++)
    {
      const struct pod_cost_plan plan = {
        .busy = true, .since = 1, .told = -1, .asked = 1000, .failures = i
      };
      assert_int_equal (pod_cost_plan_due (&plan), 1000 + pauses[i]);
    }
}

/* Shards of a second with a second between them, for ten minutes: told once that it is busy. */
static void
short_pauses_are_not_told (void **state)
{
  (void) state;
  struct pod_cost_plan plan = { .since = 1, .told = -1 };
  int requests = 0;
  int64_t last = 0;
  for (int64_t now = 1000; now < 660000; now += 100)
    {
      bool busy = now < 600000 && now / 1000 % 2 == 0;
      if (busy != plan.busy)
        plan.since = now;
      plan.busy = busy;
      if (pod_cost_plan_due (&plan) > now)
        continue;
      assert_true (requests == 0 || now - last >= 10000);
      plan.told = busy ? 1 : 0;
      plan.asked = last = now;
      requests++;
    }
  assert_int_equal (requests, 2);
  assert_int_equal (plan.told, 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (what_is_known_is_not_told),
    cmocka_unit_test (busy_is_told_at_once_and_idle_when_it_lasts),
    cmocka_unit_test (requests_are_ten_seconds_apart),
    cmocka_unit_test (failures_make_it_rarer),
    cmocka_unit_test (short_pauses_are_not_told),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
