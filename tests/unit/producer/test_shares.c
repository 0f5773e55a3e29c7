/* How large the windows of jobs are beside each other. */
#include "producer/shares.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct job_settings
of_priority (int32_t priority)
{
  return (struct job_settings){ .priority = priority, .max_parallel = -1 };
}

static void
steps_make_shares (void **state)
{
  (void) state;
  const struct
  {
    int32_t priority;
    int64_t window;
  } shares[] = { { 5, 200 }, { 4, 160 }, { 2, 102 }, { 0, 66 }, { -5, 21 }, { -10, 7 } };
  for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++)
    {
      const struct job_settings job = of_priority (shares[i].priority);
      assert_int_equal (shares_window (200, &job, 5), shares[i].window);
    }
}

/* The whole window is for the highest there is, whatever its number. */
static void
a_job_alone_has_the_whole_window (void **state)
{
  (void) state;
  for (int32_t priority = -10; priority <= 10; priority++)
    {
      const struct job_settings job = of_priority (priority);
      assert_int_equal (shares_window (200, &job, priority), 200);
      assert_int_equal (shares_window (200, &job, INT32_MIN), 200);
      assert_int_equal (shares_window (200, &job, -10), 200);
    }
}

static void
no_job_starves (void **state)
{
  (void) state;
  const struct job_settings least = of_priority (-10);
  for (int64_t window = 1; window < 100; window++)
    assert_true (shares_window (window, &least, 10) >= 1);
}

static void
a_limit_is_kept (void **state)
{
  (void) state;
  struct job_settings job = of_priority (0);
  assert_int_equal (shares_window (0, &job, 0), 0);
  for (job.max_parallel = 1; job.max_parallel < 300; job.max_parallel++)
    for (int32_t top = -10; top <= 10; top++)
      {
        assert_true (shares_window (200, &job, top) <= job.max_parallel);
        assert_int_equal (shares_window (0, &job, top), job.max_parallel);
      }
}

/* Others don't give way to what can't take their place. */
static void
who_cannot_use_the_slots_leads_nobody (void **state)
{
  (void) state;
  struct job_settings job = of_priority (10);
  assert_true (shares_leads (200, &job));
  job.max_parallel = 200;
  assert_true (shares_leads (200, &job));
  job.max_parallel = 199;
  assert_false (shares_leads (200, &job));
  job.max_parallel = -1;
  job.paused = true;
  assert_false (shares_leads (200, &job));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (steps_make_shares),
    cmocka_unit_test (a_job_alone_has_the_whole_window),
    cmocka_unit_test (no_job_starves),
    cmocka_unit_test (a_limit_is_kept),
    cmocka_unit_test (who_cannot_use_the_slots_leads_nobody),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
