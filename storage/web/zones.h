/* zones.h — which zone a listing's times are in, learned from files: their Last-Modified is UTC.
 *
 * A zone may have summer time. What one file has told is believed of files of its own half of the
 * year; of March, April, September, October and November, when clocks change, of files of its own
 * day. They change on Sundays: of those days nothing is believed.
 */
#ifndef SHOAL_STORAGE_WEB_ZONES_H
#define SHOAL_STORAGE_WEB_ZONES_H

#include "storage/web/index.h"
#include "storage/web/peek.h"

struct web_zone
{
  int64_t when;  /* the half year, or the day */
  int64_t shift; /* seconds to add to clocks; ZONE_UNKNOWN */
};

struct web_zones
{
  struct web_zone *zones;
  size_t count, capacity;
  int misses; /* files that told nothing */
};

/* The version that TIME, which a listing tells of the file URL, is; NULL: none. May ask for the
 * file. The caller frees. */
char *web_zones_version (struct web_zones *zones, const struct web *web, struct http *http,
                         const struct index_time *time, const char *url);

void web_zones_release (struct web_zones *zones);

#endif
