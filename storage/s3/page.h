/* page.h — one page of a bucket's listing. */
#ifndef SHOAL_STORAGE_S3_PAGE_H
#define SHOAL_STORAGE_S3_PAGE_H

#include "storage/s3/s3.h"

struct s3_object
{
  const char *key;  /* in the page's memory */
  const char *etag; /* with its quotes; NULL */
  int64_t size;
  bool archived; /* its storage class is one whose objects must be restored before they are read */
};

/* Zeroed memory is an empty page. */
struct s3_page
{
  struct s3_object *objects;
  size_t count, capacity;
  struct buffer text; /* of keys and ETags */
  char *token;        /* of the next page; NULL: this is the last */
};

/* Makes CALL the request of a page of the keys that begin with PREFIX: the one of TOKEN, or from
 * behind START (either may be NULL). SHALLOW: of what has a "/" behind the prefix only the part up
 * to that, as an object of no size. */
void s3_page_request (struct s3 *s3, struct http_call *call, const char *prefix, const char *start,
                      const char *token, bool shallow);

/* Reads the answer into PAGE, over what was in it. */
int s3_page_read (struct s3_page *page, const struct http_call *call, struct error *err);

void s3_page_release (struct s3_page *page);
#define auto_s3_page AUTO (s3_page_release)

#endif
