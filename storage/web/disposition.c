#include "storage/web/disposition.h"

#include "common/buffer.h"
#include "common/memory.h"
#include "storage/web/url.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* The value of the parameter at *AT, unquoted, and moves behind it. */
static char *
disposition_value (const char **at)
{
  auto_buffer struct buffer value = { 0 };
  const char *from = *at;
  buffer_append (&value, "", 0);
  if (*from != '"')
    {
      size_t size = strcspn (from, "; \t");
      buffer_append (&value, from, size);
      *at = from + size;
      return buffer_take (&value);
    }
  for (from++; *from != '\0' && *from != '"'; from++)
    {
      if (*from == '\\' && from[1] != '\0')
        from++;
      buffer_putc (&value, *from);
    }
  *at = from + (*from == '"');
  return buffer_take (&value);
}

/* NAME as a file's, behind the last "/" or "\" that a sender may have left in it. */
static char *
disposition_clean (const char *name, bool encoded)
{
  if (encoded) /* charset'language'text */
    {
      const char *quote = strchr (name, '\'');
      const char *second = quote == NULL ? NULL : strchr (quote + 1, '\'');
      if (second == NULL || strncasecmp (name, "UTF-8'", strlen ("UTF-8'")) != 0)
        return NULL;
      name = second + 1;
    }
  auto_free char *text = encoded ? url_decode (name, strlen (name)) : xstrdup (name);
  if (text == NULL)
    return NULL;
  const char *slash = strrchr (text, '/');
  const char *back = strrchr (text, '\\');
  const char *last = slash > back ? slash : back;
  last = last == NULL ? text : last + 1;
  bool valid = last[0] != '\0' && strcmp (last, ".") != 0 && strcmp (last, "..") != 0
               && strlen (last) <= 255;
  return valid ? xstrdup (last) : NULL;
}

char *
disposition_name (const char *header)
{
  auto_free char *plain = NULL;
  auto_free char *encoded = NULL;
  const char *at = header == NULL ? NULL : strchr (header, ';');
  while (at != NULL && *at == ';')
    {
      at += 1 + strspn (at + 1, " \t");
      size_t size = strcspn (at, "=;");
      if (at[size] != '=')
        break;
      const char *key = at;
      at += size + 1;
      auto_free char *value = disposition_value (&at);
      if (size == strlen ("filename*") && strncasecmp (key, "filename*", size) == 0
          && encoded == NULL)
        encoded = disposition_clean (value, true);
      else if (size == strlen ("filename") && strncasecmp (key, "filename", size) == 0
               && plain == NULL)
        plain = disposition_clean (value, false);
      at += strspn (at, " \t");
    }
  return encoded != NULL ? take (&encoded) : take (&plain);
}
