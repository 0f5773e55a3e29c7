/* index.h — a folder's listing as nginx's autoindex serves it, in HTML or in JSON: names, sizes and
 * times.
 *
 * Nothing in it is believed that isn't a child of the folder: other links are left out.
 */
#ifndef SHOAL_STORAGE_WEB_INDEX_H
#define SHOAL_STORAGE_WEB_INDEX_H

#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

struct index_entry
{
  char *name;
  bool folder;
  int64_t size;     /* bytes of a file, -1: not told exactly */
  int64_t modified; /* seconds since 1970, -1: not told */
};

struct index
{
  struct index_entry *entries; /* in storage.h's order, each name once */
  size_t count, capacity;
  /* times are UTC and exact; else they are of a zone that isn't told, and minutes */
  bool in_seconds;
};

/* Reads PAGE, of the media type TYPE ("text/html; charset=…", NULL: not told). ERROR_USER when it
 * isn't a listing. */
int index_read (struct index *index, struct bytes page, const char *type, struct error *err);
void index_release (struct index *index);
#define auto_index AUTO (index_release)

#endif
