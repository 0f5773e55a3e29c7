#include "storage/file_time.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum
{
  SECONDS_DIGITS = 11, /* until the year 5138 */
  FRACTION_DIGITS = 9,
};

const char *
file_time_format (const struct timespec *time, char text[static FILE_TIME_SIZE])
{
  text[0] = '\0';
  if (time->tv_sec >= 0)
    (void) snprintf (text, FILE_TIME_SIZE, "%lld.%09ld", (long long) time->tv_sec, time->tv_nsec);
  return text;
}

bool
file_time_parse (const char *text, struct timespec *time)
{
  static const char digits[] = "0123456789";
  size_t seconds = strspn (text, digits);
  const char *fraction = text[seconds] == '.' ? text + seconds + 1 : text + seconds;
  size_t places = strspn (fraction, digits);
  if (seconds == 0 || seconds > SECONDS_DIGITS || places > FRACTION_DIGITS
      || fraction[places] != '\0' || (text[seconds] == '.' && places == 0))
    return false;
  char padded[FRACTION_DIGITS + 1] = "000000000";
  memcpy (padded, fraction, places);
  *time =
      (struct timespec){ .tv_sec = strtoll (text, NULL, 10), .tv_nsec = strtol (padded, NULL, 10) };
  return true;
}
