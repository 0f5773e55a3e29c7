/* What is there: a folder's listings, a list's URLs, or one file. */
#include "storage/web/index.h"
#include "storage/web/peek.h"
#include "storage/web/request.h"
#include "storage/web/urls.h"

#include "common/memory.h"
#include "common/units.h"

#include <string.h>

enum
{
  PAGE_MAX = 256 << 20, /* bytes of one folder's listing, or of a list */
  DEPTH_MAX = 256,
  FOLDERS_MAX = 1000 * 1000,
  ZONE_STEP = 15 * 60, /* seconds that zones differ by */
  ZONE_MAX = 14 * 3600,
};

struct walk
{
  const struct web *web;
  const struct storage_visitor *visitor;
  struct http *http;
  struct buffer path; /* of the current entry */
  long long folders;  /* listed so far … */
  long long at_most;  /* … of so many: folders that contain themselves have no end */
  bool zone_known;    /* of times in listings that are in minutes */
  int64_t zone;       /* seconds to add to them; -1: it can't be told */
  bool visitor_ended; /* what it said speaks for itself */
};

static const char *
walk_path (const struct walk *walk)
{
  return walk->path.data == NULL ? "" : walk->path.data;
}

static int
visit (struct walk *walk, const struct storage_entry *entry, struct error *err)
{
  int result = walk->visitor->entry (walk->visitor->context, entry, err);
  walk->visitor_ended = result != 0;
  return result;
}

static bool
is_wanted (const struct walk *walk, const char *path)
{
  const struct storage_visitor *visitor = walk->visitor;
  return visitor->wanted == NULL || visitor->wanted (visitor->context, path, strlen (path));
}

/* All of a document, into CALL's `answer`. */
static int
get_page (struct walk *walk, struct http_call *call, const char *url, struct error *err)
{
  web_call_init (walk->web, call, url);
  call->limit = PAGE_MAX;
  if (http_perform (walk->http, call, err) == 0)
    return 0;
  if (call->status >= 300)
    web_explain ((void *) (uintptr_t) walk->web, call, err);
  return -1;
}

/* ---- folders ---------------------------------------------------------------------------- */

static int list_folder (struct walk *walk, int depth, struct error *err);

/* Learns from the file URL, which was listed with the time MODIFIED, in which zone listings are. */
static void
learn_zone (struct walk *walk, const char *url, int64_t modified)
{
  struct web_peek peek = { 0 };
  walk->zone_known = true;
  walk->zone = -1;
  if (web_look (walk->web, walk->http, url, &peek, NULL) == 0 && peek.modified >= 0)
    {
      int64_t zone = peek.modified - peek.modified % 60 - modified;
      if (zone % ZONE_STEP == 0 && zone <= ZONE_MAX && zone >= -ZONE_MAX)
        walk->zone = zone;
    }
  web_peek_release (&peek);
}

/* The version that the listing tells of a file, or NULL. */
static char *
version_of (struct walk *walk, const struct index *index, const struct index_entry *entry,
            const char *url)
{
  if (entry->modified < 0)
    return NULL;
  if (index->in_seconds)
    return xasprintf ("modified %lld", (long long) entry->modified);
  if (!walk->zone_known)
    learn_zone (walk, url, entry->modified);
  if (walk->zone % ZONE_STEP != 0)
    return NULL;
  return xasprintf ("minute %lld", (long long) ((entry->modified + walk->zone) / 60));
}

static int
visit_file (struct walk *walk, const struct index *index, const struct index_entry *found,
            struct error *err)
{
  bool wanted = is_wanted (walk, walk_path (walk));
  auto_free char *url = wanted ? web_url (walk->web, walk->path.data, false) : NULL;
  auto_free char *version = wanted ? version_of (walk, index, found, url) : NULL;
  struct storage_entry entry = {
    .path = walk->path.data, .path_size = walk->path.size, .size = found->size, .version = version
  };
  auto_web_peek struct web_peek peek = { 0 };
  if (wanted && entry.size < 0 && walk->visitor->want_sizes)
    {
      if (web_look (walk->web, walk->http, url, &peek, err) != 0)
        return error_wrap (err, "%s", walk_path (walk));
      if (web_need_size (peek.size, err) != 0)
        return error_wrap (err, "%s", walk_path (walk));
      entry.size = peek.size;
      entry.version = peek.version;
    }
  return visit (walk, &entry, err);
}

static int
visit_folder (struct walk *walk, int depth, struct error *err)
{
  const struct storage_entry entry = {
    .path = walk->path.data, .path_size = walk->path.size, .folder = true, .size = -1
  };
  int result = visit (walk, &entry, err);
  if (result != 0 || walk->visitor->shallow
      || !walk->visitor->enter (walk->visitor->context, walk->path.data, walk->path.size))
    return result;
  return list_folder (walk, depth + 1, err);
}

static int
read_folder (struct walk *walk, struct index *index, struct error *err)
{
  auto_http_call struct http_call call = { 0 };
  auto_free char *url = web_url (walk->web, walk_path (walk), true);
  int result = get_page (walk, &call, url, err);
  if (result == 0)
    result =
        index_read (index, buffer_bytes (&call.answer), http_header (&call, "content-type"), err);
  return result == 0 || walk->path.size == 0 ? result : error_wrap (err, "%s/", walk_path (walk));
}

