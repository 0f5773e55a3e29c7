#include "storage/s3/s3.h"

#include "common/clock.h"
#include "common/memory.h"
#include "storage/s3/sign.h"
#include "storage/s3/xml.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

enum
{
  REFRESHES = 3, /* tries of a request that new credentials, or another region, are got for */
};

static const char *
variable (const char *name)
{
  const char *value = getenv (name);
  return value == NULL || value[0] == '\0' ? NULL : value;
}

/* ---- where ------------------------------------------------------------------------------ */

/* "https://host" that requests of S3's bucket go to; the caller frees. Holding the lock. */
static char *
origin_of (const struct s3 *s3)
{
  if (s3->endpoint == NULL)
    {
      const char *domain =
          strncmp (s3->region, "cn-", 3) == 0 ? "amazonaws.com.cn" : "amazonaws.com";
      return s3->path_style ? xasprintf ("https://s3.%s.%s", s3->region, domain)
                            : xasprintf ("https://%s.s3.%s.%s", s3->bucket, s3->region, domain);
    }
  if (s3->path_style)
    return xstrdup (s3->endpoint);
  const char *host = strstr (s3->endpoint, "://") + 3;
  return xasprintf ("%.*s%s.%s", (int) (host - s3->endpoint), s3->endpoint, s3->bucket, host);
}

/* The bucket may be in another region than we thought: URL, which begins with any origin, gets
 * today's. */
static char *
move_url (struct s3 *s3, const char *url)
{
  const char *host = strstr (url, "://") + 3;
  (void) pthread_mutex_lock (&s3->lock);
  auto_free char *origin = origin_of (s3);
  (void) pthread_mutex_unlock (&s3->lock);
  return xasprintf ("%s%s", origin, host + strcspn (host, "/?"));
}

static char *
make_url (struct s3 *s3, const char *key, const char *query)
{
  struct buffer url = { 0 };
  (void) pthread_mutex_lock (&s3->lock);
  auto_free char *origin = origin_of (s3);
  (void) pthread_mutex_unlock (&s3->lock);
  buffer_puts (&url, origin);
  if (s3->path_style)
    buffer_printf (&url, "/%s", s3->bucket);
  buffer_putc (&url, '/');
  if (key != NULL)
    sign_encode (&url, key, true);
  if (query != NULL)
    buffer_printf (&url, "?%s", query);
  return buffer_take (&url);
}

char *
s3_key (const struct s3 *s3, const char *path)
{
  return xasprintf ("%s%s", s3->prefix, path);
}

/* ---- signing ---------------------------------------------------------------------------- */

/* SHA-256 of what CALL sends, so that the server notices when something else arrives. */
static int
sum_body (const struct http_call *call, char hex[static 65], struct error *err)
{
  if (call->body_fd < 0)
    {
      (void) sign_sha256 (call->body, hex);
      return 0;
    }
  unsigned char sum[EVP_MAX_MD_SIZE];
  auto_free char *chunk = xcalloc (1, 256 << 10);
  EVP_MD_CTX *context = EVP_MD_CTX_new ();
  int64_t left = call->body_size;
  if (context == NULL || EVP_DigestInit_ex (context, EVP_sha256 (), NULL) != 1)
    abort ();
  while (left > 0)
    {
      size_t wanted = left < 256 << 10 ? (size_t) left : 256 << 10;
      ssize_t got =
          pread (call->body_fd, chunk, wanted, call->body_offset + call->body_size - left);
      if (got <= 0)
        {
          EVP_MD_CTX_free (context);
          return error_errno (err, got == 0 ? EIO : errno, "reading what is to be sent");
        }
      if (EVP_DigestUpdate (context, chunk, (size_t) got) != 1)
        abort ();
      left -= got;
    }
  if (EVP_DigestFinal_ex (context, sum, NULL) != 1)
    abort ();
  EVP_MD_CTX_free (context);
  for (int i = 0; i < 32; i++)
    (void) snprintf (hex + 2 * (size_t) i, 3, "%02x", sum[i]);
  return 0;
}

