#include "cli/properties.h"

#include "common/hex.h"
#include "common/memory.h"
#include "common/utf8.h"

#include <string.h>

struct properties_reader
{
  const char *at;
  const char *end;
  int number; /* of the line at AT */
};

static bool
properties_is_blank (char byte)
{
  return byte == ' ' || byte == '\t' || byte == '\f';
}

static bool
properties_is_end (char byte)
{
  return byte == '\n' || byte == '\r';
}

static void
skip_blanks (struct properties_reader *reader)
{
  while (reader->at < reader->end && properties_is_blank (*reader->at))
    reader->at++;
}

/* Moves behind "\n", "\r" or "\r\n". */
static void
skip_end (struct properties_reader *reader)
{
  bool two = reader->end - reader->at > 1 && reader->at[0] == '\r' && reader->at[1] == '\n';
  reader->at += two ? 2 : 1;
  reader->number++;
}

/* Moves to the first line that says something: false when there is none left. */
static bool
properties_find_line (struct properties_reader *reader)
{
  for (;;)
    {
      skip_blanks (reader);
      if (reader->at == reader->end)
        return false;
      if (*reader->at == '#' || *reader->at == '!')
        while (reader->at < reader->end && !properties_is_end (*reader->at))
          reader->at++;
      else if (!properties_is_end (*reader->at))
        return true;
      if (reader->at < reader->end)
        skip_end (reader);
    }
}

/* Reads a line and those in which it goes on; escapes stay. */
static void
read_line (struct properties_reader *reader, struct buffer *line)
{
  while (reader->at < reader->end && !properties_is_end (*reader->at))
    {
      char byte = *reader->at++;
      if (byte != '\\')
        buffer_putc (line, byte);
      else if (reader->at == reader->end)
        return;
      else if (properties_is_end (*reader->at))
        {
          skip_end (reader);
          skip_blanks (reader);
        }
      else
        {
          buffer_putc (line, byte);
          buffer_putc (line, *reader->at++);
        }
    }
}

/* The four hexadecimal digits at TEXT, -1 when they aren't. */
static int32_t
read_hex (const char *text)
{
  uint8_t bytes[2];
  return hex_read (text, bytes, sizeof bytes) ? bytes[0] << 8 | bytes[1] : -1;
}

/* Reads what is behind "\u", one code point in UTF-16. False when it is none. */
static bool
properties_read_code (const char **at, uint32_t *code)
{
  int32_t unit = read_hex (*at);
  if (unit <= 0 || (unit >= 0xdc00 && unit < 0xe000))
    return false;
  *at += 4;
  *code = (uint32_t) unit;
  if (unit < 0xd800 || unit >= 0xdc00)
    return true;
  int32_t low = (*at)[0] == '\\' && (*at)[1] == 'u' ? read_hex (*at + 2) : -1;
  if (low < 0xdc00 || low >= 0xe000)
    return false;
  *at += 6;
  *code = 0x10000 + ((uint32_t) unit - 0xd800) * 0x400 + ((uint32_t) low - 0xdc00);
  return true;
}

/* TEXT without its escapes; NULL when one is none. The caller frees. */
static char *
unescape (const char *text)
{
  static const char names[] = "tnrf";
  static const char bytes[] = "\t\n\r\f";
  auto_buffer struct buffer out = { 0 };
  buffer_puts (&out, "");
  while (*text != '\0')
    {
      if (*text != '\\' || text[1] == '\0')
        {
          buffer_putc (&out, *text++);
          continue;
        }
      char byte = text[1];
      const char *name = strchr (names, byte);
      uint32_t code = 0;
      text += 2;
      if (byte != 'u')
        buffer_putc (&out, name == NULL ? byte : bytes[name - names]);
      else if (properties_read_code (&text, &code))
        utf8_put (&out, code);
      else
        return NULL;
    }
  return buffer_take (&out);
}

static char *
properties_trim (char *text)
{
  size_t length = strlen (text);
  while (length > 0 && (unsigned char) text[length - 1] <= ' ')
    text[--length] = '\0';
  size_t blanks = 0;
  while (text[blanks] != '\0' && (unsigned char) text[blanks] <= ' ')
    blanks++;
  memmove (text, text + blanks, length - blanks + 1);
  return text;
}

/* Cuts LINE at its separator: blanks, "=" or ":", blanks. The value, or NULL when there is no
 * separator. */
static char *
cut_name (char *line)
{
  char *at = line;
  while (*at != '\0' && *at != '=' && *at != ':' && !properties_is_blank (*at))
    at += at[0] == '\\' && at[1] != '\0' ? 2 : 1;
  if (*at == '\0')
    return NULL;
  char *value = at;
  while (properties_is_blank (*value))
    value++;
  if (*value == '=' || *value == ':')
    value++;
  *at = '\0';
  return value;
}

static int
take_line (char *line, struct strlist *pairs)
{
  const char *rest = cut_name (line);
  auto_free char *name = rest == NULL ? NULL : unescape (line);
  auto_free char *value = rest == NULL ? NULL : unescape (rest);
  if (name == NULL || value == NULL || name[0] == '\0')
    return -1;
  strlist_take (pairs, take (&name));
  strlist_take (pairs, properties_trim (take (&value)));
  return 0;
}

int
properties_read (struct bytes text, struct strlist *pairs, struct error *err)
{
  const char *data = text.data == NULL ? "" : text.data;
  struct properties_reader reader = { .at = data, .end = data + text.size, .number = 1 };
  while (properties_find_line (&reader))
    {
      auto_buffer struct buffer line = { 0 };
      int number = reader.number;
      buffer_puts (&line, "");
      read_line (&reader, &line);
      if (memchr (line.data, '\0', line.size) != NULL || take_line (line.data, pairs) != 0)
        return error_set (err, ERROR_USER, "line %d is not NAME=VALUE", number);
    }
  return 0;
}
