#include "storage/web/json_text.h"

#include "common/memory.h"
#include "common/utf8.h"

#include <ctype.h>
#include <string.h>

/* A byte that isn't part of UTF-8 stands as a code point of its own: STRANGE + byte, in the last
 * private plane. */
#define STRANGE 0x10fe00u

enum
{
  DEPTH_MAX = 32,
};

static bool
is_strange (uint32_t point)
{
  return point >= STRANGE + 0x80 && point <= STRANGE + 0xff;
}

void
json_text_start (struct json_text *reader, struct bytes text)
{
  *reader = (struct json_text){ 0 };
  const char *from = text.data;
  for (size_t i = 0; i < text.size;)
    {
      const char *at = from + i;
      uint32_t point = utf8_next (&at, from + text.size);
      size_t size = (size_t) (at - from) - i;
      bool good = point < UTF8_STRAY && !is_strange (point);
      if (good)
        buffer_append (&reader->text, from + i, size);
      else
        utf8_put (&reader->text, STRANGE + (unsigned char) from[i]);
      i += good ? size : 1;
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
web_json_is_end (const struct json_text *reader)
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
      return web_json_is_end (reader) || is_at (reader, ']') ? -1 : 1;
    }
  else if (!first && reader->array && !is_at (reader, ']'))
    return -1;
  if (!reader->array)
    return web_json_is_end (reader) ? 0 : 1;
  if (!is_at (reader, ']'))
    return web_json_is_end (reader) ? -1 : 1;
  reader->at++;
  skip (reader, space);
  if (!web_json_is_end (reader))
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
web_json_line_of (const struct json_text *reader)
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
    return error_set (err, ERROR_USER, "line %d is not JSON: %.120s", web_json_line_of (reader),
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
  const char *at = json_string_value (string);
  const char *end = at + json_string_length (string);
  auto_buffer struct buffer bytes = { 0 };
  while (at < end)
    {
      const char *start = at;
      uint32_t point = utf8_next (&at, end);
      if (point >= UTF8_STRAY || point == 0)
        return NULL;
      if (is_strange (point))
        buffer_putc (&bytes, (char) (point - STRANGE));
      else
        buffer_append (&bytes, start, (size_t) (at - start));
    }
  return buffer_take (&bytes);
}
