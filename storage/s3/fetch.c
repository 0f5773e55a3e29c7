/* Objects brought here: what the fetcher must know of S3. */
#include "storage/fetcher.h"
#include "storage/s3/request.h"

#include "common/memory.h"

#include <ctype.h>
#include <string.h>

enum
{
  PARTS_MAX = 10000, /* S3's limit */
};

/* The caller frees. */
static char *
s3_fetch_key_of (const struct s3 *s3, const struct storage_item *item)
{
  const char *source = item->source == NULL ? item->path : item->source;
  bool itself = source[0] == '\0' && s3->object != NULL; /* as a listing words it */
  return itself ? xstrdup (s3->object) : s3_key (s3, source);
}

/* What was fetched for one whose credentials showed it isn't kept for others. */
static char *
s3_fetch_address (void *context, const struct storage_item *item)
{
  const struct s3 *s3 = context;
  auto_free char *key = s3_fetch_key_of (s3, item);
  auto_free char *who = s3->name == NULL ? xstrdup ("") : xasprintf ("%s ", s3->name);
  return xasprintf ("%s%s s3://%s/%s", who, s3->endpoint == NULL ? "aws" : s3->endpoint, s3->bucket,
                    key);
}

static int
s3_fetch_request (void *context, const struct storage_item *item, struct http_call *call,
                  struct error *err)
{
  struct s3 *s3 = context;
  (void) err;
  auto_free char *key = s3_fetch_key_of (s3, item);
  s3_call_init (s3, call, "GET", key, NULL);
  if (item->version != NULL)
    {
      bool bare = item->version[0] != '"' && strncmp (item->version, "W/", 2) != 0;
      strlist_addf (&call->headers, bare ? "If-Match: \"%s\"" : "If-Match: %s", item->version);
    }
  return 0;
}

/* Digits and nothing else: a count of parts, or -1. */
static int
count_of (const char *text)
{
  size_t digits = strspn (text, "0123456789");
  int count = digits == 0 || digits > 5 || text[digits] != '\0' ? -1 : atoi (text);
  return count > 0 && count <= PARTS_MAX ? count : -1;
}

/* The ETag of an object that isn't encrypted with a key of the customer's or KMS's is its MD5, or
 * that of its parts' MD5s with their number behind ("…-3"), if it was uploaded in parts (S3 API
 * reference, "Object": ETag; the latter is what all servers do). */
static void
s3_fetch_read_sum (const struct http_call *call, const char *etag, struct fetch_sum *sum)
{
  const char *encryption = http_header (call, "x-amz-server-side-encryption");
  int pieces = etag[32] == '\0' ? 0 : etag[32] == '-' ? count_of (etag + 33) : -1;
  if (pieces < 0 || (encryption != NULL && strcmp (encryption, "AES256") != 0)
      || http_header (call, "x-amz-server-side-encryption-customer-algorithm") != NULL)
    return;
  sum->algorithm = "MD5";
  sum->pieces = pieces;
  for (size_t i = 0; i < 32; i++)
    sum->hex[i] = (char) tolower ((unsigned char) etag[i]);
}

/* Whether both are one tag; some servers leave out the quotes, in headers or in listings. */
static bool
s3_fetch_is_same_tag (const char *left, const char *right)
{
  size_t l = strlen (left);
  size_t r = strlen (right);
  if (l > 1 && left[0] == '"' && left[l - 1] == '"')
    {
      left++;
      l -= 2;
    }
  if (r > 1 && right[0] == '"' && right[r - 1] == '"')
    {
      right++;
      r -= 2;
    }
  return l == r && memcmp (left, right, l) == 0;
}

static int
s3_fetch_check (void *context, const struct storage_item *item, const struct http_call *call,
                struct fetch_sum *sum, struct error *err)
{
  (void) context;
  const char *etag = http_header (call, "etag");
  if (etag == NULL)
    return 0;
  if (item->version != NULL && !s3_fetch_is_same_tag (etag, item->version))
    return error_set (err, ERROR_USER, "has changed since it was listed: it was %s, it is %.100s",
                      item->version, etag);
  auto_free char *bare = xstrdup (etag[0] == '"' ? etag + 1 : etag);
  bare[strcspn (bare, "\"")] = '\0';
  if (strspn (bare, "0123456789abcdefABCDEF") == 32)
    s3_fetch_read_sum (call, bare, sum);
  return 0;
}

static int
s3_piece_request (void *context, const struct storage_item *item, int number,
                  struct http_call *call, struct error *err)
{
  struct s3 *s3 = context;
  (void) err;
  auto_free char *key = s3_fetch_key_of (s3, item);
  auto_free char *query = xasprintf ("partNumber=%d", number);
  /* Without If-Match, which moto holds against the part's own tag: the content's request has it,
   * and the sum must be right. */
  s3_call_init (s3, call, "HEAD", key, query);
  return 0;
}

/* A server that knows nothing of parts answers as if all of the object was asked for. */
static int64_t
piece_length (const struct http_call *call, int pieces)
{
  const char *count = http_header (call, "x-amz-mp-parts-count");
  return count != NULL && count_of (count) == pieces ? call->length : -1;
}

int
s3_fetch (struct storage *storage, const struct storage_batch *batch, struct error *err)
{
  struct s3 *s3 = (struct s3 *) storage;
  const struct fetch_source source = { .context = s3,
                                       .ranges = true,
                                       .address = s3_fetch_address,
                                       .request = s3_fetch_request,
                                       .check = s3_fetch_check,
                                       .request_piece = s3_piece_request,
                                       .piece_length = piece_length,
                                       .explain = s3_explain };
  return fetcher_run (&source, batch, err) == 0 ? 0 : error_wrap (err, "%s", s3->shown);
}
