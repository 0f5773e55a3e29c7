/* A bucket's listing as a tree in one fixed order.
 *
 * Keys come sorted bytewise, which is the order that storage.h wants: "a.txt" is before "a/b".
 * Folders are what keys have in common; they are noticed when the first key in them comes. A folder
 * that isn't entered is jumped over when it goes on behind the page.
 */
#include "storage/listing.h"
#include "storage/s3/pages.h"
#include "storage/s3/request.h"

#include "common/memory.h"
#include "storage/item_path.h"

#include <string.h>

/* Sorts behind every key that continues with valid UTF-8: the last code point. */
#define BEHIND_ALL "\xf4\x8f\xbf\xbf"

struct s3_walk
{
  const struct storage_visitor *visitor;
  struct s3_pages *pages;
  char *prefix;          /* that all keys wanted have in common, the root's included */
  size_t root;           /* bytes of the root's prefix */
  struct buffer folder;  /* the folder that the last key was in, "" or "a/b/" */
  struct buffer skipped; /* the folder that isn't entered, "a/b/"; "" none */
  struct buffer last;    /* the last key, to see that they come in order */
  struct strlist files;  /* wanted, that the current key begins with, or might */
  struct s3 *s3;
};

/* ---- keys ------------------------------------------------------------------------------- */

static bool
is_beneath (const struct buffer *folder, const char *path)
{
  return folder->size > 0 && strncmp (path, folder->data, folder->size) == 0;
}

/* Tells of the folders that PATH's file is in and the last one's wasn't. 1: one of them isn't
 * entered; else as `entry`. */
static int
s3_list_enter_folders (struct s3_walk *walk, const char *path, size_t folder_size,
                       struct error *err)
{
  const struct storage_visitor *visitor = walk->visitor;
  size_t same = 0; /* what both have in common, up to and with a "/" */
  for (size_t i = 0; i < walk->folder.size && i < folder_size; i++)
    {
      if (path[i] != walk->folder.data[i])
        break;
      if (path[i] == '/')
        same = i + 1;
    }
  walk->folder.size = same;
  if (walk->folder.data != NULL)
    walk->folder.data[same] = '\0';
  while (walk->folder.size < folder_size)
    {
      const char *slash = strchr (path + walk->folder.size, '/');
      size_t size = (size_t) (slash - path);
      auto_free char *name = xstrndup (path, size);
      const struct storage_entry entry = {
        .path = name, .path_size = size, .folder = true, .size = -1
      };
      int result = visitor->entry (visitor->context, &entry, err);
      if (result != 0)
        return result < 0 ? -1 : result + 1;
      buffer_append (&walk->folder, path + walk->folder.size, size + 1 - walk->folder.size);
      if (!visitor->enter (visitor->context, name, size))
        {
          buffer_clear (&walk->skipped);
          buffer_append (&walk->skipped, walk->folder.data, walk->folder.size);
          return 1;
        }
    }
  return 0;
}

static bool
s3_list_is_wanted (const struct s3_walk *walk, const char *path)
{
  const struct storage_visitor *visitor = walk->visitor;
  return visitor->wanted == NULL || visitor->wanted (visitor->context, path, strlen (path));
}

/* PATH is wanted: an error if an object that is wanted too has the name of a folder of it. */
static int
s3_list_check_folders (struct s3_walk *walk, const char *path, struct error *err)
{
  while (walk->files.count > 0)
    {
      char *last = walk->files.items[walk->files.count - 1];
      size_t size = strlen (last);
      if (strncmp (path, last, size) == 0)
        {
          if (path[size] == '/')
            return error_set (err, ERROR_USER,
                              "%s is an object and the folder of %s: leave one out (--exclude)",
                              last, path);
          break;
        }
      free (last);
      walk->files.count--;
    }
  strlist_add (&walk->files, path);
  return 0;
}

/* OBJECT is wanted and of a class that is archived: an error unless it is restored. */
static int
s3_list_check_archived (const struct s3_walk *walk, const struct s3_object *object,
                        struct error *err)
{
  const struct http_options options = { .connections = 1, .halt = walk->s3->base.halt };
  auto_http struct http *http = http_new (&options);
  auto_http_call struct http_call call = { 0 };
  s3_call_init (walk->s3, &call, "HEAD", object->key, NULL);
  if (http_perform (http, &call, err) != 0)
    {
      error_clear (err); /* who fetches it will say why */
      return 0;
    }
  const char *restored = http_header (&call, "x-amz-restore");
  if (restored != NULL && strstr (restored, "ongoing-request=\"false\"") != NULL)
    return 0;
  return error_set (err, ERROR_USER,
                    "%s is archived%s: restore it (aws s3api restore-object), or leave it out "
                    "(--exclude)",
                    object->key, restored == NULL ? "" : ", and being restored");
}

