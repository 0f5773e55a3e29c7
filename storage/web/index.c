/* A listing's form, told by its media type and its first bytes. */
#include "storage/web/index_internal.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool
web_index_begins (struct bytes page, size_t at, const char *with)
{
  size_t size = strlen (with);
  return page.size - at >= size && strncasecmp ((const char *) page.data + at, with, size) == 0;
}

static bool
web_index_is_type (const char *type, const char *wanted)
{
  return type != NULL && strncasecmp (type, wanted, strlen (wanted)) == 0;
}

int
index_read (struct index *index, const char *url, struct bytes page, const char *type,
            struct error *err)
{
  *index = (struct index){ 0 };
  const char *text = page.data;
  size_t blank = 0;
  if (page.size >= 3 && memcmp (text, "\xef\xbb\xbf", 3) == 0)
    blank = 3;
  while (blank < page.size && isspace ((unsigned char) text[blank]))
    blank++;
  page = (struct bytes){ text + blank, page.size - blank };
  int result = 0;
  if (web_index_is_type (type, "application/json") || web_index_begins (page, 0, "["))
    result = index_read_json (index, page, err);
  else if (web_index_begins (page, 0, "<?xml") && !web_index_is_type (type, "application/xhtml")
           && memmem (page.data, page.size, "<list>", 6) != NULL)
    result = index_read_xml (index, page, err);
  else
    result = index_read_html (index, url, page, err);
  if (result != 0)
    {
      index_release (index);
      return -1;
    }
  index_sort (index);
  return 0;
}
