#include "storage/web/json_text.h"

#include "common/memory.h"

#include <ctype.h>
#include <string.h>

/* A byte that isn't part of UTF-8 stands as a code point of its own: STRANGE + byte, in the last
 * private plane. */
#define STRANGE 0x10fe00u

enum
{
  DEPTH_MAX = 32,
};

/* Bytes of the UTF-8 sequence at TEXT, 0: it isn't one. *POINT becomes its code point. */
static size_t
sequence (const unsigned char *text, size_t left, uint32_t *point)
{
  size_t size = text[0] < 0x80                       ? 1
                : text[0] >= 0xc2 && text[0] <= 0xdf ? 2
                : text[0] >= 0xe0 && text[0] <= 0xef ? 3
                : text[0] >= 0xf0 && text[0] <= 0xf4 ? 4
                                                     : 0;
  static const unsigned char masks[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
  static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
  if (size == 0 || size > left)
    return 0;
  *point = text[0] & masks[size];
  for (size_t i = 1; i < size; i++)
    {
      if ((text[i] & 0xc0) != 0x80)
        return 0;
      *point = *point << 6 | (text[i] & 0x3fu);
    }
  bool good = *point >= least[size] && *point <= 0x10ffff && (*point < 0xd800 || *point > 0xdfff);
  return good ? size : 0;
}

static bool
is_strange (uint32_t point)
{
  return point >= STRANGE + 0x80 && point <= STRANGE + 0xff;
}

static void
put_strange (struct buffer *buffer, unsigned char byte)
{
  uint32_t point = STRANGE + byte;
  buffer_putc (buffer, (char) (0xf0 | point >> 18));
  buffer_putc (buffer, (char) (0x80 | (point >> 12 & 0x3f)));
  buffer_putc (buffer, (char) (0x80 | (point >> 6 & 0x3f)));
  buffer_putc (buffer, (char) (0x80 | (point & 0x3f)));
}

void
json_text_start (struct json_text *reader, struct bytes text)
{
  *reader = (struct json_text){ 0 };
  const unsigned char *from = text.data;
  for (size_t i = 0; i < text.size;)
    {
      uint32_t point = 0;
      size_t size = sequence (from + i, text.size - i, &point);
      if (size > 0 && !is_strange (point))
        buffer_append (&reader->text, from + i, size);
      else
        put_strange (&reader->text, from[i]);
      i += size > 0 && !is_strange (point) ? size : 1;
    }
  buffer_append (&reader->text, "", 0);
}

void
json_text_release (struct json_text *reader)
{
  buffer_release (&reader->text);
}

static void
skip (struct json_text *reader, const char *bytes)
{
  while (reader->at < reader->text.size && strchr (bytes, reader->text.data[reader->at]) != NULL
         && reader->text.data[reader->at] != '\0')
    reader->at++;
}

static bool
is_at (const struct json_text *reader, char byte)
{
  return reader->at < reader->text.size && reader->text.data[reader->at] == byte;
}

static bool
is_end (const struct json_text *reader)
{
  return reader->at == reader->text.size;
}

/* Goes to the next value: 1, 0 at the end, -1: something else is there. */
static int
go_to_next (struct json_text *reader)
{
  static const char space[] = " \t\r\n";
  bool first = !reader->started;
  reader->started = true;
  skip (reader, space);
  if (first && is_at (reader, '['))
    {
      reader->array = true;
      reader->at++;
      skip (reader, space);
    }
  else if (!first && reader->array && is_at (reader, ','))
    {
      reader->at++;
      skip (reader, space);
      return is_end (reader) || is_at (reader, ']') ? -1 : 1;
    }
  else if (!first && reader->array && !is_at (reader, ']'))
    return -1;
  if (!reader->array)
    return is_end (reader) ? 0 : 1;
  if (!is_at (reader, ']'))
    return is_end (reader) ? -1 : 1;
  reader->at++;
  skip (reader, space);
  if (!is_end (reader))
    return -1;
  reader->array = false;
  return 0;
}

/* Whether TEXT begins with an object that isn't nested too deeply for jansson, which recurses. */
static bool
is_shallow (const char *text, size_t size)
{
  if (size == 0 || text[0] != '{')
    return false;
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < size; i++)
    {
      if (quoted && text[i] == '\\')
        i++;
      else if (text[i] == '"')
        quoted = !quoted;
      else if (!quoted && (text[i] == '{' || text[i] == '['))
        {
          if (++depth > DEPTH_MAX)
            return false;
        }
      else if (!quoted && (text[i] == '}' || text[i] == ']') && --depth <= 0)
        return true;
    }
  return true;
}

static int
line_of (const struct json_text *reader)
{
  int line = 1;
  for (size_t i = 0; i < reader->at; i++)
    line += reader->text.data[i] == '\n';
  return line;
}

int
json_text_next (struct json_text *reader, json_t **value, struct error *err)
{
  *value = NULL;
  int more = go_to_next (reader);
  if (more == 0)
    return 0;
  const char *text = reader->text.data + reader->at;
  size_t left = reader->text.size - reader->at;
  json_error_t problem = { .text = "something else than an object" };
  if (more > 0 && is_shallow (text, left))
    *value = json_loadb (text, left, JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &problem);
  if (*value == NULL)
    return error_set (err, ERROR_USER, "line %d isn't JSON: %.120s", line_of (reader),
                      problem.text);
  reader->at += (size_t) problem.position;
  return 1;
}

char *
json_text_string (const json_t *object, const char *key)
{
  const json_t *string = json_object_get (object, key);
  if (!json_is_string (string))
    return NULL;
  const unsigned char *text = (const unsigned char *) json_string_value (string);
  size_t size = json_string_length (string);
  auto_buffer struct buffer bytes = { 0 };
  for (size_t i = 0; i < size;)
    {
      uint32_t point = 0;
      size_t n = sequence (text + i, size - i, &point);
      if (n == 0 || point == 0)
        return NULL;
      if (is_strange (point))
        buffer_putc (&bytes, (char) (point - STRANGE));
      else
        buffer_append (&bytes, text + i, n);
      i += n;
    }
  return buffer_take (&bytes);
}
