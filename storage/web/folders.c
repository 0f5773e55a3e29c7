/* Folders, page by page: what each names, and what the page doesn't tell of it, asked for. */
#include "common/memory.h"
#include "storage/web/index.h"
#include "storage/web/peek.h"
#include "storage/web/request.h"
#include "storage/web/walk.h"

#include <string.h>
#include <strings.h>

enum
{
  DEPTH_MAX = 256,
  FIRST_LOOKS = 32, /* files that show whether a server tells versions */
  LOOKS_MAX = 1024, /* files asked for in one go, which are in memory */
};

static int web_folder_list (struct web_walk *walk, int depth, struct error *err);

/* The path of ENTRY in the current folder. The caller frees. */
static char *
web_folder_path_of (const struct web_walk *walk, const struct index_entry *entry)
{
  return walk->path.size == 0 ? xstrdup (entry->name)
                              : xasprintf ("%s/%s", web_walk_path (walk), entry->name);
}

/* ---- what a page doesn't tell ----------------------------------------------------------- */

/* Files of a page that are asked for together. */
struct web_folder_looks
{
  struct web_peek peeks[LOOKS_MAX];
  struct index_entry *entries[LOOKS_MAX];
  bool wanted[LOOKS_MAX];
  size_t count;
};

bool
web_walk_is_page (struct web_walk *walk, const struct web_peek *peek, const char *name)
{
  const char *dot = name == NULL ? NULL : strrchr (name, '.');
  bool named =
      dot != NULL && (strncasecmp (dot, ".htm", 4) == 0 || strcasecmp (dot, ".xhtml") == 0);
  if (named || peek->version != NULL || peek->type == NULL
      || strncasecmp (peek->type, "text/html", strlen ("text/html")) != 0)
    return false;
  auto_http_call struct http_call call = { 0 };
  auto_index struct index index = { 0 };
  auto_free char *slashed = xasprintf ("%s/", peek->url);
  return web_walk_get (walk, &call, peek->url, NULL) == 0
         && index_read (&index, slashed, buffer_bytes (&call.answer), "text/html", NULL) == 0
         && index.titled;
}

/* Whether what PEEK, which was listed as a file, has learned is a folder. */
static bool
web_folder_is_folder (struct web_walk *walk, const struct web_peek *peek, const char *name)
{
  return peek->folder
         || (!walk->tells_folders && peek->told && web_walk_is_page (walk, peek, name));
}

/* Asks for LOOKS, puts what they tell into the entries. */
static int
web_folder_ask (struct web_walk *walk, struct web_folder_looks *looks, struct error *err)
{
  int result = web_peek_all (walk->web, looks->peeks, looks->count, err);
  bool told = false;
  for (size_t i = 0; i < looks->count; i++)
    {
      struct web_peek *peek = &looks->peeks[i];
      struct index_entry *entry = looks->entries[i];
      told = told || peek->version != NULL || !peek->told;
      if (result == 0 && web_folder_is_folder (walk, peek, entry->name))
        {
          entry->folder = true;
          entry->size = -1;
        }
      else if (result == 0 && looks->wanted[i])
        {
          if (peek->version != NULL)
            {
              free (entry->version);
              entry->version = take (&peek->version);
            }
          if (entry->size < 0)
            entry->size = peek->size;
          if (walk->visitor->want_sizes && web_need_size (entry->size, err) != 0)
            result = error_wrap (err, "%s", peek->name);
        }
      free ((char *) (uintptr_t) peek->url);
      free ((char *) (uintptr_t) peek->name);
      web_peek_release (peek);
    }
  if (!walk->asked && looks->count > 0)
    walk->tells_nothing = !told;
  walk->asked = walk->asked || looks->count > 0;
  looks->count = 0;
  return result;
}

/* Whether ENTRY, a file at PATH as far as the page tells, must be asked for; its version where the
 * page tells it. */
static bool
web_folder_must_ask (struct web_walk *walk, struct index_entry *entry, const char *path,
                     const char *url, bool wanted)
{
  const struct storage_visitor *visitor = walk->visitor;
  bool unsure = !walk->tells_folders
                && (wanted || visitor->holds == NULL
                    || visitor->holds (visitor->context, path, strlen (path)));
  if (!wanted)
    return unsure;
  entry->version = web_zones_version (&walk->zones, walk->web, walk->http, &entry->modified, url);
  return unsure || (visitor->want_sizes && entry->size < 0)
         || (entry->version == NULL && !walk->tells_nothing);
}

