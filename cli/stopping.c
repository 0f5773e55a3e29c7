#include "cli/stopping.h"

#include "common/units.h"

#include <stdlib.h>
#include <string.h>

enum
{
  DEFAULT_MS = 25000,
  RESERVE_MS = 5000, /* for killing the containers, and giving back */
};

int
stopping_parse (const char *text, int64_t *ms, struct error *err)
{
  if (strcmp (text, "unlimited") == 0)
    {
      *ms = STOPPING_UNLIMITED;
      return 0;
    }
  if (units_parse_duration (text, ms, err) == 0)
    return 0;
  return error_set (err, ERROR_USER, "\"%s\" is neither a duration (30s, 10m) nor \"unlimited\"",
                    text);
}

int
stopping_default (int64_t *ms, struct error *err)
{
  const char *grace = getenv ("SHOAL_STOP_GRACE");
  *ms = DEFAULT_MS;
  if (grace == NULL || grace[0] == '\0')
    return 0;
  int64_t given = 0;
  if (stopping_parse (grace, &given, err) != 0)
    return error_wrap (err, "SHOAL_STOP_GRACE");
  *ms = given > (int64_t) 2 * RESERVE_MS ? given - RESERVE_MS : given / 2;
  if (given == STOPPING_UNLIMITED)
    *ms = STOPPING_UNLIMITED;
  return 0;
}
