/* peek.h — what files on the web are, without their bytes: sizes, times, tags; many at once. */
#ifndef SHOAL_STORAGE_WEB_PEEK_H
#define SHOAL_STORAGE_WEB_PEEK_H

#include "storage/web/web.h"

struct web_peek
{
  const char *url;  /* absolute; the caller's, as is … */
  const char *name; /* … what messages call it, NULL: nothing */

  /* A folder's page names it: HEAD does, where the server knows that; what is gone, or refused, is
   * no error, but `told` false. */
  bool listed;

  /* ---- the answer */
  bool told;
  bool folder;      /* URL redirects to URL/ */
  int64_t size;     /* -1: not told */
  int64_t modified; /* seconds, -1: not told */
  char *version;    /* NULL: none is told */
  char *type;       /* media type, NULL */
  char *named;      /* what Content-Disposition calls it, if that can be a file's name; NULL */
};

/* Fills COUNT of PEEKS, 32 at once. */
int web_peek_all (const struct web *web, struct web_peek *peeks, size_t count, struct error *err);

/* The same for one, by HTTP's connections. */
int web_probe (const struct web *web, struct http *http, struct web_peek *peek, struct error *err);

/* The same for all of URLS that are WANTED and whose size isn't told: fills size, and version where
 * there is none. */
int web_probe_all (const struct web *web, struct urls *urls,
                   bool (*wanted) (void *context, const char *path), void *context,
                   struct error *err);
/* ERROR_USER when SIZE, which is needed, isn't told (-1). */
int web_need_size (int64_t size, struct error *err);

void web_peek_release (struct web_peek *peek);
#define auto_web_peek AUTO (web_peek_release)

#endif
