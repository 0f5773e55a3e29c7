#include "storage/s3/s3.h"

#include "common/memory.h"
#include "common/variable.h"
#include "storage/s3/request.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* ---- single objects --------------------------------------------------------------------- */

static int
get (struct storage *storage, const char *path, int64_t offset, int64_t length, size_t limit,
     struct buffer *buffer, struct error *err)
{
  struct s3 *s3 = (struct s3 *) storage;
  const struct http_options options = { .connections = 1, .halt = s3->base.halt };
  auto_http struct http *http = http_new (&options);
  auto_free char *key = s3_key (s3, path);
  auto_http_call struct http_call call;
  s3_call_init (s3, &call, "GET", key, NULL);
  call.limit = (int64_t) limit;
  if (length == 0)
    return 1;
  if (length > 0)
    strlist_addf (&call.headers, "Range: bytes=%lld-%lld", (long long) offset,
                  (long long) (offset + length - 1));
  else if (offset > 0)
    strlist_addf (&call.headers, "Range: bytes=%lld-", (long long) offset);
  if (s3_perform (s3, http, &call, err) == 0)
    {
      buffer_append (buffer, call.answer.data, call.answer.size);
      return 1;
    }
  char code[128];
  s3_error_code (&call, code);
  if (call.status == 404 && (code[0] == '\0' || strcmp (code, "NoSuchKey") == 0))
    return 0; /* else it is the bucket, or who asks, that isn't known */
  if (call.status == 416)
    return 1;
  return error_wrap (err, "%s%s", s3->shown, path);
}

static int
s3_put_object (struct storage *storage, const char *path, struct bytes content, bool absent,
               struct error *err)
{
  struct s3 *s3 = (struct s3 *) storage;
  const struct http_options options = { .connections = 1 };
  auto_http struct http *http = http_new (&options);
  auto_free char *key = s3_key (s3, path);
  auto_http_call struct http_call call;
  s3_call_init (s3, &call, "PUT", key, NULL);
  call.body = content;
  if (absent)
    strlist_add (&call.headers, "If-None-Match: *");
  if (s3_perform (s3, http, &call, err) == 0)
    return 0;
  if (absent && call.status == 412)
    return 1;
  return error_wrap (err, "%s%s", s3->shown, path);
}

/* ---- opening ---------------------------------------------------------------------------- */

static void
s3_close (struct storage *storage)
{
  struct s3 *s3 = (struct s3 *) storage;
  credentials_free (s3->credentials);
  (void) pthread_mutex_destroy (&s3->lock);
  free (s3->bucket);
  free (s3->prefix);
  free (s3->object);
  free (s3->shown);
  free (s3->endpoint);
  free (s3->name);
  free (s3);
}

/* Public or not: a job that names credentials is to see what they show. */
static int
act_as (struct storage *storage, const char *name, struct error *err)
{
  struct s3 *s3 = (struct s3 *) storage;
  auto_credentials struct credentials_now now = { 0 };
  credentials_free (s3->credentials);
  free (s3->name);
  s3->credentials = credentials_new (name);
  s3->name = xstrdup (name);
  s3->anonymous = false;
  return credentials_get (s3->credentials, &now, err) == 0 ? 0 : error_wrap (err, "%s", s3->shown);
}

static const struct storage_ops ops = { .kind = STORAGE_S3,
                                        .list = s3_list,
                                        .close = s3_close,
                                        .fetch = s3_fetch,
                                        .send = s3_send,
                                        .put = s3_put_object,
                                        .get = get,
                                        .remove = s3_remove,
                                        .end_uploads = s3_end_uploads,
                                        .act_as = act_as };

/* Amazon's rules for names, which other servers share: 3 to 63 of a-z, 0-9, "." and "-" (older ones
 * may have more letters). */
