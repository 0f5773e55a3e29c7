#include "storage/web/pin.h"

#include "common/memory.h"

#include <ctype.h>
#include <curl/curl.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum
{
  TAG_MAX = 1024, /* bytes of an ETag that are believed */
};

static const struct
{
  const char *word, *algorithm;
  size_t digits;
} sums[] = { { "sha256", "SHA256", 64 }, { "md5", "MD5", 32 } };

/* What is behind "WORD " in VERSION, or NULL. */
static const char *
web_pin_value_of (const char *version, const char *word)
{
  size_t length = strlen (word);
  return strncmp (version, word, length) == 0 && version[length] == ' ' ? version + length + 1
                                                                        : NULL;
}

int64_t
pin_modified (const struct http_call *call)
{
  const char *text = http_header (call, "last-modified");
  return text == NULL ? -1 : (int64_t) curl_getdate (text, NULL);
}

static bool
is_strong (const char *etag)
{
  return etag[0] == '"';
}

char *
pin_of_answer (const struct http_call *call)
{
  const char *etag = http_header (call, "etag");
  if (etag != NULL && (etag[0] == '\0' || strlen (etag) > TAG_MAX))
    etag = NULL;
  int64_t modified = pin_modified (call);
  if (etag != NULL && (is_strong (etag) || modified < 0))
    return xasprintf ("etag %s", etag);
  return modified < 0 ? NULL : xasprintf ("modified %lld", (long long) modified);
}

static void
pin_condition_add (int64_t second, struct strlist *headers)
{
  static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
  static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
  struct tm tm;
  time_t time = (time_t) second;
  if (gmtime_r (&time, &tm) == NULL || tm.tm_year > 9999 - 1900 || tm.tm_year < 0)
    return;
  strlist_addf (headers, "If-Unmodified-Since: %s, %02d %s %d %02d:%02d:%02d GMT", days[tm.tm_wday],
                tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void
pin_add_condition (const char *version, struct strlist *headers)
{
  const char *etag = web_pin_value_of (version, "etag");
  const char *modified = web_pin_value_of (version, "modified");
  const char *minute = web_pin_value_of (version, "minute");
  if (etag != NULL && is_strong (etag))
    strlist_addf (headers, "If-Match: %s", etag);
  else if (modified != NULL)
    pin_condition_add (strtoll (modified, NULL, 10), headers);
  else if (minute != NULL)
    {
      int64_t end = 0;
      if (!__builtin_mul_overflow ((int64_t) strtoll (minute, NULL, 10), 60, &end)
          && !__builtin_add_overflow (end, 59, &end))
        pin_condition_add (end, headers);
    }
}

static int
web_pin_changed (struct error *err)
{
  return error_set (err, ERROR_USER, "has changed since it was listed");
}

/* Holds the answer's time, in units of UNIT seconds, against WANTED. */
static int
check_time (const char *wanted, int64_t unit, const struct http_call *call, struct error *err)
{
  int64_t modified = pin_modified (call);
  if (modified < 0)
    return error_set (
        err, ERROR_USER,
        "the server no longer reports its modification time, as it did when it was listed");
  return modified / unit == strtoll (wanted, NULL, 10) ? 0 : web_pin_changed (err);
}

int
pin_check (const char *version, const struct http_call *call, struct fetch_sum *sum,
           struct error *err)
{
  const char *value = web_pin_value_of (version, "etag");
  if (value != NULL)
    {
      const char *etag = http_header (call, "etag");
      return etag != NULL && strcmp (etag, value) == 0 ? 0 : web_pin_changed (err);
    }
  value = web_pin_value_of (version, "modified");
  if (value != NULL)
    return check_time (value, 1, call, err);
  value = web_pin_value_of (version, "minute");
  if (value != NULL)
    return check_time (value, 60, call, err);
  for (size_t i = 0; i < sizeof sums / sizeof *sums; i++)
    {
      value = web_pin_value_of (version, sums[i].word);
      if (value == NULL || strlen (value) != sums[i].digits)
        continue;
      sum->algorithm = sums[i].algorithm;
      (void) snprintf (sum->hex, sizeof sum->hex, "%s", value);
      return 0;
    }
  return error_set (err, ERROR_USER, "its version '%.100s' is not a version of this storage",
                    version);
}

char *
pin_of_sum (const char *algorithm, const char *hex, struct error *err)
{
  for (size_t i = 0; i < sizeof sums / sizeof *sums; i++)
    {
      if (strcasecmp (algorithm, sums[i].word) != 0)
        continue;
      size_t digits = strspn (hex, "0123456789abcdefABCDEF");
      if (digits != sums[i].digits || hex[digits] != '\0')
        {
          (void) error_set (err, ERROR_USER,
                            "'%.100s' is not a %s checksum, expected %zu hex digits", hex,
                            sums[i].word, sums[i].digits);
          return NULL;
        }
      char *version = xasprintf ("%s %s", sums[i].word, hex);
      for (char *at = version; *at != '\0'; at++)
        *at = (char) tolower ((unsigned char) *at);
      return version;
    }
  (void) error_set (err, ERROR_USER, "unknown checksum type '%.30s', expected sha256 or md5",
                    algorithm);
  return NULL;
}
