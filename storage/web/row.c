/* What stands beside a link in a listing: when the file was last changed, and its size. */
#include "common/memory.h"
#include "storage/web/index_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum
{
  ROW_MAX = 512, /* bytes of a row's text */
};

/* "Nov" as 10; -1. */
static int
row_month (const char *name)
{
  static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  const char *found = strlen (name) == 3 ? strstr (months, name) : NULL;
  return found == NULL || (found - months) % 3 != 0 ? -1 : (int) (found - months) / 3;
}

/* The date that TEXT begins with, into TM; its bytes, 0: none. */
static int
row_date (const char *text, struct tm *tm)
{
  char month[4] = "";
  int size = 0;
  *tm = (struct tm){ 0 };
  if (sscanf (text, "%2d-%3[A-Za-z]-%4d%n", &tm->tm_mday, month, &tm->tm_year, &size) == 3
      || sscanf (text, "%4d-%3[A-Za-z]-%2d%n", &tm->tm_year, month, &tm->tm_mday, &size) == 3
      || sscanf (text, "%2d%3[A-Za-z]%4d%n", &tm->tm_mday, month, &tm->tm_year, &size) == 3)
    tm->tm_mon = row_month (month);
  else if (sscanf (text, "%4d-%2d-%2d%n", &tm->tm_year, &tm->tm_mon, &tm->tm_mday, &size) == 3)
    tm->tm_mon--;
  else
    return 0;
  bool valid = tm->tm_mday >= 1 && tm->tm_mday <= 31 && tm->tm_mon >= 0 && tm->tm_mon <= 11
               && tm->tm_year >= 1970;
  tm->tm_year -= 1900;
  return valid ? size : 0;
}

struct index_time
row_time (const char *text, const char **rest)
{
  const struct index_time none = { .clock = -1 };
  struct tm tm;
  int size = isdigit ((unsigned char) text[0]) ? row_date (text, &tm) : 0;
  *rest = text;
  if (size == 0)
    return none;
  const char *at = text + size;
  at += *at == 'T' ? 1 : strspn (at, " ");
  if (sscanf (at, "%2d:%2d%n", &tm.tm_hour, &tm.tm_min, &size) != 2 || tm.tm_hour < 0
      || tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59)
    return none;
  at += size;
  struct index_time time = { .minutes = true };
  if (at[0] == ':' && sscanf (at, ":%2d%n", &tm.tm_sec, &size) == 1 && tm.tm_sec >= 0
      && tm.tm_sec <= 60)
    {
      time.minutes = false;
      at += size;
      if (*at == '.')
        at += 1 + strspn (at + 1, "0123456789");
    }
  if (*at == 'Z')
    {
      time.utc = true;
      at++;
    }
  else if (strncmp (at, " +0000 UTC", strlen (" +0000 UTC")) == 0) /* Go's */
    {
      time.utc = true;
      at += strlen (" +0000 UTC");
    }
  else if (*at != '\0' && !isspace ((unsigned char) *at))
    return none;
  time.clock = (int64_t) timegm (&tm);
  *rest = at;
  return time.clock < 0 ? none : time;
}

/* MARKUP without its tags, at most ROW_MAX bytes. The caller frees. */
static char *
row_text (struct bytes markup)
{
  auto_buffer struct buffer text = { 0 };
  const char *at = markup.data;
  const char *end = at + markup.size;
  buffer_append (&text, "", 0);
  while (at < end && text.size < ROW_MAX)
    {
      const char *close = *at == '<' ? markup_tag_end (at, end) : NULL;
      const char *next = close != NULL ? close + 1 : memchr (at + 1, '<', (size_t) (end - at - 1));
      if (next == NULL)
        next = end;
      if (close != NULL)
        buffer_putc (&text, ' ');
      else
        markup_put_text (&text, at, (size_t) (next - at));
      at = next;
    }
  for (size_t i = 0; i < text.size; i++)
    if (text.data[i] == '\0' || isspace ((unsigned char) text.data[i]))
      text.data[i] = ' ';
  return buffer_take (&text);
}

/* The bytes that TEXT is a number of; -1: it isn't that alone. */
static int64_t
row_size (const char *text)
{
  char *rest = NULL;
  text += strspn (text, " ");
  errno = 0;
  long long size = strtoll (text, &rest, 10);
  return isdigit ((unsigned char) *text) && errno == 0 && rest[strspn (rest, " ")] == '\0' ? size
                                                                                           : -1;
}

/* Caddy's and rclone's rows: <td data-order="SIZE">…<time datetime="…">. False: it isn't one. */
static bool
row_read_tagged (struct index_entry *entry, struct bytes after)
{
  const char *end = (const char *) after.data + after.size;
  auto_buffer struct buffer size = { 0 };
  for (const char *at = after.data; at != NULL && at < end;
       at = memchr (at, '<', (size_t) (end - at)))
    {
      const char *close = markup_tag_end (at, end);
      auto_buffer struct buffer time = { 0 };
      const char *rest = NULL;
      if (close == NULL)
        return false;
      if (markup_is_tag (at, end, "td") && size.size == 0)
        (void) markup_attribute (at, close, "data-order", &size);
      if (markup_is_tag (at, end, "time") && markup_attribute (at, close, "datetime", &time))
        {
          entry->modified = row_time (time.data + strspn (time.data, " "), &rest);
          if (!entry->folder && size.size > 0)
            entry->size = row_size (size.data);
          return entry->modified.clock >= 0;
        }
      at = close;
    }
  return false;
}

void
row_read (struct index_entry *entry, struct bytes before, struct bytes after)
{
  entry->size = -1;
  entry->modified = (struct index_time){ .clock = -1 };
  if (memmem (after.data, after.size, "datetime=", strlen ("datetime=")) != NULL
      && row_read_tagged (entry, after))
    return;
  const char *rest = NULL;
  auto_free char *text = row_text (after);
  entry->modified = row_time (text + strspn (text, " "), &rest);
  if (entry->modified.clock >= 0)
    {
      entry->size = entry->folder ? -1 : row_size (rest);
      return;
    }
  if (memmem (before.data, before.size, "<td", 3) == NULL)
    return;
  auto_free char *cells = row_text (before); /* http-server's names come last */
  for (const char *at = cells; *at != '\0' && entry->modified.clock < 0;
       at += strcspn (at, " "), at += strspn (at, " "))
    entry->modified = row_time (at, &rest);
}