/* The folder at the current path, and all below it. */
static int
list_folder (struct walk *walk, int depth, struct error *err)
{
  if (depth > DEPTH_MAX)
    return error_set (err, ERROR_USER, "%s: folders are nested deeper than %d", walk_path (walk),
                      (int) DEPTH_MAX);
  if (++walk->folders > walk->at_most)
    return error_set (err, ERROR_USER,
                      "%s/: more than %lld folders: does one contain itself? (SHOAL_WEB_FOLDERS is "
                      "how many there may be)",
                      walk_path (walk), walk->at_most);
  auto_index struct index index = { 0 };
  if (read_folder (walk, &index, err) != 0)
    return -1;
  size_t size = walk->path.size;
  int result = 0;
  for (size_t i = 0; result == 0 && i < index.count; i++)
    {
      const struct index_entry *entry = &index.entries[i];
      if (size > 0)
        buffer_putc (&walk->path, '/');
      buffer_puts (&walk->path, entry->name);
      result =
          entry->folder ? visit_folder (walk, depth, err) : visit_file (walk, &index, entry, err);
      walk->path.size = size;
      walk->path.data[size] = '\0';
    }
  return result;
}

/* ---- one file, lists -------------------------------------------------------------------- */

static int
list_file (struct walk *walk, const struct web_peek *peek, struct error *err)
{
  const char *name = walk->web->file;
  if (name == NULL)
    return error_set (err, ERROR_USER, "it doesn't end in a file's name");
  if (walk->visitor->want_sizes && web_need_size (peek->size, err) != 0)
    return -1;
  const struct storage_entry entry = {
    .path = name, .path_size = strlen (name), .size = peek->size, .version = peek->version
  };
  return visit (walk, &entry, err);
}

/* Tells of the folders that PATH is in and the last one's, in walk->path, isn't. 1 in *SKIPPED: one
 * of them isn't entered, and walk->path is it. */
static int
enter_folders (struct walk *walk, const char *path, bool *skipped, struct error *err)
{
  const struct storage_visitor *visitor = walk->visitor;
  const char *slash = strrchr (path, '/');
  size_t end = slash == NULL ? 0 : (size_t) (slash + 1 - path);
  size_t same = 0;
  for (size_t i = 0; i < walk->path.size && i < end && path[i] == walk->path.data[i]; i++)
    if (path[i] == '/')
      same = i + 1;
  walk->path.size = same;
  buffer_append (&walk->path, "", 0);
  while (walk->path.size < end)
    {
      size_t size = (size_t) (strchr (path + walk->path.size, '/') - path);
      auto_free char *name = xstrndup (path, size);
      const struct storage_entry entry = {
        .path = name, .path_size = size, .folder = true, .size = -1
      };
      int result = visit (walk, &entry, err);
      if (result != 0)
        return result;
      buffer_append (&walk->path, path + walk->path.size, size + 1 - walk->path.size);
      if (visitor->shallow || !visitor->enter (visitor->context, name, size))
        {
          *skipped = true;
          return 0;
        }
    }
  return 0;
}

static int
visit_url (struct walk *walk, const struct urls_entry *found, struct error *err)
{
  const struct storage_entry entry = { .path = found->path,
                                       .path_size = strlen (found->path),
                                       .size = found->size,
                                       .version = found->version,
                                       .source = found->url };
  return visit (walk, &entry, err);
}

/* Whether PATH of a list will be told of, as far as can be said before its folders are entered. */
static bool
may_be_wanted (void *context, const char *path)
{
  return is_wanted (context, path);
}

static int
list_urls (struct walk *walk, struct error *err)
{
  auto_http_call struct http_call call = { 0 };
  auto_urls struct urls urls = { 0 };
  if (get_page (walk, &call, walk->web->url.text, err) != 0
      || urls_read (&urls, buffer_bytes (&call.answer), walk->web->url.text, err) != 0)
    return -1;
  buffer_release (&call.answer);
  if (walk->visitor->want_sizes && web_look_all (walk->web, &urls, may_be_wanted, walk, err) != 0)
    return -1;
  bool skipped = false;
  for (size_t i = 0; i < urls.count; i++)
    {
      const struct urls_entry *entry = &urls.entries[i];
      if (skipped && strncmp (entry->path, walk->path.data, walk->path.size) == 0)
        continue;
      skipped = false;
      int result = enter_folders (walk, entry->path, &skipped, err);
      if (result == 0 && !skipped)
        result = visit_url (walk, entry, err);
      if (result != 0)
        return result;
    }
  return 0;
}

static int
list_root (struct walk *walk, struct error *err)
{
  const struct web *web = walk->web;
  if (web->kind == WEB_FOLDER)
    return list_folder (walk, 0, err);
  if (web->kind == WEB_LIST)
    return list_urls (walk, err);
  auto_web_peek struct web_peek peek = { 0 };
  if (web_look (web, walk->http, web->url.text, &peek, err) != 0)
    return -1;
  return web->kind == WEB_UNKNOWN && web_is_list_type (peek.type) ? list_urls (walk, err)
                                                                  : list_file (walk, &peek, err);
}

int
web_list (struct storage *storage, const struct storage_visitor *visitor, struct error *err)
{
  struct web *web = (struct web *) storage;
  struct error own = ERROR_INIT;
  if (err == NULL)
    err = &own;
  if (!visitor->enter (visitor->context, "", 0))
    return 0;
  const struct http_options options = { .connections = 1, .halt = web->base.halt };
  struct walk walk = { .web = web,
                       .visitor = visitor,
                       .http = http_new (&options),
                       .at_most = units_from_env ("SHOAL_WEB_FOLDERS", FOLDERS_MAX) };
  int result = list_root (&walk, err);
  http_free (walk.http);
  buffer_release (&walk.path);
  return result == -1 && !walk.visitor_ended ? error_wrap (err, "%s", web->shown) : result;
}
