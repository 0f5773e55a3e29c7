/* guess.h — where a listing will be some pages on, if it goes on as it did. A wrong guess costs
 * time and never a key: a listing may begin anywhere. */
#ifndef SHOAL_STORAGE_S3_GUESS_H
#define SHOAL_STORAGE_S3_GUESS_H

#include "storage/s3/page.h"

/* A key about as far behind BASE as PAGES pages like PAGE reach; NULL: no idea. The caller
 * frees. */
char *s3_guess (const struct s3_page *page, const char *base, int pages);

#endif
