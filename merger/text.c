#include "merger/text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

void
text_set_bytes (json_t *object, const char *key, const char *bytes)
{
  json_t *string = json_string (bytes);
  if (string != NULL)
    {
      (void) json_object_set_new (object, key, string);
      return;
    }
  auto_buffer struct buffer percent = { 0 };
  for (const unsigned char *at = (const unsigned char *) bytes; *at != '\0'; at++)
    if (isalnum (*at) || strchr ("/._-", *at) != NULL)
      buffer_putc (&percent, (char) *at);
    else
      buffer_printf (&percent, "%%%02X", *at);
  char name[64];
  (void) snprintf (name, sizeof name, "%s_percent", key);
  (void) json_object_set_new (object, name, json_string (percent.data));
}

char *
text_printable (const char *text)
{
  struct buffer out = { 0 };
  json_t *valid = json_string (text);
  for (const unsigned char *at = (const unsigned char *) text; *at != '\0'; at++)
    if (*at < ' ' || *at == 0x7f || (valid == NULL && *at > 0x7f))
      buffer_printf (&out, "\\x%02X", *at);
    else
      buffer_putc (&out, (char) *at);
  json_decref (valid);
  return buffer_take (&out);
}

void
text_append_html (struct buffer *out, const char *text)
{
  json_t *valid = json_string (text);
  for (const unsigned char *at = (const unsigned char *) text; *at != '\0'; at++)
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
        buffer_putc (out, valid == NULL && *at > 0x7e ? '?' : (char) *at);
      }
  json_decref (valid);
}
