/* Tags of pages, and the text in them. */
#include "common/memory.h"
#include "common/utf8.h"
#include "storage/web/index_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum
{
  TAG_MAX = 8192, /* bytes */
  NUMBER_MAX = 12,
  CODE_POINT_MAX = 0x10ffff,
};

static bool
markup_is_blank (char byte)
{
  return isspace ((unsigned char) byte);
}

const char *
markup_tag_end (const char *at, const char *end)
{
  char quote = '\0';
  if (end - at > TAG_MAX)
    end = at + TAG_MAX;
  for (; at < end; at++)
    if (quote != '\0')
      quote = *at == quote ? '\0' : quote;
    else if (*at == '"' || *at == '\'')
      quote = *at;
    else if (*at == '>')
      return at;
  return NULL;
}

bool
markup_is_tag (const char *at, const char *end, const char *name)
{
  size_t size = strlen (name);
  return (size_t) (end - at) > size + 1 && at[0] == '<' && strncasecmp (at + 1, name, size) == 0
         && (markup_is_blank (at[size + 1]) || at[size + 1] == '>' || at[size + 1] == '/');
}

/* Appends what "&NAME;" at AT stands for; the bytes it takes, 0: it is none. */
static size_t
markup_put_entity (struct buffer *text, const char *at, size_t left)
{
  static const struct
  {
    const char *name;
    char byte;
  } known[] = { { "&amp;", '&' },  { "&lt;", '<' },    { "&gt;", '>' },
                { "&quot;", '"' }, { "&apos;", '\'' }, { "&nbsp;", ' ' } };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    {
      size_t length = strlen (known[i].name);
      if (left >= length && strncasecmp (at, known[i].name, length) == 0)
        {
          buffer_putc (text, known[i].byte);
          return length;
        }
    }
  char number[NUMBER_MAX] = "";
  const char *end = memchr (at, ';', left < sizeof number ? left : sizeof number);
  if (end == NULL || end - at < 3 || at[1] != '#')
    return 0;
  memcpy (number, at + 2, (size_t) (end - at - 2));
  bool hex = number[0] == 'x' || number[0] == 'X';
  char *rest = NULL;
  unsigned long point = strtoul (number + (hex ? 1 : 0), &rest, hex ? 16 : 10);
  if (*rest != '\0' || point == 0 || point > CODE_POINT_MAX || (point >= 0xd800 && point < 0xe000))
    return 0;
  utf8_put (text, (uint32_t) point);
  return (size_t) (end + 1 - at);
}

void
markup_put_text (struct buffer *text, const char *from, size_t size)
{
  for (size_t i = 0; i < size;)
    {
      size_t n = from[i] == '&' ? markup_put_entity (text, from + i, size - i) : 0;
      if (n == 0)
        buffer_putc (text, from[i]);
      i += n == 0 ? 1 : n;
    }
  buffer_append (text, "", 0);
}

bool
markup_attribute (const char *at, const char *end, const char *name, struct buffer *value)
{
  size_t size = strlen (name);
  char quote = '\0';
  for (at += 2; at < end; at++)
    {
      if (quote != '\0' || *at == '"' || *at == '\'')
        {
          quote = quote == '\0' ? *at : *at == quote ? '\0' : quote;
          continue;
        }
      if (!markup_is_blank (at[-1]) || (size_t) (end - at) < size + 2
          || strncasecmp (at, name, size) != 0)
        continue;
      const char *from = at + size;
      while (from < end && markup_is_blank (*from))
        from++;
      if (from == end || *from != '=')
        continue;
      for (from++; from < end && markup_is_blank (*from); from++)
        ;
      if (from == end || (*from != '"' && *from != '\''))
        return false;
      const char *close = memchr (from + 1, *from, (size_t) (end - from - 1));
      if (close == NULL)
        return false;
      markup_put_text (value, from + 1, (size_t) (close - from - 1));
      return true;
    }
  return false;
}
