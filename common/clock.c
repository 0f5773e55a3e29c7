#include "common/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t
read_us (clockid_t id)
{
  struct timespec now = { 0 };
  (void) clock_gettime (id, &now);
  return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t
clock_wall_ms (void)
{
  return read_us (CLOCK_REALTIME) / 1000;
}

int64_t
clock_boot_us (void)
{
  return read_us (CLOCK_BOOTTIME);
}

int64_t
clock_boot_ms (void)
{
  return clock_boot_us () / 1000;
}

int64_t
clock_run_ms (void)
{
  return read_us (CLOCK_MONOTONIC) / 1000;
}

const char *
clock_format (int64_t wall_ms, char text[static CLOCK_TEXT_SIZE])
{
  time_t seconds = (time_t) (wall_ms / 1000);
  struct tm utc = { 0 };
  (void) gmtime_r (&seconds, &utc);
  size_t used = strftime (text, CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
  (void) snprintf (text + used, CLOCK_TEXT_SIZE - used, ".%03dZ", (int) (wall_ms % 1000));
  return text;
}
