#include "storage/web/urls.h"

#include "common/memory.h"
#include "storage/item_path.h"
#include "storage/web/json_text.h"
#include "storage/web/pin.h"
#include "storage/web/url.h"

#include <string.h>

static void
release_entry (struct urls_entry *entry)
{
  free (entry->path);
  free (entry->url);
  free (entry->version);
}

void
urls_release (struct urls *urls)
{
  for (size_t i = 0; i < urls->count; i++)
    release_entry (&urls->entries[i]);
  free (urls->entries);
  *urls = (struct urls){ 0 };
}

/* The path that URL says: below the folder of BASE, else its last component. NULL: none. */
static char *
web_urls_path_of (const char *url, const char *base)
{
  size_t end = url_path_end (base);
  const char *slash = memrchr (base, '/', end);
  size_t folder = slash == NULL ? 0 : (size_t) (slash + 1 - base);
  if (folder == 0 || strncmp (url, base, folder) != 0 || !url_same_server (url, base))
    return url_last_name (url);
  auto_buffer struct buffer path = { 0 };
  const char *last = url + url_path_end (url);
  for (const char *at = url + folder; at <= last;)
    {
      const char *next = memchr (at, '/', (size_t) (last - at));
      size_t size = (size_t) ((next == NULL ? last : next) - at);
      auto_free char *name = url_decode_name (at, size);
      if (name == NULL)
        return url_last_name (url);
      buffer_printf (&path, "%s%s", path.size == 0 ? "" : "/", name);
      if (next == NULL)
        break;
      at = next + 1;
    }
  return buffer_take (&path);
}

/* Completes ENTRY, whose URL is as the list has it, and adds it (all of it is taken). */
static int
web_urls_add (struct urls *urls, struct urls_entry *entry, const char *base, struct error *err)
{
  auto_url struct url url = { 0 };
  int result = url_read (&url, base, entry->url, err);
  if (result == 0 && entry->path == NULL)
    {
      entry->path = web_urls_path_of (url.text, base);
      if (entry->path == NULL)
        {
          auto_free char *shown = http_url_shown (url.text);
          result = error_set (
              err, ERROR_USER,
              "%.300s does not end in a file name: give it one, {\"url\": …, \"path\": …}", shown);
        }
    }
  if (result == 0)
    result = item_path_check (entry->path, err);
  if (result != 0)
    {
      release_entry (entry);
      return -1;
    }
  if (url.authorization == NULL) /* else it is wanted again when the file is fetched */
    {
      free (entry->url);
      entry->url = take (&url.text);
    }
  if (urls->count == urls->capacity)
    {
      urls->capacity = urls->capacity == 0 ? 64 : 2 * urls->capacity;
      urls->entries = xrealloc (urls->entries, urls->capacity, sizeof *urls->entries);
    }
  urls->entries[urls->count++] = *entry;
  return 0;
}

/* ---- JSON ------------------------------------------------------------------------------- */

/* The sum that OBJECT has, if any. */
static int
web_urls_read_sum (const json_t *object, char **version, struct error *err)
{
  static const char *const algorithms[] = { "sha256", "md5" };
  for (size_t i = 0; i < 2; i++)
    {
      auto_free char *hex = json_text_string (object, algorithms[i]);
      if (hex != NULL)
        return (*version = pin_of_sum (algorithms[i], hex, err)) == NULL ? -1 : 0;
      if (json_object_get (object, algorithms[i]) != NULL)
        return error_set (err, ERROR_USER, "\"%s\" is not a string", algorithms[i]);
    }
  auto_free char *both = json_text_string (object, "checksum");
  if (both == NULL)
    return json_object_get (object, "checksum") == NULL
               ? 0
               : error_set (err, ERROR_USER, "\"checksum\" is not a string");
  char *colon = strchr (both, ':');
  if (colon == NULL)
    return error_set (err, ERROR_USER, "\"checksum\" is not like \"sha256:…\"");
  *colon = '\0';
  return (*version = pin_of_sum (both, colon + 1, err)) == NULL ? -1 : 0;
}

