#include "common/signals.h"

#include "common/units.h"

#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

/* "RTMIN", "RTMIN+3", "RTMAX-1"; -1 if NAME is none. */
static int
real_time_signal (const char *name)
{
  bool low = strncasecmp (name, "RTMIN", 5) == 0;
  int64_t away = 0;
  if ((!low && strncasecmp (name, "RTMAX", 5) != 0)
      || (name[5] != '\0' && name[5] != (low ? '+' : '-'))
      || (name[5] != '\0'
          && units_parse_number (name + 6, 0, SIGRTMAX - SIGRTMIN, &away, NULL) != 0))
    return -1;
  return low ? SIGRTMIN + (int) away : SIGRTMAX - (int) away;
}

static int
named_signal (const char *name)
{
  for (int number = 1; number < SIGRTMIN; number++)
    {
      const char *known = sigabbrev_np (number);
      if (known != NULL && strcasecmp (known, name) == 0)
        return number;
    }
  return real_time_signal (name);
}

int
signal_parse (const char *text, struct error *err)
{
  int64_t number = 0;
  int found = -1;
  if (strspn (text, "0123456789") == strlen (text))
    found = units_parse_number (text, 1, SIGRTMAX, &number, NULL) == 0 ? (int) number : -1;
  else
    found = named_signal (strncasecmp (text, "SIG", 3) == 0 ? text + 3 : text);
  if (found > 0)
    return found;
  return error_set (err, ERROR_USER, "\"%.100s\" isn't a signal: expected a name or 1 to %d", text,
                    SIGRTMAX);
}

bool
signal_is_ignored (int number)
{
  struct sigaction action;
  return sigaction (number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}
