/* s3_bucket.h — a new bucket at the tests' S3 server (SHOAL_TEST_S3), removed after the test.
 * Failures fail it. */
#ifndef SHOAL_TESTS_LIB_S3_BUCKET_H
#define SHOAL_TESTS_LIB_S3_BUCKET_H

#include "storage/storage.h"

struct s3_bucket
{
  char *url; /* "s3://shoal-test-…" */
  struct storage *storage;
};

/* Sets the environment to the server and its user, too. */
struct s3_bucket *s3_bucket_new (void);
void s3_bucket_free (struct s3_bucket *bucket);

static inline void
auto_s3_bucket_ (struct s3_bucket **bucket)
{
  s3_bucket_free (*bucket);
}
#define auto_s3_bucket AUTO (auto_s3_bucket_)

void s3_bucket_put (struct s3_bucket *bucket, const char *path, const char *content);

/* Uploads CONTENT as the object PATH in COUNT parts of these SIZES, numbered STEP, 2 * STEP … */
void s3_bucket_put_parts (struct s3_bucket *bucket, const char *path, struct bytes content,
                          const size_t *sizes, size_t count, int step);

/* Begins an upload of the key PATH that nobody will end. */
void s3_bucket_begin (struct s3_bucket *bucket, const char *path);

/* Unfinished uploads of exactly the key PATH. */
int s3_bucket_uploads (struct s3_bucket *bucket, const char *path);

#endif
