/* Extents against a byte for each byte. */
#include "storage/extents.h"

#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>

enum
{
  SIZE = 200,
};

static void
check_extents (const struct extents *extents, const bool *there)
{
  size_t known = 0;
  for (int64_t at = 0; at < SIZE; at++)
    if (there[at] && (at == 0 || !there[at - 1]))
      {
        int64_t end = at;
        while (end < SIZE && there[end])
          end++;
        assert_true (known < extents->count);
        assert_int_equal (extents->items[known].from, at);
        assert_int_equal (extents->items[known].end, end);
        known++;
      }
  assert_int_equal (known, extents->count);
}

static void
they_are_what_was_added_and_not_removed (void **state)
{
  (void) state;
  for (int round = 0; round < 300; round++)
    {
      bool there[SIZE] = { false };
      struct extents extents = { 0 };
      for (int step = 0; step < 100; step++)
        {
          int64_t from = rand () % SIZE, end = from + 1 + rand () % 20;
          const struct extent some = { from, end < SIZE ? end : SIZE };
          bool add = rand () % 4 != 0;
          for (int64_t at = some.from; at < some.end; at++)
            there[at] = add;
          if (add)
            {
              struct extent whole = extents_add (&extents, some);
              assert_true (whole.from <= some.from && whole.end >= some.end);
              assert_true (whole.from == 0 || !there[whole.from - 1]);
              assert_true (whole.end == SIZE || !there[whole.end]);
            }
          else
            extents_remove (&extents, some);
          check_extents (&extents, there);
        }
      extents_release (&extents);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = { cmocka_unit_test (they_are_what_was_added_and_not_removed) };
  srand (seed_of_test ());
  return cmocka_run_group_tests (tests, NULL, NULL);
}
