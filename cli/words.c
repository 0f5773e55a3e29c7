#include "cli/words.h"

#include "common/buffer.h"
#include "common/memory.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum
{
  RANGE_MAX = 10000000, /* numbers in one list */
};

/* ---- command lines ---------------------------------------------------------------------- */

/* The character that an escape of $'…' at **AT, behind its backslash, says; **AT moves behind
 * it. */
static char
read_escape (const char **at)
{
  static const char escapes[][2] = { { 'n', '\n' }, { 't', '\t' }, { 'r', '\r' } };
  for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++)
    if (**at == escapes[i][0])
      {
        (*at)++;
        return escapes[i][1];
      }
  if (**at < '0' || **at > '7')
    return *(*at)++;
  unsigned int code = 0;
  for (int digits = 0; digits < 3 && **at >= '0' && **at <= '7'; digits++)
    code = code * 8 + (unsigned int) (*(*at)++ - '0');
  return (char) code;
}

/* What stands in $'…' at **AT, which moves behind the closing quote: 0 or -1. */
static int
read_dollar_quoted (const char **at, struct buffer *word)
{
  *at += strlen ("$'");
  while (**at != '\0' && **at != '\'')
    {
      bool escaped = **at == '\\' && (*at)[1] != '\0';
      *at += escaped ? 1 : 0;
      char byte = escaped ? read_escape (at) : *(*at)++;
      if (byte == '\0')
        return -1;
      buffer_putc (word, byte);
    }
  if (**at == '\0')
    return -1;
  (*at)++;
  return 0;
}

/* What stands between quotes at **AT, which moves behind the closing one: 0 or -1. */
static int
read_quoted (const char **at, struct buffer *word)
{
  char quote = *(*at)++;
  for (; **at != '\0' && **at != quote; (*at)++)
    {
      if (quote == '"' && **at == '\\' && strchr ("\"\\$`", (*at)[1]) != NULL && (*at)[1] != '\0')
        (*at)++;
      buffer_putc (word, **at);
    }
  if (**at == '\0')
    return -1;
  (*at)++;
  return 0;
}

int
words_split (const char *text, struct strlist *words, struct error *err)
{
  const char *at = text;
  for (;;)
    {
      at += strspn (at, " \t\n");
      if (*at == '\0')
        return 0;
      auto_buffer struct buffer word = { 0 };
      while (*at != '\0' && strchr (" \t\n", *at) == NULL)
        {
          bool dollar = *at == '$' && at[1] == '\'';
          if (dollar || *at == '\'' || *at == '"')
            {
              if ((dollar ? read_dollar_quoted (&at, &word) : read_quoted (&at, &word)) != 0)
                return error_set (err, ERROR_USER, "\"%s\": unclosed quote, or a NUL byte", text);
              continue;
            }
          if (*at == '\\' && at[1] != '\0')
            at++;
          buffer_putc (&word, *at++);
        }
      strlist_take (words, buffer_take (&word));
    }
}

/* ---- numbers ---------------------------------------------------------------------------- */

const char *
words_count (int64_t number, char text[static WORDS_COUNT_SIZE])
{
  char digits[WORDS_COUNT_SIZE];
  int length = snprintf (digits, sizeof digits, "%lld", (long long) number);
  char *to = text;
  for (int i = 0; i < length; i++)
    {
      if (i > 0 && (length - i) % 3 == 0 && digits[i - 1] != '-')
        *to++ = ',';
      *to++ = digits[i];
    }
  *to = '\0';
  return text;
}

char *
words_plural (int64_t number, const char *noun)
{
  char text[WORDS_COUNT_SIZE];
  return xasprintf ("%s %s%s", words_count (number, text), noun, number == 1 ? "" : "s");
}

static int
words_read_number (const char **at, int64_t *number)
{
  char *end = NULL;
  errno = 0;
  long long value = isdigit ((unsigned char) **at) ? strtoll (*at, &end, 10) : -1;
  if (end == NULL || errno != 0 || value < 0 || value > UINT32_MAX)
    return -1;
  *number = value;
  *at = end;
  return 0;
}

int
words_ranges (const char *text, uint32_t **numbers, size_t *count, struct error *err)
{
  const char *at = text;
  for (;;)
    {
      int64_t first = 0;
      bool good = words_read_number (&at, &first) == 0;
      int64_t last = first;
      if (good && *at == '-')
        {
          at++;
          good = words_read_number (&at, &last) == 0 && last >= first;
        }
      if (!good || (*at != ',' && *at != '\0') || last - first >= RANGE_MAX
          || *count + (size_t) (last - first) >= RANGE_MAX)
        return error_set (err, ERROR_USER, "\"%s\" is not a list of numbers: expected e.g. 3,5-9",
                          text);
      *numbers = xrealloc (*numbers, *count + (size_t) (last - first) + 1, sizeof **numbers);
      for (int64_t number = first; number <= last; number++)
        (*numbers)[(*count)++] = (uint32_t) number;
      if (*at++ == '\0')
        return 0;
    }
}

char *
words_time (int64_t time)
{
  time_t seconds = (time_t) (time / 1000);
  struct tm utc = { 0 };
  char text[32] = "";
  (void) gmtime_r (&seconds, &utc);
  (void) strftime (text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &utc);
  return xstrdup (text);
}
