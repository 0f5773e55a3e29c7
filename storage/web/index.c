#include "storage/web/index.h"

#include "common/memory.h"
#include "storage/web/json_text.h"
#include "storage/web/url.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum
{
  TITLE_WITHIN = 4096, /* bytes of a page in which its title is looked for */
  TAG_MAX = 8192,      /* bytes of a tag, and of a link's text */
};

void
index_release (struct index *index)
{
  for (size_t i = 0; i < index->count; i++)
    free (index->entries[i].name);
  free (index->entries);
  *index = (struct index){ 0 };
}

static void
add (struct index *index, struct index_entry entry)
{
  if (index->count == index->capacity)
    {
      index->capacity = index->capacity == 0 ? 64 : 2 * index->capacity;
      index->entries = xrealloc (index->entries, index->capacity, sizeof *index->entries);
    }
  index->entries[index->count++] = entry;
}

/* ---- order ------------------------------------------------------------------------------ */

static int
compare (const struct index_entry *left, const struct index_entry *right)
{
  const char *a = left->name;
  const char *b = right->name;
  while (*a != '\0' && *a == *b)
    {
      a++;
      b++;
    }
  unsigned char last_a = *a == '\0' && left->folder ? '/' : (unsigned char) *a;
  unsigned char last_b = *b == '\0' && right->folder ? '/' : (unsigned char) *b;
  return last_a < last_b ? -1 : last_a > last_b;
}

static int
by_name (const void *left, const void *right)
{
  return compare (left, right);
}

static void
sort (struct index *index)
{
  if (index->count == 0)
    return;
  qsort (index->entries, index->count, sizeof *index->entries, by_name);
  size_t kept = 1;
  for (size_t i = 1; i < index->count; i++)
    if (compare (&index->entries[i], &index->entries[kept - 1]) == 0)
      free (index->entries[i].name);
    else
      index->entries[kept++] = index->entries[i];
  index->count = kept;
}

/* ---- JSON ------------------------------------------------------------------------------- */

static int
add_object (struct index *index, const json_t *object, struct error *err)
{
  auto_free char *given = json_text_string (object, "name");
  const char *type = json_string_value (json_object_get (object, "type"));
  if (given == NULL || type == NULL)
    return error_set (err, ERROR_USER, "an entry without a name or a type");
  bool folder = strcmp (type, "directory") == 0;
  if (!folder && strcmp (type, "file") != 0)
    return 0;
  if (strcmp (given, ".") == 0 || strcmp (given, "..") == 0)
    return 0;
  if (given[0] == '\0' || strchr (given, '/') != NULL || strlen (given) > 255)
    return error_set (err, ERROR_USER, "'%.300s' can't be a file's name", given);
  const json_t *size = json_object_get (object, "size");
  const char *time = json_string_value (json_object_get (object, "mtime"));
  add (index, (struct index_entry){
                  .name = take (&given),
                  .folder = folder,
                  .size = !folder && json_is_integer (size) && json_integer_value (size) >= 0
                              ? json_integer_value (size)
                              : -1,
                  .modified = time == NULL ? -1 : (int64_t) curl_getdate (time, NULL) });
  return 0;
}

static int
read_json (struct index *index, struct bytes page, struct error *err)
{
  auto_json_text struct json_text reader = { 0 };
  json_text_start (&reader, page);
  index->in_seconds = true;
  for (;;)
    {
      json_t *object = NULL;
      int more = json_text_next (&reader, &object, err);
      if (more <= 0)
        return more;
      int result = add_object (index, object, err);
      json_decref (object);
      if (result != 0)
        return -1;
    }
}

/* ---- HTML ------------------------------------------------------------------------------- */

static bool
is_blank (char byte)
{
  return isspace ((unsigned char) byte);
}