static int
prepare (struct http_call *call, struct strlist *headers, struct error *err)
{
  struct s3 *s3 = call->server;
  char payload[65];
  if (s3->endpoint == NULL)
    {
      char *url = move_url (s3, call->url);
      free (call->url);
      call->url = url;
    }
  if (s3->requester_pays)
    strlist_add (headers, "x-amz-request-payer: requester");
  if (sum_body (call, payload, err) != 0)
    return -1;
  strlist_addf (headers, "x-amz-content-sha256: %s", payload);
  if (s3->anonymous)
    return 0;
  auto_credentials struct credentials_now now = { 0 };
  if (credentials_get (s3->credentials, &now, err) != 0)
    return -1;
  char region[sizeof s3->region];
  (void) pthread_mutex_lock (&s3->lock);
  (void) snprintf (region, sizeof region, "%s", s3->region);
  (void) pthread_mutex_unlock (&s3->lock);
  const struct sign_keys keys = { now.id, now.secret, now.token };
  const struct sign_scope scope = { region, "s3", clock_wall_ms () };
  sign_request (&keys, &scope, call->method, call->url, payload, headers);
  return 0;
}

/* ---- refusals --------------------------------------------------------------------------- */

void
s3_error_code (const struct http_call *call, char code[static 128])
{
  if (!xml_find (buffer_bytes (&call->answer), "Error/Code", code, 128))
    code[0] = '\0';
}

/* Whether CODE or the answer's status say that it was the wrong place that was asked. */
static bool
is_misdirected (const struct http_call *call, const char *code)
{
  return call->status == 301 || call->status == 307
         || strcmp (code, "AuthorizationHeaderMalformed") == 0;
}

/* Whether the bucket is elsewhere; notes where. Of calls side by side only the first hears news,
 * but all of them must ask again. */
static bool
learn_region (struct s3 *s3, const struct http_call *call, const char *code)
{
  char region[sizeof s3->region] = "";
  const char *header = http_header (call, "x-amz-bucket-region");
  if (header != NULL)
    (void) snprintf (region, sizeof region, "%s", header);
  else
    (void) xml_find (buffer_bytes (&call->answer), "Error/Region", region, sizeof region);
  for (const char *at = region; *at != '\0'; at++)
    if (!isalnum ((unsigned char) *at) && *at != '-')
      return false;
  (void) pthread_mutex_lock (&s3->lock);
  bool news = region[0] != '\0' && strcmp (region, s3->region) != 0;
  if (news)
    memcpy (s3->region, region, sizeof region);
  (void) pthread_mutex_unlock (&s3->lock);
  return news || (region[0] != '\0' && is_misdirected (call, code) && call->tried < REFRESHES);
}

/* Whether CODE says that our session is over: there may be another one by now. */
static bool
has_ended (struct s3 *s3, const char *code)
{
  static const char *const ended[] = { "ExpiredToken", "ExpiredTokenException",
                                       "TokenRefreshRequired", "InvalidToken", "InvalidTokenId" };
  for (size_t i = 0; i < sizeof ended / sizeof *ended; i++)
    if (strcmp (code, ended[i]) == 0)
      return true;
  /* MinIO doesn't know the key's id of a session that ran out. */
  return strcmp (code, "InvalidAccessKeyId") == 0 && credentials_are_lent (s3->credentials);
}

static bool
again (struct http_call *call)
{
  static const char *const passing[] = { "RequestTimeout",
                                         "IncompleteBody", /* all of it was sent */
                                         "SlowDown",
                                         "ThrottlingException",
                                         "OperationAborted",
                                         "ConditionalRequestConflict",
                                         "RequestTimeTooSkewed" };
  struct s3 *s3 = call->server;
  char code[128];
  s3_error_code (call, code);
  if ((call->status == 301 || call->status == 307 || call->status == 400 || call->status == 403)
      && learn_region (s3, call, code))
    return true;
  for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
    if (strcmp (code, passing[i]) == 0)
      return true;
  if (call->tried >= REFRESHES || !has_ended (s3, code))
    return false;
  credentials_expire (s3->credentials);
  return true;
}

