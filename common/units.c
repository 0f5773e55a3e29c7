#include "common/units.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads digits with an optional fraction at *TEXT as thousandths; -1 when there are none or too
 * many. */
static int64_t
read_milli (const char **text)
{
  const char *at = *text;
  int64_t value = 0;
  int digits = 0;
  for (; isdigit ((unsigned char) *at); at++, digits++)
    if (__builtin_mul_overflow (value, 10, &value)
        || __builtin_add_overflow (value, *at - '0', &value))
      return -1;
  if (__builtin_mul_overflow (value, 1000, &value))
    return -1;
  if (*at == '.')
    {
      at++;
      for (int64_t unit = 100; isdigit ((unsigned char) *at); at++, digits++, unit /= 10)
        if (__builtin_add_overflow (value, (*at - '0') * unit, &value))
          return -1;
    }
  *text = at;
  return digits == 0 ? -1 : value;
}

int
units_parse_size (const char *text, int64_t *bytes, struct error *err)
{
  static const char suffixes[] = "bkmgtp";
  const char *at = text;
  int64_t milli = read_milli (&at);
  int shift = 0;
  if (milli > 0 && *at != '\0')
    {
      const char *suffix = strchr (suffixes, tolower ((unsigned char) *at));
      if (suffix == NULL)
        milli = -1;
      else
        shift = (int) (suffix - suffixes) * 10;
      at++;
      if (shift > 0 && strcasecmp (at, "ib") == 0)
        at += 2;
      else if (shift > 0 && strcasecmp (at, "b") == 0)
        at += 1;
    }
  int64_t scaled = 0;
  if (milli <= 0 || *at != '\0' || __builtin_mul_overflow (milli, (int64_t) 1 << shift, &scaled)
      || scaled < 1000)
    return error_set (
        err, ERROR_USER,
        "\"%s\" is not a size: expected a positive number with an optional k, m, g or t, e.g. 512m",
        text);
  *bytes = scaled / 1000;
  return 0;
}

/* Milliseconds in the unit at *TEXT, which moves behind it; 0 when it is none. */
static int64_t
read_time_unit (const char **text)
{
  static const struct
  {
    const char *name;
    int64_t ms;
  } units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 } };
  for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
    {
      size_t length = strlen (units[i].name);
      if (strncmp (*text, units[i].name, length) == 0)
        {
          *text += length;
          return units[i].ms;
        }
    }
  return 0;
}

int
units_parse_duration (const char *text, int64_t *ms, struct error *err)
{
  int64_t total = 0;
  const char *at = text;
  bool good = *at != '\0';
  while (good && *at != '\0')
    {
      int64_t milli = read_milli (&at);
      int64_t unit = *at == '\0' ? 1000 : read_time_unit (&at);
      int64_t part = 0;
      good = milli >= 0 && unit > 0 && !__builtin_mul_overflow (milli, unit, &part)
             && !__builtin_add_overflow (total, part / 1000, &total);
    }
  if (!good || total <= 0)
    return error_set (err, ERROR_USER,
                      "\"%s\" is not a duration: expected e.g. 90s, 5m, 1h30m or 250ms", text);
  *ms = total;
  return 0;
}

int
units_parse_number (const char *text, int64_t min, int64_t max, int64_t *number, struct error *err)
{
  char *end = NULL;
  errno = 0;
  long long value = strtoll (text, &end, 10);
  bool starts_well = isdigit ((unsigned char) text[0]) || (text[0] == '-' && text[1] != '\0');
  if (!starts_well || *end != '\0')
    return error_set (err, ERROR_USER, "\"%s\" is not a whole number", text);
  if (errno == ERANGE || value < min || value > max)
    return error_set (err, ERROR_USER, "%s is out of range: expected %lld to %lld", text,
                      (long long) min, (long long) max);
  *number = value;
  return 0;
}