static int
web_urls_add_object (struct urls *urls, const json_t *object, const char *base, int line,
                     struct error *err)
{
  const json_t *size = json_object_get (object, "size");
  const json_t *path = json_object_get (object, "path");
  struct urls_entry entry = { .size = -1, .line = line };
  if (size != NULL && !json_is_null (size)
      && (!json_is_integer (size) || json_integer_value (size) < 0))
    return error_set (err, ERROR_USER, "\"size\" is not a number of bytes");
  if (json_is_integer (size))
    entry.size = json_integer_value (size);
  entry.url = json_text_string (object, "url");
  if (entry.url == NULL)
    return error_set (err, ERROR_USER, "\"url\" is missing");
  entry.path = json_text_string (object, "path");
  int result = 0;
  if (path != NULL && !json_is_null (path) && entry.path == NULL)
    result = error_set (err, ERROR_USER, "\"path\" is not a path");
  if (result == 0)
    result = web_urls_read_sum (object, &entry.version, err);
  if (result == 0)
    return web_urls_add (urls, &entry, base, err);
  release_entry (&entry);
  return -1;
}

static int
web_urls_read_json (struct urls *urls, struct bytes text, const char *base, struct error *err)
{
  auto_json_text struct json_text reader = { 0 };
  json_text_start (&reader, text);
  for (int number = 1;; number++)
    {
      json_t *object = NULL;
      int more = json_text_next (&reader, &object, err);
      if (more <= 0)
        return more;
      int result = web_urls_add_object (urls, object, base, number, err);
      json_decref (object);
      if (result != 0)
        return error_wrap (err, "entry %d", number);
    }
}

/* ---- text ------------------------------------------------------------------------------- */

static int
read_text (struct urls *urls, struct bytes text, const char *base, struct error *err)
{
  const char *end = (const char *) text.data + text.size;
  int line = 0;
  for (const char *at = text.data; at < end; line++)
    {
      const char *stop = memchr (at, '\n', (size_t) (end - at));
      const char *last = stop == NULL ? end : stop;
      const char *from = at;
      at = stop == NULL ? end : stop + 1;
      while (from < last && strchr (" \t\r", *from) != NULL && *from != '\0')
        from++;
      while (last > from && strchr (" \t\r", last[-1]) != NULL && last[-1] != '\0')
        last--;
      if (from == last || *from == '#')
        continue;
      if (memchr (from, '\0', (size_t) (last - from)) != NULL)
        return error_set (err, ERROR_USER, "line %d is not text", line + 1);
      struct urls_entry entry = { .url = xstrndup (from, (size_t) (last - from)),
                                  .size = -1,
                                  .line = line + 1 };
      if (web_urls_add (urls, &entry, base, err) != 0)
        return error_wrap (err, "line %d", line + 1);
    }
  return 0;
}

/* ---- the whole -------------------------------------------------------------------------- */

static int
by_path (const void *left, const void *right)
{
  return strcmp (((const struct urls_entry *) left)->path,
                 ((const struct urls_entry *) right)->path);
}

/* A path may be there once, and nothing below a file. */
static int
check_paths (const struct urls *urls, struct error *err)
{
  for (size_t i = 0; i < urls->count; i++)
    {
      const struct urls_entry *entry = &urls->entries[i];
      if (i > 0 && strcmp (urls->entries[i - 1].path, entry->path) == 0)
        return error_set (err, ERROR_USER,
                          "duplicate path %s (entries or lines %d and %d): give one "
                          "another, {\"url\": …, \"path\": …}",
                          entry->path, urls->entries[i - 1].line, entry->line);
      for (const char *slash = strchr (entry->path, '/'); slash != NULL;
           slash = strchr (slash + 1, '/'))
        {
          auto_free char *folder = xstrndup (entry->path, (size_t) (slash - entry->path));
          const struct urls_entry wanted = { .path = folder };
          if (bsearch (&wanted, urls->entries, urls->count, sizeof wanted, by_path) != NULL)
            return error_set (err, ERROR_USER, "%s is listed as a file and as the folder of %s",
                              folder, entry->path);
        }
    }
  return 0;
}

int
urls_read (struct urls *urls, struct bytes text, const char *base, struct error *err)
{
  *urls = (struct urls){ 0 };
  if (text.size >= 3 && memcmp (text.data, "\xef\xbb\xbf", 3) == 0) /* a byte order mark */
    text = (struct bytes){ (const char *) text.data + 3, text.size - 3 };
  const char *start = text.data;
  size_t blank = 0;
  while (blank < text.size && strchr (" \t\r\n", start[blank]) != NULL && start[blank] != '\0')
    blank++;
  bool json = blank < text.size && (start[blank] == '{' || start[blank] == '[');
  if ((json ? web_urls_read_json : read_text) (urls, text, base, err) == 0)
    {
      if (urls->count > 0)
        qsort (urls->entries, urls->count, sizeof *urls->entries, by_path);
      if (check_paths (urls, err) == 0)
        return 0;
    }
  urls_release (urls);
  return -1;
}
