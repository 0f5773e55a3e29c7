/* urls.h — a list of URLs: a document that says which files there are.
 *
 *     https://host/a/1.jpg                                                        a line of text
 *     each ("#…" is a comment), or
 *     {"url": "a/1.jpg", "path": "x/1.jpg", "size": 1234, "sha256": "9f86…"}      JSON, a line each
 *     or as an array
 *
 * `path` is the file's in the volume; without it what the URL has below the list's own folder, else
 * its last component. `md5` and `checksum` ("sha256:9f86…") are known as well; other members are
 * ignored. Relative URLs are relative to the list's.
 */
#ifndef SHOAL_STORAGE_WEB_URLS_H
#define SHOAL_STORAGE_WEB_URLS_H

#include "common/auto.h"
#include "common/buffer.h"
#include "common/error.h"

#include <stdint.h>

struct urls_entry
{
  char *path;
  char *url;     /* absolute, with its user information; no fragment */
  char *version; /* the sum as pin.h has it, NULL: none */
  int64_t size;  /* -1: not told */
  int line;
};

struct urls
{
  struct urls_entry *entries; /* by path */
  size_t count, capacity;
};

/* Reads the list TEXT that came from the URL BASE. ERROR_USER names the line. */
int urls_read (struct urls *urls, struct bytes text, const char *base, struct error *err);
void urls_release (struct urls *urls);
#define auto_urls AUTO (urls_release)

#endif
