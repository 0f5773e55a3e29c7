#include "storage/web/url.h"

#include "common/http/http.h"
#include "common/memory.h"

#include <ctype.h>
#include <curl/curl.h>
#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

enum
{
  URL_MAX = 64 << 10,
  FILE_NAME_MAX = 255,
};

void
url_release (struct url *url)
{
  free (url->text);
  free (url->authorization);
  free (url->fragment);
  *url = (struct url){ 0 };
}

/* A part of the URL for us to free, or NULL. */
static char *
part (CURLU *handle, CURLUPart what, unsigned int flags)
{
  char *theirs = NULL;
  if (curl_url_get (handle, what, &theirs, flags) != CURLUE_OK)
    return NULL;
  char *ours = xstrdup (theirs);
  curl_free (theirs);
  return ours;
}

static char *
basic_authorization (CURLU *handle)
{
  auto_free char *user = part (handle, CURLUPART_USER, CURLU_URLDECODE);
  auto_free char *password = part (handle, CURLUPART_PASSWORD, CURLU_URLDECODE);
  if (user == NULL && password == NULL)
    return NULL;
  auto_free char *both =
      xasprintf ("%s:%s", user == NULL ? "" : user, password == NULL ? "" : password);
  size_t size = strlen (both);
  auto_free char *encoded = xcalloc (1, size / 3 * 4 + 5);
  (void) EVP_EncodeBlock ((unsigned char *) encoded, (const unsigned char *) both, (int) size);
  return xasprintf ("Authorization: Basic %s", encoded);
}

static bool
is_web (const char *scheme)
{
  return scheme != NULL && (strcmp (scheme, "http") == 0 || strcmp (scheme, "https") == 0);
}

static bool
read_with (CURLU *handle, struct url *url, const char *base, const char *text)
{
  const unsigned int flags = CURLU_URLENCODE | CURLU_PATH_AS_IS;
  if (strlen (text) > URL_MAX)
    return false;
  if (base != NULL && curl_url_set (handle, CURLUPART_URL, base, flags) != CURLUE_OK)
    return false;
  if (curl_url_set (handle, CURLUPART_URL, text, flags) != CURLUE_OK)
    return false;
  auto_free char *scheme = part (handle, CURLUPART_SCHEME, 0);
  auto_free char *host = part (handle, CURLUPART_HOST, 0);
  if (!is_web (scheme) || host == NULL || host[0] == '\0' || strpbrk (host, "@ /\\?#<>\"") != NULL)
    return false;
  url->authorization = basic_authorization (handle);
  url->fragment = part (handle, CURLUPART_FRAGMENT, 0);
  (void) curl_url_set (handle, CURLUPART_USER, NULL, 0);
  (void) curl_url_set (handle, CURLUPART_PASSWORD, NULL, 0);
  (void) curl_url_set (handle, CURLUPART_OPTIONS, NULL, 0);
  (void) curl_url_set (handle, CURLUPART_FRAGMENT, NULL, 0);
  url->text = part (handle, CURLUPART_URL, 0);
  const char *server = url->text == NULL ? NULL : strstr (url->text, "://");
  return server != NULL && memchr (server + 3, '@', strcspn (server + 3, "/?#")) == NULL;
}

int
url_read (struct url *url, const char *base, const char *text, struct error *err)
{
  *url = (struct url){ 0 };
  CURLU *handle = curl_url ();
  if (handle == NULL)
    abort ();
  bool good = read_with (handle, url, base, text);
  curl_url_cleanup (handle);
  if (good)
    return 0;
  url_release (url);
  auto_free char *shown = http_url_shown (text);
  return error_set (err, ERROR_USER, "%.200s: not an http or https URL", shown);
}

/* Length of "scheme://host:port". */
static size_t
server_length (const char *url)
{
  const char *host = strstr (url, "://");
  return host == NULL ? 0 : (size_t) (host + 3 - url) + strcspn (host + 3, "/?#");
}

bool
url_same_server (const char *left, const char *right)
{
  size_t length = server_length (left);
  return length == server_length (right) && strncasecmp (left, right, length) == 0;
}

size_t
url_path_end (const char *url)
{
  return strcspn (url, "?#");
}

void
url_encode (struct buffer *buffer, const char *path)
{
  for (const char *at = path; *at != '\0'; at++)
    if (isalnum ((unsigned char) *at) || strchr ("-._~/", *at) != NULL)
      buffer_putc (buffer, *at);
    else
      buffer_printf (buffer, "%%%02X", (unsigned int) (unsigned char) *at);
}

static int
hex_digit (char digit)
{
  return digit >= '0' && digit <= '9' ? digit - '0' : tolower ((unsigned char) digit) - 'a' + 10;
}

char *
url_decode (const char *text, size_t size)
{
  auto_free char *decoded = xcalloc (1, size + 1);
  size_t n = 0;
  for (size_t i = 0; i < size; i++)
    {
      char byte = text[i];
      if (byte == '%' && size - i > 2 && isxdigit ((unsigned char) text[i + 1])
          && isxdigit ((unsigned char) text[i + 2]))
        {
          byte = (char) (hex_digit (text[i + 1]) * 16 + hex_digit (text[i + 2]));
          i += 2;
        }
      if (byte == '\0')
        return NULL;
      decoded[n++] = byte;
    }
  return take (&decoded);
}

char *
url_decode_name (const char *text, size_t size)
{
  auto_free char *name = url_decode (text, size);
  if (name == NULL || name[0] == '\0' || strcmp (name, ".") == 0 || strcmp (name, "..") == 0
      || strchr (name, '/') != NULL || strlen (name) > FILE_NAME_MAX)
    return NULL;
  return take (&name);
}

char *
url_last_name (const char *url)
{
  size_t start = server_length (url);
  size_t end = url_path_end (url);
  if (end <= start)
    return NULL;
  const char *slash = memrchr (url + start, '/', end - start);
  return slash == NULL ? NULL : url_decode_name (slash + 1, (size_t) (url + end - slash - 1));
}
