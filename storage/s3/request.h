/* request.h — requests to S3: where they go, signed at each try, and what refusals mean. */
#ifndef SHOAL_STORAGE_S3_REQUEST_H
#define SHOAL_STORAGE_S3_REQUEST_H

#include "storage/s3/s3.h"

/* Makes CALL a request for KEY (NULL: the bucket) with QUERY (encoded and sorted, or NULL), signed
 * at each try. */
void s3_call_init (struct s3 *s3, struct http_call *call, const char *method, const char *key,
                   const char *query);

/* PATH below the prefix as a key; the caller frees. */
char *s3_key (const struct s3 *s3, const char *path);

/* ERR of the refusal CALL got, in S3's words and with what to do. */
void s3_explain (void *context, const struct http_call *call, struct error *err);

/* The code of a refusal ("NoSuchKey"), "" when there is none. */
void s3_error_code (const struct http_call *call, char code[static 128]);

/* http_perform, and says what is wrong. */
int s3_perform (struct s3 *s3, struct http *http, struct http_call *call, struct error *err);

#endif
