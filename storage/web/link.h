/* link.h — a link on a folder's page, resolved against the page's URL (RFC 3986): what it has to do
 * with the folder.
 *
 *     page   https://host/d/          child      x   ./12:30:00.jpg   /d/x   https://host/d/sub/
 *                                     harmless   ../   ?C=N;O=D   #top   mailto:…   https://other/
 *                                     elsewhere  /e/x   sub/x   x?v=1   a%2fb   name:with-a-scheme
 */
#ifndef SHOAL_STORAGE_WEB_LINK_H
#define SHOAL_STORAGE_WEB_LINK_H

#include "common/auto.h"

#include <stdbool.h>
#include <stddef.h>

enum link_kind
{
  LINK_CHILD,    /* one component below the folder */
  LINK_HARMLESS, /* the folder itself, one that it lies in, another server's page, no page at all */
  LINK_ELSEWHERE /* whatever else: a file may be lost with it */
};

struct link_base
{
  void *handle; /* of curl */
  char *url;    /* links are relative to it */
  char *page;   /* scheme, host and port of the page, "" path */
  char *folder; /* the folder's path, from "/" to "/", as the URL has it */
  char *query;  /* the page's; NULL: none */
  bool moved;   /* by <base href>: links aren't relative to the folder */
};

struct link
{
  char *name; /* of a child; the caller frees */
  bool folder;
};

/* Links of the page URL, which is absolute. False: it can't be taken apart. */
bool link_base_open (struct link_base *base, const char *url);

/* From now on links are relative to the SIZE bytes at TEXT, as <base href> says. */
void link_base_move (struct link_base *base, const char *text, size_t size);

/* What the SIZE bytes at TEXT are; LINK is filled for LINK_CHILD. */
enum link_kind link_read (struct link_base *base, const char *text, size_t size, struct link *link);

void link_base_release (struct link_base *base);
#define auto_link_base AUTO (link_base_release)

#endif