/* One object. 0, or -1; what the visitor returns comes back one higher, 1 is never returned. */
static int
s3_list_visit (struct s3_walk *walk, const struct s3_object *object, struct error *err)
{
  const struct storage_visitor *visitor = walk->visitor;
  const char *path = object->key + walk->root;
  if (is_beneath (&walk->skipped, path) || *path == '\0')
    return 0;
  size_t length = strlen (path);
  bool marker = path[length - 1] == '/' && object->size == 0; /* how consoles make a folder */
  auto_free char *checked = xstrndup (path, marker ? length - 1 : length);
  struct error why = ERROR_INIT;
  if (item_path_check (checked, &why) != 0)
    {
      if (!s3_list_is_wanted (walk, path))
        return 0;
      *err = why;
      return -1;
    }
  const char *slash = strrchr (path, '/');
  int entered =
      s3_list_enter_folders (walk, path, slash == NULL ? 0 : (size_t) (slash + 1 - path), err);
  if (entered != 0 || marker)
    return entered == 1 ? 0 : entered;
  const struct storage_entry entry = {
    .path = path, .path_size = length, .size = object->size, .version = object->etag
  };
  bool wanted = s3_list_is_wanted (walk, path);
  if ((wanted && s3_list_check_folders (walk, path, err) != 0)
      || (wanted && object->archived && s3_list_check_archived (walk, object, err) != 0))
    return -1;
  int result = visitor->entry (visitor->context, &entry, err);
  return result <= 0 ? result : result + 1;
}

/* All of a page. As visit. */
static int
visit_page (struct s3_walk *walk, const struct s3_page *page, struct error *err)
{
  size_t prefix = strlen (walk->prefix);
  for (size_t i = 0; i < page->count; i++)
    {
      const struct s3_object *object = &page->objects[i];
      if (strncmp (object->key, walk->prefix, prefix) != 0)
        return error_set (err, ERROR_TRANSIENT, "invalid listing: key %.200s was not requested",
                          object->key);
      if (walk->last.size > 0 && strcmp (walk->last.data, object->key) >= 0)
        return error_set (err, ERROR_TRANSIENT,
                          "invalid listing: key %.200s after %.200s is out of order (directory "
                          "buckets are not supported)",
                          object->key, walk->last.data);
      buffer_clear (&walk->last);
      buffer_puts (&walk->last, object->key);
      int result = s3_list_visit (walk, object, err);
      if (result != 0)
        return result;
    }
  return 0;
}

static bool
ends_inside_skipped (const struct s3_walk *walk, const struct s3_page *page)
{
  return page->count > 0
         && is_beneath (&walk->skipped, page->objects[page->count - 1].key + walk->root);
}

/* To what is behind the folder that isn't entered. */
static void
jump (struct s3_walk *walk)
{
  auto_free char *start =
      xasprintf ("%.*s%s" BEHIND_ALL, (int) walk->root, walk->prefix, walk->skipped.data);
  s3_pages_jump (walk->pages, start);
}

static int
walk_pages (struct s3_walk *walk, struct error *err)
{
  for (;;)
    {
      const struct s3_page *page = NULL;
      int got = s3_pages_next (walk->pages, &page, err);
      if (got <= 0)
        return got;
      int result = visit_page (walk, page, err);
      if (result != 0)
        return result;
      if (ends_inside_skipped (walk, page))
        jump (walk);
    }
}

/* Nothing begins with the prefix: then the source may be an object, which is named by its key's
 * last component. As `visit`. */
static int
visit_alone (const struct s3_walk *walk, struct s3 *s3, struct error *err)
{
  const struct storage_visitor *visitor = walk->visitor;
  const char *slash = strrchr (s3->object, '/');
  const char *name = slash == NULL ? s3->object : slash + 1;
  const char *prefix = visitor->prefix == NULL ? "" : visitor->prefix;
  if (strncmp (name, prefix, strlen (prefix)) != 0 || item_path_check (name, NULL) != 0)
    return 0;
  struct s3_pages *pages = s3_pages_new (s3, s3->object, true);
  const struct s3_page *page = NULL;
  int result = s3_pages_next (pages, &page, err);
  if (result > 0)
    {
      const struct s3_object *first =
          &page->objects[0]; /* itself is before all that begin with it */
      const struct storage_entry entry = { .path = name,
                                           .path_size = strlen (name),
                                           .size = first->size,
                                           .version = first->etag,
                                           .source = "" };
      result =
          strcmp (first->key, s3->object) != 0 ? 0 : visitor->entry (visitor->context, &entry, err);
      result += result > 0;
    }
  s3_pages_free (pages);
  return result;
}

int
s3_list (struct storage *storage, const struct storage_visitor *visitor, struct error *err)
{
  struct s3 *s3 = (struct s3 *) storage;
  struct error own = ERROR_INIT;
  if (err == NULL)
    err = &own;
  if (!visitor->enter (visitor->context, "", 0))
    return 0;
  struct s3_walk walk = { .visitor = visitor,
                          .s3 = s3,
                          .root = strlen (s3->prefix),
                          .prefix = s3_key (s3, visitor->prefix == NULL ? "" : visitor->prefix) };
  walk.pages = s3_pages_new (s3, walk.prefix, visitor->shallow);
  int result = walk_pages (&walk, err);
  if (result == 0 && walk.last.size == 0 && s3->object != NULL)
    result = visit_alone (&walk, s3, err);
  s3_pages_free (walk.pages);
  free (walk.prefix);
  buffer_release (&walk.folder);
  buffer_release (&walk.skipped);
  buffer_release (&walk.last);
  strlist_release (&walk.files);
  if (result < 0)
    return error_wrap (err, "%s", s3->shown);
  return result == 0 ? 0 : result - 1;
}
