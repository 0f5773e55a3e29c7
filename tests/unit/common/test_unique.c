/* Names that nobody else makes. */
#include "common/auto.h"
#include "common/memory.h"
#include "common/unique.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <regex.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum
{
  IDS = 20000,
  THREADS = 8,
};

static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

static int
by_text (const void *left, const void *right)
{
  return strcmp (*(char *const *) left, *(char *const *) right);
}

static void
expect_distinct (char **names, size_t count)
{
  qsort (names, count, sizeof *names, by_text);
  for (size_t i = 1; i < count; i++)
    assert_string_not_equal (names[i - 1], names[i]);
}

static void
free_all (char **names, size_t count)
{
  for (size_t i = 0; i < count; i++)
    free (names[i]);
}

static void
ids_sort_as_they_were_made (void **state)
{
  (void) state;
  static char *ids[IDS];
  for (size_t i = 0; i < IDS; i++)
    ids[i] = unique_id ();
  for (size_t i = 1; i < IDS; i++)
    if (strcmp (ids[i - 1], ids[i]) >= 0)
      fail_msg ("%s was made after %s", ids[i], ids[i - 1]);
  regex_t form;
  assert_int_equal (regcomp (&form, "^2[0-9]{7}-[0-9]{6}-[0-9a-hjkmnp-tv-z]{20}$", REG_EXTENDED),
                    0);
  for (size_t i = 0; i < IDS; i++)
    assert_int_equal (regexec (&form, ids[i], 0, NULL, 0), 0);
  regfree (&form);
  free_all (ids, IDS);
}

static void *
make_ids (void *context)
{
  char **ids = context;
  for (size_t i = 0; i < IDS; i++)
    ids[i] = unique_id ();
  return NULL;
}

static void
ids_made_at_once_differ (void **state)
{
  (void) state;
  static char *ids[THREADS * IDS];
  pthread_t threads[THREADS];
  for (size_t i = 0; i < THREADS; i++)
    assert_int_equal (pthread_create (&threads[i], NULL, make_ids, ids + i * IDS), 0);
  for (size_t i = 0; i < THREADS; i++)
    assert_int_equal (pthread_join (threads[i], NULL), 0);
  expect_distinct (ids, THREADS * IDS);
  free_all (ids, THREADS * IDS);
}

/* Without the time, which tells ids of one moment apart by luck: every digit is random, and none
 * repeats another. */
static void
every_digit_is_random (void **state)
{
  (void) state;
  static char *names[2 * IDS];
  uint32_t seen[2][UNIQUE_SIZE] = { { 0 } };
  for (size_t i = 0; i < IDS; i++)
    {
      char text[UNIQUE_SIZE];
      names[i] = xstrdup (unique_text (text));
      auto_free char *id = unique_id ();
      names[IDS + i] = xstrdup (id + strlen (id) - 14);
      for (int kind = 0; kind < 2; kind++)
        {
          const char *name = names[kind * IDS + (int) i];
          for (size_t at = 0; name[at] != '\0'; at++)
            seen[kind][at] |= UINT32_C (1) << (strchr (digits, name[at]) - digits);
        }
    }
  for (size_t at = 0; at < UNIQUE_SIZE - 1; at++)
    assert_int_equal (seen[0][at], UINT32_MAX);
  for (size_t at = 0; at < 14; at++)
    assert_int_equal (seen[1][at], UINT32_MAX);
  expect_distinct (names, 2 * IDS);
  free_all (names, 2 * IDS);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (ids_sort_as_they_were_made),
    cmocka_unit_test (ids_made_at_once_differ),
    cmocka_unit_test (every_digit_is_random),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
