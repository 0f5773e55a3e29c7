/* nginx's listings in XML: <directory mtime="…">name</directory>, <file mtime="…" size="…">. */
#include "common/memory.h"
#include "storage/web/index_internal.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

static int64_t
xml_size (const char *text)
{
  char *end = NULL;
  errno = 0;
  long long size = strtoll (text, &end, 10);
  return isdigit ((unsigned char) text[0]) && errno == 0 && *end == '\0' ? size : -1;
}

static int
xml_add (struct index *index, const char *tag, const char *close, const char *stop, bool folder,
         struct error *err)
{
  auto_buffer struct buffer name = { 0 };
  auto_buffer struct buffer time = { 0 };
  auto_buffer struct buffer size = { 0 };
  const char *rest = NULL;
  markup_put_text (&name, close + 1, (size_t) (stop - close - 1));
  if (name.size == 0 || strlen (name.data) != name.size || strchr (name.data, '/') != NULL
      || name.size > 255 || strcmp (name.data, ".") == 0 || strcmp (name.data, "..") == 0)
    return error_set (err, ERROR_USER, "'%.300s' is not a valid file name",
                      name.data == NULL ? "" : name.data);
  struct index_entry entry = { .folder = folder, .size = -1, .modified.clock = -1 };
  if (markup_attribute (tag, close, "mtime", &time))
    entry.modified = row_time (time.data, &rest);
  if (!folder && markup_attribute (tag, close, "size", &size))
    entry.size = xml_size (size.data);
  entry.name = buffer_take (&name);
  index_add (index, entry);
  return 0;
}

int
index_read_xml (struct index *index, struct bytes page, struct error *err)
{
  const char *end = (const char *) page.data + page.size;
  index->tells_folders = true;
  for (const char *at = page.data; at != NULL; at = memchr (at, '<', (size_t) (end - at)))
    {
      bool folder = markup_is_tag (at, end, "directory");
      const char *close =
          folder || markup_is_tag (at, end, "file") ? markup_tag_end (at, end) : NULL;
      const char *stop = close == NULL ? NULL : memchr (close, '<', (size_t) (end - close));
      if (close == NULL)
        {
          at++;
          continue;
        }
      if (stop == NULL)
        return error_set (err, ERROR_USER, "the listing is cut off");
      if (xml_add (index, at, close, stop, folder, err) != 0)
        return -1;
      at = stop;
    }
  return 0;
}
