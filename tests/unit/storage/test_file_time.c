/* A file's time as text: there and back, and what isn't one. */
#include "storage/file_time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
a_time_is_the_same_there_and_back (void **state)
{
  (void) state;
  char text[FILE_TIME_SIZE];
  struct timespec time = { 0 };
  const struct timespec some = { .tv_sec = 1354040105, .tv_nsec = 1234 };
  assert_string_equal (file_time_format (&some, text), "1354040105.000001234");
  assert_true (file_time_parse (text, &time));
  assert_int_equal (time.tv_sec, some.tv_sec);
  assert_int_equal (time.tv_nsec, some.tv_nsec);
  const struct timespec before = { .tv_sec = -1, .tv_nsec = 5 };
  assert_string_equal (file_time_format (&before, text), "");
}

static void
others_write_fewer_digits (void **state)
{
  (void) state;
  struct timespec time = { 0 };
  assert_true (file_time_parse ("0", &time));
  assert_int_equal (time.tv_sec, 0);
  assert_int_equal (time.tv_nsec, 0);
  assert_true (file_time_parse ("17.5", &time));
  assert_int_equal (time.tv_sec, 17);
  assert_int_equal (time.tv_nsec, 500000000);
}

static void
anything_else_is_no_time (void **state)
{
  (void) state;
  static const char *const texts[] = { "",    ".5",      "5.",         "-1",   "+1",
                                       " 1",  "1 ",      "1e3",        "1,5",  "1.0000000001",
                                       "1.x", "0x10",    "1.5.5",      "1.-5", "999999999999",
                                       "nan", "2012-06", "12:00:00.5", "1\n2" };
  struct timespec time = { 0 };
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    if (file_time_parse (texts[i], &time))
      fail_msg ("\"%s\" is taken for a time", texts[i]);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (a_time_is_the_same_there_and_back),
    cmocka_unit_test (others_write_fewer_digits),
    cmocka_unit_test (anything_else_is_no_time),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
