#include "storage/web/zones.h"

#include "common/memory.h"

#include <time.h>

enum
{
  ZONE_STEP = 15 * 60, /* seconds that zones differ by */
  ZONE_MAX = 14 * 3600,
  ZONE_UNKNOWN = ZONE_MAX + 1,
  MISSES_MAX = 16,
  DAY = 24 * 3600,
  HALVES = 1 << 20, /* added to half years, which days don't reach for 2,800 years */
};

void
web_zones_release (struct web_zones *zones)
{
  free (zones->zones);
  *zones = (struct web_zones){ 0 };
}

/* What a zone that is learned from a file of this CLOCK holds for; -1: for nothing else. */
static int64_t
zones_when (int64_t clock)
{
  struct tm tm;
  time_t time = (time_t) clock;
  if (gmtime_r (&time, &tm) == NULL)
    return -1;
  int day = (tm.tm_mon + 1) * 100 + tm.tm_mday; /* 308: the eighth of March */
  bool changing = (day >= 308 && day < 408) || (day >= 920 && day < 1108);
  if (changing)
    return tm.tm_wday == 0 ? -1 : clock / DAY;
  bool summer = day >= 408 && day < 920;
  return HALVES + (int64_t) (tm.tm_year + (day >= 1108)) * 2 + summer;
}

/* The shift that the file URL tells, which was listed with TIME. False: it tells nothing. */
static bool
zones_ask (const struct web *web, struct http *http, const struct index_time *time, const char *url,
           int64_t *shift)
{
  auto_web_peek struct web_peek peek = { .url = url, .listed = true };
  *shift = ZONE_UNKNOWN;
  if (web_probe (web, http, &peek, NULL) != 0 || !peek.told || peek.folder)
    return false;
  if (peek.modified < 0)
    return true;
  int64_t found = time->minutes ? peek.modified - peek.modified % 60 - time->clock
                                : peek.modified - time->clock;
  if (found % ZONE_STEP == 0 && found <= ZONE_MAX && found >= -ZONE_MAX)
    *shift = found;
  return true;
}

static int64_t
zones_shift (struct web_zones *zones, const struct web *web, struct http *http,
             const struct index_time *time, const char *url)
{
  int64_t when = zones_when (time->clock);
  int64_t shift = ZONE_UNKNOWN;
  if (when < 0)
    return shift;
  for (size_t i = 0; i < zones->count; i++)
    if (zones->zones[i].when == when)
      return zones->zones[i].shift;
  if (!zones_ask (web, http, time, url, &shift) && ++zones->misses < MISSES_MAX)
    return shift;
  if (zones->count == zones->capacity)
    {
      zones->capacity = zones->capacity == 0 ? 8 : 2 * zones->capacity;
      zones->zones = xrealloc (zones->zones, zones->capacity, sizeof *zones->zones);
    }
  zones->zones[zones->count++] = (struct web_zone){ when, shift };
  return shift;
}

char *
web_zones_version (struct web_zones *zones, const struct web *web, struct http *http,
                   const struct index_time *time, const char *url)
{
  if (time->clock < 0)
    return NULL;
  int64_t shift = time->utc ? 0 : zones_shift (zones, web, http, time, url);
  if (shift == ZONE_UNKNOWN)
    return NULL;
  long long then = (long long) time->clock + shift;
  return time->minutes ? xasprintf ("minute %lld", then / 60) : xasprintf ("modified %lld", then);
}
