/* Signals by name, as docker takes them. */
#include "common/signals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>

static void
names_and_numbers_are_signals (void **state)
{
  (void) state;
  const struct
  {
    const char *text;
    int number;
  } good[] = {
    { "SIGTERM", SIGTERM },
    { "term", SIGTERM },
    { "sigusr1", SIGUSR1 },
    { "9", SIGKILL },
    { "64", SIGRTMAX },
    { "SIGRTMIN", SIGRTMIN },
    { "SIGRTMIN+3", SIGRTMIN + 3 },
    { "rtmax-1", SIGRTMAX - 1 },
  };
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
    assert_int_equal (signal_parse (good[i].text, NULL), good[i].number);
}

static void
what_is_no_signal_is_refused (void **state)
{
  (void) state;
  static const char *const bad[] = { "",       "0",        "65",       "-1",      "+1", "SIG",
                                     "SIGSIG", "TERMINAL", "RTMIN-1",  "RTMIN+x", "1x", " 9",
                                     "RTMIN+", "RTMIN+31", "RTMIN+-1", "é" };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    {
      struct error err = ERROR_INIT;
      if (signal_parse (bad[i], &err) != -1)
        fail_msg ("\"%s\" is taken", bad[i]);
      assert_int_equal (err.class, ERROR_USER);
    }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (names_and_numbers_are_signals),
    cmocka_unit_test (what_is_no_signal_is_refused),
  };
  return cmocka_run_group_tests (tests, NULL, NULL);
}