void
s3_explain (void *context, const struct http_call *call, struct error *err)
{
  static const struct
  {
    const char *code, *advice;
  } known[] = {
    { "NoSuchBucket", "there is no such bucket at this endpoint" },
    { "InvalidAccessKeyId", "this endpoint doesn't know the key's id" },
    { "XAdminUserNotFound", "this endpoint doesn't know the key's id" }, /* versitygw */
    { "SignatureDoesNotMatch", "the secret key is wrong" },
    { "ExpiredToken", "the session's token has run out" },
    { "AccessDenied", "these credentials may not do it, or it isn't there" },
    { "PermanentRedirect", "the bucket is at another endpoint: --s3-endpoint" },
  };
  const struct s3 *s3 = context;
  char code[128];
  s3_error_code (call, code);
  (void) http_error (call, code[0] == '\0' ? NULL : code, err);
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strcmp (code, known[i].code) == 0)
      {
        auto_free char *text = xstrdup (err->message);
        (void) error_set (err, err->class, "%s: %s", text, known[i].advice);
      }
  if (call->status == 403 && s3->anonymous)
    {
      auto_free char *text = xstrdup (err->message);
      (void) error_set (err, err->class, "%s (asked without credentials)", text);
    }
}

int
s3_perform (struct s3 *s3, struct http *http, struct http_call *call, struct error *err)
{
  if (http_perform (http, call, err) == 0)
    return 0;
  if (call->status >= 300)
    s3_explain (s3, call, err);
  auto_free char *origin = http_url_shown (call->url);
  const char *host = strstr (origin, "://");
  size_t end = host == NULL ? 0 : (size_t) (host + 3 - origin) + strcspn (host + 3, "/");
  return call->status == 0 ? error_wrap (err, "%.*s", (int) end, origin) : -1;
}

void
s3_call_init (struct s3 *s3, struct http_call *call, const char *method, const char *key,
              const char *query)
{
  http_call_init (call, make_url (s3, key, query));
  call->method = method;
  call->server = s3;
  call->prepare = prepare;
  call->again = again;
}

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
put (struct storage *storage, const char *path, struct bytes content, bool absent,
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
                                        .put = put,
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
  const char *given = variable ("AWS_ENDPOINT_URL_S3");
  if (given == NULL)
    given = variable ("AWS_ENDPOINT_URL");
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
                    "S3's endpoint %s isn't a URL like https://host:port (--s3-endpoint or "
                    "AWS_ENDPOINT_URL)",
                    shown);
}

static int
read_settings (struct s3 *s3, struct error *err)
{
  const char *style = variable ("SHOAL_S3_STYLE");
  const char *region = variable ("AWS_REGION");
  if (region == NULL)
    region = variable ("AWS_DEFAULT_REGION");
  auto_free char *configured = region == NULL ? credentials_setting ("region") : NULL;
  if (region == NULL)
    region = configured == NULL ? "us-east-1" : configured;
  (void) snprintf (s3->region, sizeof s3->region, "%s", region);
  s3->anonymous = variable ("SHOAL_S3_ANONYMOUS") != NULL;
  s3->requester_pays = variable ("SHOAL_S3_REQUESTER_PAYS") != NULL;
  if (read_endpoint (s3, err) != 0)
    return -1;
  /* Amazon's certificates don't cover names with dots before its own. */
  s3->path_style = s3->endpoint != NULL || strchr (s3->bucket, '.') != NULL;
  if (style == NULL)
    return 0;
  s3->path_style = strcmp (style, "path") == 0;
  if (!s3->path_style && strcmp (style, "virtual") != 0)
    return error_set (err, ERROR_USER, "SHOAL_S3_STYLE=%s: it is path or virtual", style);
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
                        "%s: '%.*s' isn't a bucket's name; it is s3://BUCKET/PREFIX", source,
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
