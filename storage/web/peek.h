/* peek.h — what a file on the web is, without its bytes. */
#ifndef SHOAL_STORAGE_WEB_PEEK_H
#define SHOAL_STORAGE_WEB_PEEK_H

#include "storage/web/web.h"

struct web_peek
{
  int64_t size;     /* -1: not told */
  int64_t modified; /* seconds, -1: not told */
  char *version;    /* NULL: none is told */
  char *type;       /* media type, NULL */
};

int web_look (const struct web *web, struct http *http, const char *url, struct web_peek *peek,
              struct error *err);
/* The same for all of URLS that are WANTED and whose size isn't told: fills size, and version where
 * there is none. */
int web_look_all (const struct web *web, struct urls *urls,
                  bool (*wanted) (void *context, const char *path), void *context,
                  struct error *err);
/* ERROR_USER when SIZE, which is needed, isn't told (-1). */
int web_need_size (int64_t size, struct error *err);

void web_peek_release (struct web_peek *peek);
#define auto_web_peek AUTO (web_peek_release)

#endif
