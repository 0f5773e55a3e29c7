/* Guesses of where a listing will be some pages on. */
#include "storage/s3/guess.h"

#include "common/memory.h"
#include "tests/lib/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

enum
{
  KEYS = 1000,
};

static void
print (char name[static 64], const char *format, uint64_t number)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  (void) snprintf (name, 64, format, number);
#pragma GCC diagnostic pop
}

/* A page of what FORMAT makes of FIRST and numbers STEP apart goes on so: PAGES pages on is what it
 * makes of the number there; or there is no such (not KNOWN). */
static void
expect (const char *format, uint64_t first, uint64_t step, int pages, bool known)
{
  static char names[KEYS][64];
  struct s3_object objects[KEYS] = { 0 };
  const struct s3_page page = { .objects = objects, .count = KEYS };
  char wanted[64];
  for (size_t i = 0; i < KEYS; i++)
    {
      print (names[i], format, first + step * i);
      objects[i].key = names[i];
    }
  const char *last = names[KEYS - 1];
  print (wanted, format, first + step * (KEYS - 1) * (uint64_t) (1 + pages));
  auto_free char *got = s3_guess (&page, last, pages);
  if (known && (got == NULL || strcmp (got, wanted) != 0))
    fail_msg ("behind %s: %s instead of %s", last, got == NULL ? "nothing" : got, wanted);
  if (!known && got != NULL)
    fail_msg ("behind %s: %s", last, got);
}

static void
numbers_go_on_as_they_did (void **state)
{
  (void) state;
  expect ("img_%07lu.jpg", 0, 1, 4, true);
  expect ("img_%07lu.jpg", 123456, 7, 4, true);
  expect ("img_%07lu.jpg", 996, 1, 1,
          true); /* a carry into what all keys of the page had in common */
  expect ("a/b/%08lu", 995000, 1, 8, true);
  expect ("%014lx", 0x1fff0000000000, 0x1000000000, 4, true);
  expect ("%014lX", 0x1fff0000000000, 0x1000000000, 4, true);
  expect ("data/%06lx/x", 0xabc00, 3, 2, true);
}

static void
what_has_no_room_is_not_guessed (void **state)
{
  (void) state;
  expect ("img_%04lu.jpg", 8000, 1, 2, false);
  expect ("%03lx", 0xa00, 1, 3, false);
}

static int
by_text (const void *left, const void *right)
{
  return strcmp (*(char *const *) left, *(char *const *) right);
}

/* Whatever keys are: a guess is behind them, and begins as they do. */
static void
a_guess_is_behind_its_base (void **state)
{
  (void) state;
  int guessed = 0;
  for (int round = 0; guessed < 200 && round < 200000; round++)
    {
      char names[40][24];
      char *sorted[40];
      struct s3_object objects[40] = { 0 };
      size_t count = 1 + (size_t) rand () % 40, same = (size_t) rand () % 10;
      int letters = 1 + rand () % 255;
      for (size_t i = 0; i < count; i++)
        {
          size_t length = same + 1 + (size_t) rand () % (22 - same);
          for (size_t k = 0; k < length; k++)
            names[i][k] = (char) (k < same ? 'p' : 1 + rand () % letters);
          names[i][length] = '\0';
          sorted[i] = names[i];
        }
      qsort (sorted, count, sizeof *sorted, by_text);
      for (size_t i = 0; i < count; i++)
        objects[i].key = sorted[i];
      const struct s3_page page = { .objects = objects, .count = 1 + count / 4 };
      const char *base = sorted[(size_t) rand () % page.count];
      auto_free char *guess = s3_guess (&page, base, 1 + rand () % 5);
      guessed += guess != NULL;
      if (guess != NULL && (strcmp (guess, base) <= 0 || strncmp (guess, base, same) != 0))
        fail_msg ("%s behind %s", guess, base);
    }
  assert_int_equal (guessed,
                    200); /* most of what is drawn has no room: a page goes on where it began */
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (numbers_go_on_as_they_did),
    cmocka_unit_test (what_has_no_room_is_not_guessed),
    cmocka_unit_test (a_guess_is_behind_its_base),
  };
  srand (seed_of_test ());
  return cmocka_run_group_tests (tests, NULL, NULL);
}