/* Learns of INDEX's entries what the page doesn't tell. */
static int
web_folder_complete (struct web_walk *walk, struct index *index, struct error *err)
{
  auto_free struct web_folder_looks *looks = xcalloc (1, sizeof *looks);
  int result = 0;
  walk->tells_folders = walk->tells_folders || index->tells_folders;
  for (size_t i = 0; i < index->count && result == 0; i++)
    {
      struct index_entry *entry = &index->entries[i];
      if (entry->folder)
        continue;
      auto_free char *path = web_folder_path_of (walk, entry);
      bool wanted = web_walk_wants (walk, path);
      auto_free char *url =
          wanted || !walk->tells_folders ? web_url (walk->web, path, false) : NULL;
      if (url == NULL || !web_folder_must_ask (walk, entry, path, url, wanted))
        continue;
      looks->entries[looks->count] = entry;
      looks->wanted[looks->count] = wanted;
      looks->peeks[looks->count++] =
          (struct web_peek){ .url = take (&url), .name = take (&path), .listed = true };
      if (looks->count == (walk->asked ? LOOKS_MAX : FIRST_LOOKS))
        result = web_folder_ask (walk, looks, err);
    }
  return web_folder_ask (walk, looks, result == 0 ? err : NULL) == 0 ? result : -1;
}

/* ---- entries ---------------------------------------------------------------------------- */

static int
web_folder_visit_file (struct web_walk *walk, const struct index_entry *found, struct error *err)
{
  auto_free char *url = walk->by_source ? web_url (walk->web, walk->path.data, false) : NULL;
  const struct storage_entry entry = { .path = walk->path.data,
                                       .path_size = walk->path.size,
                                       .size = found->size,
                                       .version = found->version,
                                       .source = url };
  const struct storage_visitor *visitor = walk->visitor;
  if (found->version == NULL && visitor->left_out != NULL && web_walk_wants (walk, walk->path.data))
    visitor->left_out (visitor->context, walk->path.data, walk->path.size, STORAGE_LEFT_PIN);
  return web_walk_visit (walk, &entry, err);
}

static int
web_folder_visit_folder (struct web_walk *walk, int depth, struct error *err)
{
  const struct storage_entry entry = {
    .path = walk->path.data, .path_size = walk->path.size, .folder = true, .size = -1
  };
  int result = web_walk_visit (walk, &entry, err);
  if (result != 0 || walk->visitor->shallow
      || !walk->visitor->enter (walk->visitor->context, walk->path.data, walk->path.size))
    return result;
  return web_folder_list (walk, depth + 1, err);
}

static int
web_folder_read (struct web_walk *walk, struct index *index, struct error *err)
{
  auto_http_call struct http_call call = { 0 };
  auto_free char *url = web_url (walk->web, web_walk_path (walk), true);
  int result = web_walk_get (walk, &call, url, err);
  if (result == 0)
    result = index_read (index, call.location == NULL ? url : call.location,
                         buffer_bytes (&call.answer), http_header (&call, "content-type"), err);
  return result == 0 || walk->path.size == 0 ? result
                                             : error_wrap (err, "%s/", web_walk_path (walk));
}

static void
web_folder_tell_left_over (const struct web_walk *walk, const struct index *index)
{
  const struct storage_visitor *visitor = walk->visitor;
  for (int64_t i = 0; i < index->elsewhere && visitor->left_out != NULL; i++)
    visitor->left_out (visitor->context, index->example, strlen (index->example),
                       STORAGE_LEFT_ELSEWHERE);
}

/* The folder at the current path, and all below it. */
static int
web_folder_list (struct web_walk *walk, int depth, struct error *err)
{
  if (depth > DEPTH_MAX)
    return error_set (err, ERROR_USER, "%s: folders are nested deeper than %d",
                      web_walk_path (walk), (int) DEPTH_MAX);
  if (++walk->folders > walk->at_most)
    return error_set (err, ERROR_USER,
                      "%s/: more than %lld folders: does one contain itself? (SHOAL_WEB_FOLDERS is "
                      "how many there may be)",
                      web_walk_path (walk), walk->at_most);
  auto_index struct index index = { 0 };
  if (web_folder_read (walk, &index, err) != 0 || web_folder_complete (walk, &index, err) != 0)
    return -1;
  index_sort (&index);
  web_folder_tell_left_over (walk, &index);
  size_t size = walk->path.size;
  int result = 0;
  for (size_t i = 0; result == 0 && i < index.count; i++)
    {
      const struct index_entry *entry = &index.entries[i];
      if (size > 0)
        buffer_putc (&walk->path, '/');
      buffer_puts (&walk->path, entry->name);
      result = entry->folder ? web_folder_visit_folder (walk, depth, err)
                             : web_folder_visit_file (walk, entry, err);
      walk->path.size = size;
      walk->path.data[size] = '\0';
    }
  return result;
}

int
web_walk_folders (struct web_walk *walk, struct error *err)
{
  return web_folder_list (walk, 0, err);
}
