/* What is there: a folder's listings, a list's URLs, or one file. */
#include "storage/web/peek.h"
#include "storage/web/request.h"
#include "storage/web/urls.h"
#include "storage/web/walk.h"

#include "common/memory.h"
#include "common/units.h"

#include <string.h>

enum
{
  FOLDERS_MAX = 1000 * 1000,
};

/* ---- one file, lists -------------------------------------------------------------------- */

static int
list_file (struct web_walk *walk, const struct web_peek *peek, struct error *err)
{
  const char *name = peek->named != NULL ? peek->named : walk->web->file;
  if (name == NULL)
    return error_set (err, ERROR_USER, "the URL does not end in a file name");
  if (walk->visitor->want_sizes && web_need_size (peek->size, err) != 0)
    return -1;
  const struct storage_entry entry = {
    .path = name, .path_size = strlen (name), .size = peek->size, .version = peek->version
  };
  return web_walk_visit (walk, &entry, err);
}

/* Tells of the folders that PATH is in and the last one's, in walk->path, isn't. 1 in *SKIPPED: one
 * of them isn't entered, and walk->path is it. */
static int
web_list_enter_folders (struct web_walk *walk, const char *path, bool *skipped, struct error *err)
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
      int result = web_walk_visit (walk, &entry, err);
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
visit_url (struct web_walk *walk, const struct urls_entry *found, struct error *err)
{
  const struct storage_entry entry = { .path = found->path,
                                       .path_size = strlen (found->path),
                                       .size = found->size,
                                       .version = found->version,
                                       .source = found->url };
  return web_walk_visit (walk, &entry, err);
}

/* Whether PATH of a list will be told of, as far as can be said before its folders are entered. */
static bool
may_be_wanted (void *context, const char *path)
{
  return web_walk_wants (context, path);
}

static int
list_urls (struct web_walk *walk, struct error *err)
{
  auto_http_call struct http_call call = { 0 };
  auto_urls struct urls urls = { 0 };
  if (web_walk_get (walk, &call, walk->web->url.text, err) != 0
      || urls_read (&urls, buffer_bytes (&call.answer), walk->web->url.text, err) != 0)
    return -1;
  buffer_release (&call.answer);
  if (walk->visitor->want_sizes && web_probe_all (walk->web, &urls, may_be_wanted, walk, err) != 0)
    return -1;
  bool skipped = false;
  for (size_t i = 0; i < urls.count; i++)
    {
      const struct urls_entry *entry = &urls.entries[i];
      if (skipped && strncmp (entry->path, walk->path.data, walk->path.size) == 0)
        continue;
      skipped = false;
      int result = web_list_enter_folders (walk, entry->path, &skipped, err);
      if (result == 0 && !skipped)
        result = visit_url (walk, entry, err);
      if (result != 0)
        return result;
    }
  return 0;
}

/* The source turned out to be a folder whose "/" was forgotten. */
static int
list_as_folder (struct web_walk *walk, struct error *err)
{
  struct web *web = walk->web;
  size_t end = url_path_end (web->url.text);
  char *url = xasprintf ("%.*s/%s", (int) end, web->url.text, web->url.text + end);
  free (web->url.text);
  web->url.text = url;
  web->kind = WEB_FOLDER;
  walk->by_source = true; /* who fetches opens the source as it was said */
  return web_walk_folders (walk, err);
}

static int
list_root (struct web_walk *walk, struct error *err)
{
  const struct web *web = walk->web;
  if (web->kind == WEB_FOLDER)
    return web_walk_folders (walk, err);
  if (web->kind == WEB_LIST)
    return list_urls (walk, err);
  auto_web_peek struct web_peek peek = { .url = web->url.text };
  if (web_probe (web, walk->http, &peek, err) != 0)
    return -1;
  if (web->kind == WEB_UNKNOWN && (peek.folder || web_walk_is_page (walk, &peek, web->file)))
    return list_as_folder (walk, err);
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
  struct web_walk walk = { .web = web,
                           .visitor = visitor,
                           .http = http_new (&options),
                           .at_most = units_from_env ("SHOAL_WEB_FOLDERS", FOLDERS_MAX) };
  int result = list_root (&walk, err);
  http_free (walk.http);
  web_zones_release (&walk.zones);
  buffer_release (&walk.path);
  return result == -1 && !walk.visitor_ended ? error_wrap (err, "%s", web->shown) : result;
}
