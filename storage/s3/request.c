#include "storage/s3/request.h"

#include "common/clock.h"
#include "common/hex.h"
#include "common/memory.h"
#include "storage/s3/sign.h"
#include "storage/s3/xml.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum
{
  REFRESHES = 3, /* tries of a request that new credentials, or another region, are got for */
};

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
  (void) hex_format (sum, DIGEST_SIZE, hex);
  return 0;
}

static int
s3_request_prepare (struct http_call *call, struct strlist *headers, struct error *err)
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
s3_region_from_error (struct s3 *s3, const struct http_call *call, const char *code)
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
s3_request_has_ended (struct s3 *s3, const char *code)
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
      && s3_region_from_error (s3, call, code))
    return true;
  for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
    if (strcmp (code, passing[i]) == 0)
      return true;
  if (call->tried >= REFRESHES || !s3_request_has_ended (s3, code))
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
      (void) error_set (err, err->class, "%s (request without credentials)", text);
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
  call->prepare = s3_request_prepare;
  call->again = again;
}
