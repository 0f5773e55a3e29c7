/* How many processors a worker may use. */
#include "worker/cpus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>

static void
a_quota_is_read (void **state)
{
  (void) state;
  assert_int_equal (cpus_of_max ("50000 100000\n"), 500);
  assert_int_equal (cpus_of_max ("150000 100000\n"), 1500);
  assert_int_equal (cpus_of_max ("max 100000\n"), -1);
  assert_int_equal (cpus_of_max (""), -1);
  assert_int_equal (cpus_of_max ("5"), -1);
  assert_int_equal (cpus_of_max ("5 0"), -1);
  assert_int_equal (cpus_of_max ("-5 100000"), -1);
}

static void
one_processor_is_one (void **state)
{
  (void) state;
  const char *why = NULL;
  cpu_set_t before;
  cpu_set_t one;
  assert_int_equal (sched_getaffinity (0, sizeof before, &before), 0);
  int all = CPU_COUNT (&before);
  assert_in_range (cpus_usable (&why), 1, all);
  CPU_ZERO (&one);
  for (size_t i = 0; CPU_COUNT (&one) == 0; i++)
    if (CPU_ISSET (i, &before))
      CPU_SET (i, &one);
  assert_int_equal (sched_setaffinity (0, sizeof one, &one), 0);
  assert_int_equal (cpus_usable (&why), 1);
  if (all > 1)
    assert_string_equal (why, "affinity");
  assert_int_equal (sched_setaffinity (0, sizeof before, &before), 0);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (a_quota_is_read),
    cmocka_unit_test (one_processor_is_one),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
