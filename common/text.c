#include "common/text.h"

#include "common/auto.h"
#include "common/memory.h"
#include "common/percent.h"
#include "common/utf8.h"

#include <stdint.h>
#include <string.h>

/* ---- characters ------------------------------------------------------------------------- */

struct character
{
  uint32_t code;
  size_t length; /* in bytes; 0: no UTF-8 begins here */
};

static struct character
character_at (const unsigned char *at, size_t size)
{
  const char *bytes = (const char *) at;
  size_t length = utf8_length (bytes, bytes + size);
  return length == 0 ? (struct character){ 0 }
                     : (struct character){ utf8_next (&bytes, bytes + size), length };
}

/* Whether the SIZE bytes at AT may be the beginning of a character. */
static bool
text_is_unfinished (const unsigned char *at, size_t size)
{
  if (utf8_expected (at[0]) <= size)
    return false;
  for (size_t i = 1; i < size; i++)
    if ((at[i] & 0xc0) != 0x80)
      return false;
  return true;
}

/* Whether a terminal, or a reader's eye, could be led by it. */
static bool
is_steering (uint32_t code)
{
  static const uint32_t ranges[][2] = {
    { 0x00, 0x1f },     { 0x7f, 0x9f },     { 0x61c, 0x61c },   { 0x200e, 0x200f },
    { 0x2028, 0x202e }, { 0x2066, 0x206f }, { 0xfff9, 0xfffb },
  };
  for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
    if (code >= ranges[i][0] && code <= ranges[i][1])
      return true;
  return false;
}

static void
put_steering (struct buffer *out, uint32_t code)
{
  if (code == '\n' || code == '\t' || code == '\r')
    buffer_puts (out, code == '\n' ? "\\n" : code == '\t' ? "\\t" : "\\r");
  else if (code < 0x80)
    buffer_printf (out, "\\x%02x", code);
  else
    buffer_printf (out, "\\u%04x", code);
}

/* Appends the character at AT, of which SIZE bytes are there, for people; returns how many it
 * took. */
static size_t
put_character (struct buffer *out, const unsigned char *at, size_t size)
{
  struct character character = character_at (at, size);
  if (character.length == 0)
    {
      buffer_printf (out, "\\x%02x", at[0]);
      return 1;
    }
  if (is_steering (character.code))
    put_steering (out, character.code);
  else
    buffer_append (out, at, character.length);
  return character.length;
}

/* Whether all of TEXT may be shown as it is. */
static bool
text_is_plain (const char *text)
{
  const unsigned char *at = (const unsigned char *) text;
  for (size_t left = strlen (text); left > 0;)
    {
      struct character character = character_at (at, left);
      if (character.length == 0 || is_steering (character.code))
        return false;
      at += character.length;
      left -= character.length;
    }
  return true;
}

bool
text_ends_in (const char *text, size_t size, const char *end)
{
  size_t tail = strlen (end);
  return size >= tail && memcmp (text + size - tail, end, tail) == 0;
}

bool
text_same (const char *a, const char *b)
{
  return a == NULL || b == NULL ? a == b : strcmp (a, b) == 0;
}

/* ---- people ----------------------------------------------------------------------------- */

void
text_put_shown (struct buffer *out, const char *text, size_t limit)
{
  size_t begin = out->size;
  size_t left = text == NULL ? 0 : strlen (text);
  for (const unsigned char *at = (const unsigned char *) text;
       left > 0 && out->size - begin < limit;)
    {
      size_t took = put_character (out, at, left);
      at += took;
      left -= took;
    }
}

char *
text_shown (const char *text)
{
  struct buffer line = { 0 };
  text_put_shown (&line, text, SIZE_MAX);
  return buffer_take (&line);
}