/* Appends the character that "&NAME;" stands for; the bytes it takes, 0: it is none. */
static size_t
entity (struct buffer *text, const char *at, size_t left)
{
  static const struct
  {
    const char *name;
    char byte;
  } known[] = {
    { "&amp;", '&' }, { "&lt;", '<' }, { "&gt;", '>' }, { "&quot;", '"' }, { "&apos;", '\'' }
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    {
      size_t length = strlen (known[i].name);
      if (left >= length && strncasecmp (at, known[i].name, length) == 0)
        {
          buffer_putc (text, known[i].byte);
          return length;
        }
    }
  char number[12] = "";
  const char *end = memchr (at, ';', left < sizeof number ? left : sizeof number);
  if (end == NULL || end - at < 3 || at[1] != '#')
    return 0;
  memcpy (number, at + 2, (size_t) (end - at - 2));
  bool hex = number[0] == 'x' || number[0] == 'X';
  char *rest = NULL;
  unsigned long point = strtoul (number + (hex ? 1 : 0), &rest, hex ? 16 : 10);
  if (*rest != '\0' || point == 0 || point > 0x7f)
    return 0; /* what isn't ASCII is %XX in a link */
  buffer_putc (text, (char) point);
  return (size_t) (end + 1 - at);
}

static void
put_text (struct buffer *text, const char *from, size_t size)
{
  for (size_t i = 0; i < size;)
    {
      size_t n = from[i] == '&' ? entity (text, from + i, size - i) : 0;
      if (n == 0)
        buffer_putc (text, from[i]);
      i += n == 0 ? 1 : n;
    }
  buffer_append (text, "", 0);
}

/* The link of the tag from AT to END ("<a …>"): its text into LINK. False: it has none. */
static bool
find_link (const char *at, const char *end, struct buffer *link)
{
  for (at += 2; at < end; at++)
    {
      if (!is_blank (at[-1]) || end - at < 6 || strncasecmp (at, "href", 4) != 0)
        continue;
      const char *value = at + 4;
      while (value < end && is_blank (*value))
        value++;
      if (value == end || *value != '=')
        continue;
      for (value++; value < end && is_blank (*value); value++)
        ;
      if (value == end || (*value != '"' && *value != '\''))
        return false;
      const char *close = memchr (value + 1, *value, (size_t) (end - value - 1));
      if (close == NULL)
        return false;
      put_text (link, value + 1, (size_t) (close - value - 1));
      return true;
    }
  return false;
}

/* "26-Nov-2026 15:46" as seconds, -1. */
static int64_t
read_minute (const char *text)
{
  static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  struct tm tm = { 0 };
  char month[4] = "";
  if (sscanf (text, "%2d-%3[A-Za-z]-%4d %2d:%2d", &tm.tm_mday, month, &tm.tm_year, &tm.tm_hour,
              &tm.tm_min)
          != 5
      || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_year < 1970 || tm.tm_hour < 0 || tm.tm_hour > 23
      || tm.tm_min < 0 || tm.tm_min > 59)
    return -1;
  const char *found = strlen (month) == 3 ? strstr (months, month) : NULL;
  if (found == NULL || (found - months) % 3 != 0)
    return -1;
  tm.tm_mon = (int) (found - months) / 3;
  tm.tm_year -= 1900;
  return (int64_t) timegm (&tm);
}

/* Time and size from what is behind a link: "   26-Nov-2026 15:46       5". */
static void
read_columns (const char *from, const char *end, struct index_entry *entry)
{
  char line[256] = "";
  size_t size = (size_t) (end - from);
  if (size == 0 || size >= sizeof line || memchr (from, '\0', size) != NULL)
    return;
  memcpy (line, from, size);
  const char *at = line + strspn (line, " \t");
  entry->modified = read_minute (at);
  if (entry->modified < 0)
    return;
  at += strcspn (at, " ");
  at += strspn (at, " ");
  at += strcspn (at, " \t");
  at += strspn (at, " \t");
  char *rest = NULL;
  errno = 0;
  long long bytes = strtoll (at, &rest, 10);
  if (!entry->folder && isdigit ((unsigned char) *at) && errno == 0
      && rest[strspn (rest, " \t\r")] == '\0')
    entry->size = bytes;
}

/* The link's target as an entry of the folder; false when it isn't a child of it. */
static bool
read_child (const struct buffer *link, struct index_entry *entry)
{
  if (link->size == 0 || strlen (link->data) != link->size)
    return false;
  const char *text = link->data;
  size_t size = link->size;
  if (strncmp (text, "./", 2) == 0)
    {
      text += 2;
      size -= 2;
    }
  bool folder = size > 1 && text[size - 1] == '/';
  if (memchr (text, '?', size) != NULL || memchr (text, '#', size) != NULL
      || memchr (text, ':', size) != NULL)
    return false;
  char *name = url_decode_name (text, folder ? size - 1 : size);
  *entry = (struct index_entry){ .name = name, .folder = folder, .size = -1, .modified = -1 };
  return name != NULL;
}

static size_t
at_most (const char *from, const char *end, size_t limit)
{
  size_t left = (size_t) (end - from);
  return left < limit ? left : limit;
}

/* The ">" of the tag that begins at AT, NULL. */
static const char *
tag_end (const char *at, const char *end)
{
  char quote = '\0';
  end = at + at_most (at, end, TAG_MAX);
  for (; at < end; at++)
    if (quote != '\0')
      quote = *at == quote ? '\0' : quote;
    else if (*at == '"' || *at == '\'')
      quote = *at;
    else if (*at == '>')
      return at;
  return NULL;
}

static bool
has_title (struct bytes page)
{
  static const char *const titles[] = { "Index of ", "Directory listing " };
  auto_free char *start = xstrndup (page.data, page.size < TITLE_WITHIN ? page.size : TITLE_WITHIN);
  const char *title = strcasestr (start, "<title>");
  if (title == NULL)
    return false;
  title += strlen ("<title>");
  while (is_blank (*title))
    title++;
  for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
    if (strncasecmp (title, titles[i], strlen (titles[i])) == 0)
      return true;
  return false;
}

static int
read_html (struct index *index, struct bytes page, struct error *err)
{
  if (page.size == 0 || !has_title (page))
    return error_set (err, ERROR_USER,
                      "the page isn't a folder's listing (nginx's autoindex makes them, and other "
                      "pages titled \"Index of …\")");
  const char *end = (const char *) page.data + page.size;
  for (const char *at = page.data; at != NULL; at = memchr (at, '<', (size_t) (end - at)))
    {
      bool anchor = end - at > 3 && (at[1] == 'a' || at[1] == 'A') && is_blank (at[2]);
      const char *close = anchor ? tag_end (at, end) : NULL;
      auto_buffer struct buffer link = { 0 };
      struct index_entry entry;
      if (close != NULL && find_link (at, close, &link) && read_child (&link, &entry))
        {
          const char *shut = memmem (close, at_most (close, end, TAG_MAX), "</a>", 4);
          const char *columns = shut == NULL ? end : shut + 4;
          const char *line = memchr (columns, '\n', at_most (columns, end, TAG_MAX));
          read_columns (columns, line == NULL ? end : line, &entry);
          add (index, entry);
        }
      at = close == NULL ? at + 1 : close;
    }
  return 0;
}

int
index_read (struct index *index, struct bytes page, const char *type, struct error *err)
{
  *index = (struct index){ 0 };
  const char *text = page.data;
  size_t blank = 0;
  while (blank < page.size && is_blank (text[blank]))
    blank++;
  bool looks = blank < page.size && text[blank] == '[';
  bool json = type == NULL ? looks : strncasecmp (type, "application/json", 16) == 0 || looks;
  if ((json ? read_json : read_html) (index, page, err) != 0)
    {
      index_release (index);
      return -1;
    }
  sort (index);
  return 0;
}
