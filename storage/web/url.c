#include "storage/web/url.h"

#include "common/base64.h"
#include "common/http/http.h"
#include "common/memory.h"
#include "common/percent.h"

#include <ctype.h>
#include <curl/curl.h>
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
  auto_free char *encoded = base64_encode (both, strlen (both));
  return xasprintf ("Authorization: Basic %s", encoded);
}

static bool
web_url_is_web (const char *scheme)
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
  if (!web_url_is_web (scheme) || host == NULL || host[0] == '\0'
      || strpbrk (host, "@ /\\?#<>\"") != NULL)
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
  percent_encode (buffer, path, "/");
}

char *
url_decode (const char *text, size_t size)
{
  auto_buffer struct buffer decoded = { 0 };
  buffer_append (&decoded, "", 0);
  percent_decode (&decoded, text, size);
  return memchr (decoded.data, '\0', decoded.size) != NULL ? NULL : buffer_take (&decoded);
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

bool
url_is_slashed (const char *url, const char *to)
{
  size_t end = url_path_end (to);
  auto_free char *last = url_last_name (url);
  if (last == NULL || end < 2 || to[end - 1] != '/')
    return false;
  auto_free char *bare = xstrndup (to, end - 1);
  auto_free char *name = url_last_name (bare);
  return name != NULL && strcmp (name, last) == 0;
}