size_t
text_put_lines (struct buffer *out, const char *data, size_t size, bool last)
{
  const unsigned char *bytes = (const unsigned char *) data;
  size_t at = 0;
  while (at < size)
    {
      size_t left = size - at;
      if (!last && ((bytes[at] == '\r' && left == 1) || text_is_unfinished (bytes + at, left)))
        return at;
      if (bytes[at] == '\n' || bytes[at] == '\t')
        buffer_putc (out, data[at++]);
      else if (bytes[at] == '\r' && left > 1 && bytes[at + 1] == '\n')
        at++;
      else
        at += put_character (out, bytes + at, left);
    }
  return at;
}

/* ---- logs ------------------------------------------------------------------------------- */

char *
text_log (const char *value)
{
  struct buffer quoted = { 0 };
  size_t left = value == NULL ? 0 : strlen (value);
  buffer_putc (&quoted, '"');
  for (const unsigned char *at = (const unsigned char *) value; left > 0;)
    {
      if (*at == '"' || *at == '\\')
        buffer_putc (&quoted, '\\');
      size_t took = put_character (&quoted, at, left);
      at += took;
      left -= took;
    }
  buffer_putc (&quoted, '"');
  return buffer_take (&quoted);
}

/* ---- shells ----------------------------------------------------------------------------- */

/* $'…': the characters that may not be shown as three octal digits a byte, which no digit behind
 * them can lengthen. */
static void
put_dollar_quoted (struct buffer *line, const char *word)
{
  size_t left = strlen (word);
  buffer_puts (line, "$'");
  for (const unsigned char *at = (const unsigned char *) word; left > 0;)
    {
      struct character character = character_at (at, left);
      size_t length = character.length == 0 ? 1 : character.length;
      bool shown = character.length > 0 && !is_steering (character.code);
      if (shown && (*at == '\'' || *at == '\\'))
        buffer_putc (line, '\\');
      if (shown)
        buffer_append (line, at, length);
      else
        for (size_t i = 0; i < length; i++)
          buffer_printf (line, "\\%03o", at[i]);
      at += length;
      left -= length;
    }
  buffer_putc (line, '\'');
}

static void
put_quoted (struct buffer *line, const char *word)
{
  buffer_putc (line, '\'');
  for (; *word != '\0'; word++)
    if (*word == '\'')
      buffer_puts (line, "'\\''");
    else
      buffer_putc (line, *word);
  buffer_putc (line, '\'');
}

static void
put_word (struct buffer *line, const char *word)
{
  static const char harmless[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_";
  if (word[0] != '\0' && word[strspn (word, harmless)] == '\0')
    buffer_puts (line, word);
  else if (text_is_plain (word))
    put_quoted (line, word);
  else
    put_dollar_quoted (line, word);
}

char *
text_word (const char *word)
{
  struct buffer line = { 0 };
  put_word (&line, word);
  return buffer_take (&line);
}

char *
text_words (const char *first, const struct strlist *words)
{
  struct buffer line = { 0 };
  put_word (&line, first);
  for (size_t i = 0; words != NULL && i < words->count; i++)
    {
      buffer_putc (&line, ' ');
      put_word (&line, words->items[i]);
    }
  return buffer_take (&line);
}

/* ---- JSON and HTML ---------------------------------------------------------------------- */

void
text_set_bytes (json_t *object, const char *key, const char *bytes)
{
  json_t *string = json_string (bytes);
  if (string != NULL)
    {
      (void) json_object_set_new (object, key, string);
      return;
    }
  auto_buffer struct buffer encoded = { 0 };
  percent_encode (&encoded, bytes, "/");
  auto_free char *name = xasprintf ("%s_percent", key);
  (void) json_object_set_new (object, name, json_string (encoded.data));
}

void
text_put_html (struct buffer *out, const char *text)
{
  auto_free char *shown = text_shown (text);
  for (const char *at = shown; *at != '\0'; at++)
    switch (*at)
      {
      case '<':
        buffer_puts (out, "&lt;");
        break;
      case '>':
        buffer_puts (out, "&gt;");
        break;
      case '&':
        buffer_puts (out, "&amp;");
        break;
      case '"':
        buffer_puts (out, "&quot;");
        break;
      case '\'':
        buffer_puts (out, "&#39;");
        break;
      default:
        buffer_putc (out, *at);
      }
}