static bool
is_bucket (const char *name, size_t size)
{
  for (size_t i = 0; i < size; i++)
    if (!isalnum ((unsigned char) name[i]) && strchr (".-_", name[i]) == NULL)
      return false;
  return size >= 3 && size <= 255 && name[0] != '.';
}

static int
read_endpoint (struct s3 *s3, struct error *err)
{
  const char *given = variable_get ("AWS_ENDPOINT_URL_S3");
  if (given == NULL)
    given = variable_get ("AWS_ENDPOINT_URL");
  s3->endpoint = given == NULL ? credentials_setting ("endpoint_url") : xstrdup (given);
  if (s3->endpoint == NULL)
    return 0;
  size_t size = strlen (s3->endpoint);
  while (size > 0 && s3->endpoint[size - 1] == '/')
    s3->endpoint[--size] = '\0';
  const char *host = strncasecmp (s3->endpoint, "http://", 7) == 0    ? s3->endpoint + 7
                     : strncasecmp (s3->endpoint, "https://", 8) == 0 ? s3->endpoint + 8
                                                                      : "";
  if (host[0] != '\0' && strpbrk (host, "?#@ ") == NULL)
    return 0;
  auto_free char *shown = http_url_shown (s3->endpoint);
  return error_set (err, ERROR_USER,
                    "%s: invalid S3 endpoint, expected https://HOST:PORT (--s3-endpoint or "
                    "AWS_ENDPOINT_URL)",
                    shown);
}

static int
read_settings (struct s3 *s3, struct error *err)
{
  const char *style = variable_get ("SHOAL_S3_STYLE");
  const char *region = variable_get ("AWS_REGION");
  if (region == NULL)
    region = variable_get ("AWS_DEFAULT_REGION");
  auto_free char *configured = region == NULL ? credentials_setting ("region") : NULL;
  if (region == NULL)
    region = configured == NULL ? "us-east-1" : configured;
  (void) snprintf (s3->region, sizeof s3->region, "%s", region);
  s3->anonymous = variable_get ("SHOAL_S3_ANONYMOUS") != NULL;
  s3->requester_pays = variable_get ("SHOAL_S3_REQUESTER_PAYS") != NULL;
  if (read_endpoint (s3, err) != 0)
    return -1;
  /* Amazon's certificates don't cover names with dots before its own. */
  s3->path_style = s3->endpoint != NULL || strchr (s3->bucket, '.') != NULL;
  if (style == NULL)
    return 0;
  s3->path_style = strcmp (style, "path") == 0;
  if (!s3->path_style && strcmp (style, "virtual") != 0)
    return error_set (err, ERROR_USER, "SHOAL_S3_STYLE=%s: expected path or virtual", style);
  return 0;
}

struct storage *
storage_open_s3 (const char *source, struct error *err)
{
  const char *bucket = source + strlen ("s3://");
  size_t size = strcspn (bucket, "/");
  const char *key = bucket[size] == '/' ? bucket + size + 1 : "";
  if (!is_bucket (bucket, size))
    {
      (void) error_set (err, ERROR_USER,
                        "%s: '%.*s' is not a bucket name, expected s3://BUCKET/PREFIX", source,
                        (int) size, bucket);
      return NULL;
    }
  struct s3 *s3 = xcalloc (1, sizeof *s3);
  s3->base.ops = &ops;
  (void) pthread_mutex_init (&s3->lock, NULL);
  s3->credentials = credentials_new (NULL);
  s3->bucket = xstrndup (bucket, size);
  size_t length = strlen (key);
  s3->prefix = xasprintf ("%s%s", key, length == 0 || key[length - 1] == '/' ? "" : "/");
  s3->object = length == 0 || key[length - 1] == '/' ? NULL : xstrdup (key);
  s3->shown = xasprintf ("s3://%s/%s", s3->bucket, s3->prefix);
  if (read_settings (s3, err) != 0)
    {
      s3_close (&s3->base);
      (void) error_wrap (err, "%s", source);
      return NULL;
    }
  return &s3->base;
}