int64_t
units_from_env (const char *name, int64_t otherwise)
{
  const char *text = getenv (name);
  int64_t wanted = text == NULL ? 0 : atoll (text);
  return wanted > 0 ? wanted : otherwise;
}

int
units_parse_percent (const char *text, int32_t *basis_points, struct error *err)
{
  const char *at = text;
  int64_t milli = read_milli (&at);
  if (milli < 0 || milli > 100000 || strcmp (at, "%") != 0)
    return error_set (err, ERROR_USER,
                      "\"%s\" is not a percentage: expected 0%% to 100%%, e.g. 95%%", text);
  *basis_points = (int32_t) (milli / 10);
  return 0;
}

int
units_parse_cpus (const char *text, int32_t *milli, struct error *err)
{
  const char *at = text;
  int64_t value = read_milli (&at);
  if (value <= 0 || value > INT32_MAX || *at != '\0')
    return error_set (err, ERROR_USER, "\"%s\" is not a number of CPUs: expected e.g. 0.5, 1 or 2",
                      text);
  *milli = (int32_t) value;
  return 0;
}

int
units_parse_factor (const char *text, int32_t *hundredths, struct error *err)
{
  const char *at = text;
  int64_t milli = read_milli (&at);
  if (milli < 1010 || milli > 100000 || strcmp (at, "x") != 0)
    return error_set (err, ERROR_USER, "\"%s\" is not a factor: expected 1.01x to 100x, e.g. 2x",
                      text);
  *hundredths = (int32_t) (milli / 10);
  return 0;
}

/* An exit code at *TEXT, which moves behind it; -1 when there is none. */
static int
units_read_code (const char **text)
{
  int code = 0;
  const char *at = *text;
  for (; isdigit ((unsigned char) *at) && code < 1000; at++)
    code = code * 10 + (*at - '0');
  bool good = at != *text && code <= 255;
  *text = at;
  return good ? code : -1;
}

int
units_parse_codes (const char *text, struct codes *codes, struct error *err)
{
  const char *at = text;
  for (;;)
    {
      int first = units_read_code (&at);
      int last = first;
      if (first >= 0 && *at == '-')
        {
          at++;
          last = units_read_code (&at);
        }
      if (first < 0 || last < first || (*at != ',' && *at != '\0'))
        return error_set (err, ERROR_USER,
                          "\"%s\" is not a list of exit codes: expected e.g. 1,3-5 (0 to 255)",
                          text);
      for (int code = first; code <= last; code++)
        codes->has[code] = true;
      if (*at == '\0')
        return 0;
      at++;
    }
}

const char *
units_format_size (int64_t bytes, char text[static UNITS_TEXT_SIZE])
{
  static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
  double value = (double) bytes;
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < sizeof names / sizeof names[0])
    {
      value /= 1024;
      unit++;
    }
  (void) snprintf (text, UNITS_TEXT_SIZE, unit == 0 ? "%.0f %s" : "%.1f %s", value, names[unit]);
  return text;
}

const char *
units_format_duration (int64_t ms, char text[static UNITS_TEXT_SIZE])
{
  int64_t seconds = ms / 1000;
  if (ms < 1000)
    (void) snprintf (text, UNITS_TEXT_SIZE, "%dms", (int) ms);
  else if (seconds < 60)
    (void) snprintf (text, UNITS_TEXT_SIZE, "%.1fs", (double) ms / 1000);
  else if (seconds < 3600)
    (void) snprintf (text, UNITS_TEXT_SIZE, "%dm%02ds", (int) (seconds / 60), (int) (seconds % 60));
  else if (seconds < 86400)
    (void) snprintf (text, UNITS_TEXT_SIZE, "%dh%02dm", (int) (seconds / 3600),
                     (int) (seconds / 60 % 60));
  else
    (void) snprintf (text, UNITS_TEXT_SIZE, "%lldd%02dh", (long long) (seconds / 86400),
                     (int) (seconds / 3600 % 24));
  return text;
}
