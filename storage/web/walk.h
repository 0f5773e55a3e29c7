/* walk.h — one listing of a web storage under way: what its parts share. */
#ifndef SHOAL_STORAGE_WEB_WALK_H
#define SHOAL_STORAGE_WEB_WALK_H

#include "storage/listing.h"
#include "storage/web/web.h"
#include "storage/web/zones.h"

struct web_walk
{
  struct web *web;
  const struct storage_visitor *visitor;
  struct http *http;
  struct buffer path; /* of the current entry */
  long long folders;  /* listed so far … */
  long long at_most;  /* … of so many: folders that contain themselves have no end */
  bool visitor_ended; /* what it said speaks for itself */
  bool by_source;     /* entries say their URL: the storage's own isn't the folder's */

  /* ---- what was learned of the server */
  bool tells_folders; /* links to folders end in "/" */
  bool asked;         /* for versions; … */
  bool tells_nothing; /* … it has none */
  struct web_zones zones;
};

/* The current path, never NULL. */
const char *web_walk_path (const struct web_walk *walk);

int web_walk_visit (struct web_walk *walk, const struct storage_entry *entry, struct error *err);
bool web_walk_wants (const struct web_walk *walk, const char *path);

/* All of the document URL, into CALL's `answer`. */
int web_walk_get (struct web_walk *walk, struct http_call *call, const char *url,
                  struct error *err);

/* ---- folders.c */
/* Whether what PEEK, called NAME, tells is no file but the HTML of a folder's listing, which a
 * server may send without a redirect to the URL with a "/". Has a look at it. */
struct web_peek;
bool web_walk_is_page (struct web_walk *walk, const struct web_peek *peek, const char *name);

/* The root folder and all below it. */
int web_walk_folders (struct web_walk *walk, struct error *err);

#endif
