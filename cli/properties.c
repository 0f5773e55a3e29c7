#include "cli/properties.h"

#include "common/memory.h"

#include <string.h>

struct reader
{
  const char *at;
  const char *end;
  int number; /* of the line at AT */
};

static bool
is_blank (char byte)
{
  return byte == ' ' || byte == '\t' || byte == '\f';
}

static bool
is_end (char byte)
{
  return byte == '\n' || byte == '\r';
}

static void
skip_blanks (struct reader *reader)
{
  while (reader->at < reader->end && is_blank (*reader->at))
    reader->at++;
}

/* Moves behind "\n", "\r" or "\r\n". */
static void
skip_end (struct reader *reader)
{
  bool two = reader->end - reader->at > 1 && reader->at[0] == '\r' && reader->at[1] == '\n';
  reader->at += two ? 2 : 1;
  reader->number++;
}

/* Moves to the first line that says something: false when there is none left. */
static bool
find_line (struct reader *reader)
{
  for (;;)
    {
      skip_blanks (reader);
      if (reader->at == reader->end)
        return false;
      if (*reader->at == '#' || *reader->at == '!')
        while (reader->at < reader->end && !is_end (*reader->at))
          reader->at++;
      else if (!is_end (*reader->at))
        return true;
      if (reader->at < reader->end)
        skip_end (reader);
    }
}

/* Reads a line and those in which it goes on; escapes stay. */
static void
read_line (struct reader *reader, struct buffer *line)
{
  while (reader->at < reader->end && !is_end (*reader->at))
    {
      char byte = *reader->at++;
      if (byte != '\\')
        buffer_putc (line, byte);
      else if (reader->at == reader->end)
        return;
      else if (is_end (*reader->at))
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

static void
put_utf8 (struct buffer *out, uint32_t code)
{
  static const unsigned char marks[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
  int bytes = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  if (bytes == 1)
    {
      buffer_putc (out, (char) code);
      return;
    }
  buffer_putc (out, (char) (marks[bytes] | code >> 6 * (bytes - 1)));
  for (int i = bytes - 2; i >= 0; i--)
    buffer_putc (out, (char) (0x80 | (code >> 6 * i & 0x3f)));
}

/* The four hexadecimal digits at TEXT, -1 when they aren't. */
static int32_t
read_hex (const char *text)
{
  char digits[5] = { 0 };
  for (int i = 0; i < 4; i++)
    {
      if (text[i] == '\0' || strchr ("0123456789abcdefABCDEF", text[i]) == NULL)
        return -1;
      digits[i] = text[i];
    }
  return (int32_t) strtol (digits, NULL, 16);
}

/* Reads what is behind "\u", one code point in UTF-16. False when it is none. */
static bool
read_code (const char **at, uint32_t *code)
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
      else if (read_code (&text, &code))
        put_utf8 (&out, code);
      else
        return NULL;
    }
  return buffer_take (&out);
}

static char *
trim (char *text)
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
  while (*at != '\0' && *at != '=' && *at != ':' && !is_blank (*at))
    at += at[0] == '\\' && at[1] != '\0' ? 2 : 1;
  if (*at == '\0')
    return NULL;
  char *value = at;
  while (is_blank (*value))
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
  strlist_take (pairs, trim (take (&value)));
  return 0;
}

int
properties_read (struct bytes text, struct strlist *pairs, struct error *err)
{
  const char *data = text.data == NULL ? "" : text.data;
  struct reader reader = { .at = data, .end = data + text.size, .number = 1 };
  while (find_line (&reader))
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
