#include "common/path.h"

#include "common/buffer.h"
#include "common/memory.h"

#include <string.h>

char *
path_normal (const char *path, struct error *err)
{
  auto_buffer struct buffer normal = { 0 };
  if (path[0] == '\0')
    {
      (void) error_set (err, ERROR_USER, "the path is empty");
      return NULL;
    }
  for (const char *at = path; *at != '\0';)
    {
      size_t length = strcspn (at, "/");
      if (length == 2 && at[0] == '.' && at[1] == '.')
        {
          (void) error_set (err, ERROR_USER, "%s: a path can't contain \"..\"", path);
          return NULL;
        }
      if (length > 0 && !(length == 1 && at[0] == '.'))
        {
          buffer_putc (&normal, '/');
          buffer_append (&normal, at, length);
        }
      at += length;
      at += strspn (at, "/");
    }
  if (normal.size == 0)
    buffer_putc (&normal, '/');
  return buffer_take (&normal);
}

const char *
path_below (const char *path, const char *base)
{
  size_t length = strcmp (base, "/") == 0 ? 0 : strlen (base);
  if (strncmp (path, base, length) != 0)
    return NULL;
  if (path[length] == '\0')
    return path + length;
  return path[length] == '/' ? path + length + 1 : NULL;
}

char *
path_common (const char *path_a, const char *path_b)
{
  size_t border = 0;
  for (size_t i = 0;; i++)
    {
      bool end_a = path_a[i] == '/' || path_a[i] == '\0';
      bool end_b = path_b[i] == '/' || path_b[i] == '\0';
      if (end_a && end_b)
        border = i;
      if (path_a[i] != path_b[i] || path_a[i] == '\0')
        break;
    }
  return border == 0 ? xstrdup ("/") : xstrndup (path_a, border);
}

char *
path_join (const char *base, const char *rest)
{
  if (rest[0] == '\0')
    return xstrdup (base);
  size_t length = strlen (base);
  const char *slash = length > 0 && base[length - 1] == '/' ? "" : "/";
  return xasprintf ("%s%s%s", base, slash, rest);
}
