/* Objects brought here: what the fetcher must know of S3. */
#include "common/storage/fetcher.h"
#include "common/storage/s3/s3.h"

#include "common/memory.h"

#include <ctype.h>
#include <string.h>

static int
request (void *context, const struct storage_item *item, struct http_call *call, struct error *err)
{
  struct s3 *s3 = context;
  (void) err;
  const char *source = item->source == NULL ? item->path : item->source;
  bool itself = source[0] == '\0' && s3->object != NULL; /* as a listing words it */
  auto_free char *key = itself ? xstrdup (s3->object) : s3_key (s3, source);
  s3_call_init (s3, call, "GET", key, NULL);
  if (item->version != NULL)
    strlist_addf (&call->headers, "If-Match: %s", item->version);
  return 0;
}

/* The ETag of an object that came in one piece and isn't encrypted with a key of the customer's or KMS's is its MD5 (S3 API reference,
 * "Object": ETag). */
static bool
is_md5 (const struct http_call *call, const char *etag)
{
  const char *encryption = http_header (call, "x-amz-server-side-encryption");
  size_t digits = strspn (etag, "0123456789abcdefABCDEF");
  return digits == 32 && etag[32] == '\0'
         && (encryption == NULL || strcmp (encryption, "AES256") == 0)
         && http_header (call, "x-amz-server-side-encryption-customer-algorithm") == NULL;
}

static int
check (void *context, const struct storage_item *item, const struct http_call *call,
       struct fetch_sum *sum, struct error *err)
{
  (void) context;
  const char *etag = http_header (call, "etag");
  if (etag == NULL)
    return 0;
  if (item->version != NULL && strcmp (etag, item->version) != 0)
    return error_set (err, ERROR_USER, "has changed since it was listed: it was %s, it is %.100s",
                      item->version, etag);
  auto_free char *bare = xstrdup (etag[0] == '"' ? etag + 1 : etag);
  bare[strcspn (bare, "\"")] = '\0';
  if (is_md5 (call, bare))
    {
      sum->algorithm = "MD5";
      for (size_t i = 0; i <= 32; i++)
        sum->hex[i] = (char) tolower ((unsigned char) bare[i]);
    }
  return 0;
}

int
s3_fetch (struct storage *storage, const struct storage_batch *batch, struct error *err)
{
  struct s3 *s3 = (struct s3 *) storage;
  const struct fetch_source source = { .context = s3,
                                       .name = s3->name,
                                       .ranges = true,
                                       .request = request,
                                       .check = check,
                                       .explain = s3_explain };
  return fetcher_run (&source, batch, err) == 0 ? 0 : error_wrap (err, "%s", s3->shown);
}
