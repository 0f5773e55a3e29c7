/* index.h — a folder's listing as servers make them, in HTML, JSON or XML: names, sizes and times.
 *
 * Nothing in it is believed that isn't a child of the folder. Links that are neither that nor
 * harmless (link.h) are counted.
 */
#ifndef SHOAL_STORAGE_WEB_INDEX_H
#define SHOAL_STORAGE_WEB_INDEX_H

#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

/* When a file was last changed, as a listing tells it. */
struct index_time
{
  int64_t clock; /* seconds since 1970, were it UTC; -1: not told */
  bool utc;      /* it is; else of a zone that isn't told */
  bool minutes;  /* the second isn't told */
};

struct index_entry
{
  char *name;
  bool folder;
  int64_t size; /* bytes of a file, -1: not told exactly */
  struct index_time modified;
  char *version; /* for those who know more: as pin.h has it; NULL */
};

struct index
{
  struct index_entry *entries; /* in storage.h's order, each name once */
  size_t count, capacity;
  bool tells_folders; /* a folder's link ends in "/": what doesn't is a file */
  bool titled;        /* as listings are */
  int64_t elsewhere;  /* links that were left over … */
  char *example;      /* … and one of them, NULL */
};

/* Reads PAGE that came from URL, of the media type TYPE ("text/html; charset=…", NULL: not told).
 * ERROR_USER when it isn't a listing. */
int index_read (struct index *index, const char *url, struct bytes page, const char *type,
                struct error *err);

/* Into storage.h's order, each name once. */
void index_sort (struct index *index);

void index_release (struct index *index);
#define auto_index AUTO (index_release)

#endif
