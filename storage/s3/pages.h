/* pages.h — the pages of a bucket's listing, in their order. While one is looked at the next one is
 * on its way; a listing of many pages is split, and its ranges are asked for side by side. Memory
 * is bounded however many keys there are. Belongs to one thread.
 */
#ifndef SHOAL_STORAGE_S3_PAGES_H
#define SHOAL_STORAGE_S3_PAGES_H

#include "storage/s3/page.h"

struct s3_pages;

/* Of the keys that begin with PREFIX. SHALLOW: as in s3_page_request; such a listing isn't
 * split. */
struct s3_pages *s3_pages_new (struct s3 *s3, const char *prefix, bool shallow);
void s3_pages_free (struct s3_pages *pages);

/* The next page that has keys, valid until the next call: 1, 0 behind the last, or -1. */
int s3_pages_next (struct s3_pages *pages, const struct s3_page **page, struct error *err);

/* Goes on with the keys behind START, which is behind the last page's. */
void s3_pages_jump (struct s3_pages *pages, const char *start);

#endif
