#include "storage/s3/sign.h"

#include "common/digest.h"
#include "common/memory.h"
#include "common/percent.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define ALGORITHM "AWS4-HMAC-SHA256"

void
sign_encode (struct buffer *buffer, const char *text, bool keep_slash)
{
  percent_encode (buffer, text, keep_slash ? "/" : "");
}

const char *
sign_sha256 (struct bytes data, char hex[static 65])
{
  uint8_t sum[DIGEST_SIZE];
  auto_digest struct digest *digest = digest_new ();
  digest_add (digest, data.data, data.size);
  digest_finish (digest, sum);
  return digest_format (sum, hex);
}

static void
hmac (const void *key, size_t key_size, const char *text, uint8_t sum[static DIGEST_SIZE])
{
  unsigned int size = DIGEST_SIZE;
  if (HMAC (EVP_sha256 (), key, (int) key_size, (const unsigned char *) text, strlen (text), sum,
            &size)
      == NULL)
    abort ();
}

/* ---- the canonical request -------------------------------------------------------------- */

static bool
s3_sign_is_signed (const char *header)
{
  return strncasecmp (header, "x-amz-", 6) == 0 || strncasecmp (header, "content-type:", 13) == 0;
}

/* "name:value" with the name in lower case and the value without spaces around and doubled
 * inside. */
static char *
canonical_header (const char *header)
{
  struct buffer line = { 0 };
  const char *colon = strchr (header, ':');
  for (const char *at = header; at < colon; at++)
    buffer_putc (&line, (char) tolower ((unsigned char) *at));
  buffer_putc (&line, ':');
  bool space = false, begun = false;
  for (const char *at = colon + 1; *at != '\0'; at++)
    if (*at == ' ' || *at == '\t')
      space = begun;
    else
      {
        if (space)
          buffer_putc (&line, ' ');
        buffer_putc (&line, *at);
        space = false;
        begun = true;
      }
  return buffer_take (&line);
}

static int
s3_sign_by_name (const void *left, const void *right)
{
  return strcmp (*(char *const *) left, *(char *const *) right);
}

/* Bytes of HOST, which a URL goes on with, that the Host header has: without the port where it is
 * the scheme's own. */
static size_t
host_size (const char *url, const char *host)
{
  size_t size = strcspn (host, "/?#");
  const char *port = strncasecmp (url, "https:", 6) == 0 ? ":443" : ":80";
  size_t length = strlen (port);
  return size > length && strncmp (host + size - length, port, length) == 0 ? size - length : size;
}

/* The headers that are signed, sorted, and "host;x-amz-…" of them. */
static void
s3_sign_gather (const char *url, const struct strlist *headers, struct strlist *lines,
                struct buffer *names)
{
  const char *host = strstr (url, "://") + 3;
  strlist_addf (lines, "host:%.*s", (int) host_size (url, host), host);
  for (size_t i = 0; i < headers->count; i++)
    if (s3_sign_is_signed (headers->items[i]))
      strlist_take (lines, canonical_header (headers->items[i]));
  qsort (lines->items, lines->count, sizeof *lines->items, s3_sign_by_name);
  for (size_t i = 0; i < lines->count; i++)
    buffer_printf (names, "%s%.*s", i == 0 ? "" : ";", (int) strcspn (lines->items[i], ":"),
                   lines->items[i]);
}

static void
sum_request (const char *method, const char *url, const struct strlist *lines, const char *names,
             const char *payload, char hex[static 65])
{
  const char *host = strstr (url, "://") + 3;
  const char *path = host + strcspn (host, "/?#");
  size_t path_size = strcspn (path, "?#");
  const char *query = path[path_size] == '?' ? path + path_size + 1 : "";
  auto_buffer struct buffer text = { 0 };
  buffer_printf (&text, "%s\n%.*s\n%.*s\n", method, path_size == 0 ? 1 : (int) path_size,
                 path_size == 0 ? "/" : path, (int) strcspn (query, "#"), query);
  for (size_t i = 0; i < lines->count; i++)
    buffer_printf (&text, "%s\n", lines->items[i]);
  buffer_printf (&text, "\n%s\n%s", names, payload);
  (void) sign_sha256 (buffer_bytes (&text), hex);
}

/* ---- the signature ---------------------------------------------------------------------- */

static void
derive (const struct sign_keys *keys, const struct sign_scope *scope, const char *day,
        uint8_t key[static DIGEST_SIZE])
{
  auto_free char *first = xasprintf ("AWS4%s", keys->secret);
  hmac (first, strlen (first), day, key);
  explicit_bzero (first, strlen (first));
  hmac (key, DIGEST_SIZE, scope->region, key);
  hmac (key, DIGEST_SIZE, scope->service, key);
  hmac (key, DIGEST_SIZE, "aws4_request", key);
}

void
sign_request (const struct sign_keys *keys, const struct sign_scope *scope, const char *method,
              const char *url, const char *payload, struct strlist *headers)
{
  char stamp[sizeof "20260101T000000Z"];
  time_t seconds = (time_t) (scope->now / 1000);
  struct tm now;
  (void) gmtime_r (&seconds, &now);
  (void) strftime (stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &now);
  strlist_addf (headers, "x-amz-date: %s", stamp);
  if (keys->token != NULL)
    strlist_addf (headers, "x-amz-security-token: %s", keys->token);

  auto_strlist struct strlist lines = { 0 };
  auto_buffer struct buffer names = { 0 };
  char request[65];
  s3_sign_gather (url, headers, &lines, &names);
  sum_request (method, url, &lines, names.data, payload, request);

  auto_free char *scoped =
      xasprintf ("%.8s/%s/%s/aws4_request", stamp, scope->region, scope->service);
  auto_free char *text = xasprintf (ALGORITHM "\n%s\n%s\n%s", stamp, scoped, request);
  char day[9];
  (void) snprintf (day, sizeof day, "%.8s", stamp);
  uint8_t sum[DIGEST_SIZE];
  char signature[DIGEST_TEXT_SIZE];
  derive (keys, scope, day, sum);
  hmac (sum, sizeof sum, text, sum);
  strlist_addf (headers,
                "Authorization: " ALGORITHM " Credential=%s/%s, SignedHeaders=%s, Signature=%s",
                keys->id, scoped, names.data, digest_format (sum, signature));
  explicit_bzero (sum, sizeof sum);
}
