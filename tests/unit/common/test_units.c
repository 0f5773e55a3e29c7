/* Numbers as people write them: what is accepted, what it means, what is refused. */
#include "common/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void
sizes_are_powers_of_1024 (void **state)
{
  (void) state;
  static const struct
  {
    const char *text;
    int64_t bytes;
  } good[] = { { "1", 1 },
               { "10b", 10 },
               { "512k", 512 << 10 },
               { "1.5g", 1610612736 },
               { "2GiB", 2147483648 },
               { "3MB", 3 << 20 },
               { "0.001k", 1 } };
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
    {
      int64_t bytes = 0;
      assert_int_equal (units_parse_size (good[i].text, &bytes, NULL), 0);
      assert_int_equal (bytes, good[i].bytes);
    }
}

static void
bad_sizes_are_refused_by_name (void **state)
{
  (void) state;
  static const char *const bad[] = {
    "", "0", "-1", "k", "1x", "1kk", "1 k", "1ki", "9999999999999g", "0.0001", ".", "1e3"
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    {
      int64_t bytes = 0;
      struct error err = ERROR_INIT;
      assert_int_equal (units_parse_size (bad[i], &bytes, &err), -1);
      assert_int_equal (err.class, ERROR_USER);
      assert_non_null (strstr (err.message, bad[i]));
    }
}

static void
durations_add_up (void **state)
{
  (void) state;
  static const struct
  {
    const char *text;
    int64_t ms;
  } good[] = { { "30", 30000 },      { "250ms", 250 },    { "1.5s", 1500 },  { "5m", 300000 },
               { "1h30m", 5400000 }, { "2d", 172800000 }, { "1m1ms", 60001 } };
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
    {
      int64_t ms = 0;
      assert_int_equal (units_parse_duration (good[i].text, &ms, NULL), 0);
      assert_int_equal (ms, good[i].ms);
    }
  static const char *const bad[] = { "", "0", "0s", "s", "-5", "5x", "1h-", "99999999999999d" };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    {
      int64_t ms = 0;
      assert_int_equal (units_parse_duration (bad[i], &ms, NULL), -1);
    }
}

static void
numbers_keep_their_range (void **state)
{
  (void) state;
  int64_t number = 0;
  assert_int_equal (units_parse_number ("-3", -5, 5, &number, NULL), 0);
  assert_int_equal (number, -3);
  static const char *const bad[] = { "",   "-",  "6",  "-6",  "1.0",
                                     "1 ", " 1", "+1", "0x1", "99999999999999999999" };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_int_equal (units_parse_number (bad[i], -5, 5, &number, NULL), -1);
}

static void
percentages_are_basis_points (void **state)
{
  (void) state;
  int32_t points = 0;
  assert_int_equal (units_parse_percent ("95%", &points, NULL), 0);
  assert_int_equal (points, 9500);
  assert_int_equal (units_parse_percent ("99.95%", &points, NULL), 0);
  assert_int_equal (points, 9995);
  assert_int_equal (units_parse_percent ("100%", &points, NULL), 0);
  assert_int_equal (points, 10000);
  static const char *const bad[] = { "95", "%", "101%", "-1%", "1%%" };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_int_equal (units_parse_percent (bad[i], &points, NULL), -1);
}

static void
factors_are_hundredths (void **state)
{
  (void) state;
  int32_t hundredths = 0;
  assert_int_equal (units_parse_factor ("2x", &hundredths, NULL), 0);
  assert_int_equal (hundredths, 200);
  assert_int_equal (units_parse_factor ("1.5x", &hundredths, NULL), 0);
  assert_int_equal (hundredths, 150);
  static const char *const wrong[] = { "2", "x", "1x", "0.5x", "101x", "2xx", "-2x", "" };
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    assert_int_equal (units_parse_factor (wrong[i], &hundredths, NULL), -1);
}

static void
cpus_are_thousandths (void **state)
{
  (void) state;
  int32_t milli = 0;
  assert_int_equal (units_parse_cpus ("1.5", &milli, NULL), 0);
  assert_int_equal (milli, 1500);
  assert_int_equal (units_parse_cpus ("0", &milli, NULL), -1);
  assert_int_equal (units_parse_cpus ("0.0001", &milli, NULL), -1);
  assert_int_equal (units_parse_cpus ("two", &milli, NULL), -1);
}

static void
codes_are_lists_of_ranges (void **state)
{
  (void) state;
  struct codes codes = { 0 };
  assert_int_equal (units_parse_codes ("1,3-5,255", &codes, NULL), 0);
  for (int code = 0; code < 256; code++)
    assert_int_equal (codes.has[code], code == 1 || (code >= 3 && code <= 5) || code == 255);
  static const char *const bad[] = { "", ",", "1,", "256", "5-3", "1-", "a", "1-2-3", "-1" };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_int_equal (units_parse_codes (bad[i], &codes, NULL), -1);
}

static void
formats_read_well (void **state)
{
  (void) state;
  char text[UNITS_TEXT_SIZE];
  assert_string_equal (units_format_size (0, text), "0 B");
  assert_string_equal (units_format_size (1536, text), "1.5 KiB");
  assert_string_equal (units_format_duration (850, text), "850ms");
  assert_string_equal (units_format_duration (3200, text), "3.2s");
  assert_string_equal (units_format_duration (307000, text), "5m07s");
  assert_string_equal (units_format_duration (7380000, text), "2h03m");
  assert_string_equal (units_format_duration (100800000, text), "1d04h");
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (sizes_are_powers_of_1024),
    cmocka_unit_test (bad_sizes_are_refused_by_name),
    cmocka_unit_test (durations_add_up),
    cmocka_unit_test (numbers_keep_their_range),
    cmocka_unit_test (percentages_are_basis_points),
    cmocka_unit_test (cpus_are_thousandths),
    cmocka_unit_test (factors_are_hundredths),
    cmocka_unit_test (codes_are_lists_of_ranges),
    cmocka_unit_test (formats_read_well),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
