#include "policy/policy_url.h"

#include "common/auto.h"
#include "common/memory.h"
#include "common/path.h"

#include <ctype.h>
#include <curl/curl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A URL, or a rule, taken apart. */
struct url_parts
{
  char *scheme; /* lower case */
  char *host;   /* or a bucket, a CID */
  char *port;   /* NULL: the scheme's own, or it has none */
  char *path;   /* "" or from the slash on */
};

static void
url_parts_release (struct url_parts *parts)
{
  free (parts->scheme);
  free (parts->host);
  free (parts->port);
  free (parts->path);
  *parts = (struct url_parts){ 0 };
}
#define auto_parts AUTO (url_parts_release)

static bool
policy_url_is_web (const char *scheme)
{
  return strcmp (scheme, "http") == 0 || strcmp (scheme, "https") == 0;
}

/* The scheme of TEXT in lower case, NULL when it has none; *REST is what is behind "://". The
 * caller frees. */
static char *
cut_scheme (const char *text, const char **rest)
{
  const char *end = strstr (text, "://");
  if (end == NULL || end == text)
    return NULL;
  char *scheme = xstrndup (text, (size_t) (end - text));
  for (char *at = scheme; *at != '\0'; at++)
    *at = (char) tolower ((unsigned char) *at);
  *rest = end + 3;
  return scheme;
}

static void
cut_path (struct url_parts *parts, const char *rest)
{
  size_t length = strcspn (rest, "/");
  parts->host = xstrndup (rest, length);
  parts->path = xstrdup (rest + length);
}

/* ---- URLs ------------------------------------------------------------------------------- */

static char *
part_of (CURLU *url, CURLUPart part, unsigned int flags)
{
  char *text = NULL;
  if (curl_url_get (url, part, &text, flags) != CURLUE_OK)
    return NULL;
  char *copy = xstrdup (text);
  curl_free (text);
  return copy;
}

static bool
split_web (const char *text, struct url_parts *parts)
{
  CURLU *url = curl_url ();
  if (url != NULL && curl_url_set (url, CURLUPART_URL, text, 0) == CURLUE_OK)
    {
      parts->host = part_of (url, CURLUPART_HOST, 0);
      parts->port = part_of (url, CURLUPART_PORT, CURLU_NO_DEFAULT_PORT);
      parts->path = part_of (url, CURLUPART_PATH, 0);
    }
  curl_url_cleanup (url);
  return parts->host != NULL && parts->path != NULL;
}

static bool
split_url (const char *text, struct url_parts *parts)
{
  const char *rest = NULL;
  parts->scheme = cut_scheme (text, &rest);
  if (parts->scheme == NULL)
    return false;
  if (policy_url_is_web (parts->scheme))
    return split_web (text, parts);
  cut_path (parts, rest);
  return true;
}

/* ---- rules ------------------------------------------------------------------------------ */

static bool
split_rule (const char *text, struct url_parts *parts)
{
  const char *rest = NULL;
  parts->scheme = cut_scheme (text, &rest);
  if (parts->scheme == NULL)
    return false;
  cut_path (parts, rest);
  char *colon = strrchr (parts->host, ':');
  if (!policy_url_is_web (parts->scheme) || colon == NULL || strchr (colon, ']') != NULL)
    return true;
  parts->port = xstrdup (colon + 1);
  *colon = '\0';
  return strcmp (parts->port, "*") == 0
         || (parts->port[0] != '\0' && strspn (parts->port, "0123456789") == strlen (parts->port));
}

int
policy_url_check_rule (const char *rule, struct error *err)
{
  static const char *const schemes[] = { "s3", "http", "https", "ipfs" };
  auto_parts struct url_parts parts = { 0 };
  bool good = split_rule (rule, &parts) && strpbrk (rule, " \t\r\n@?#\\%") == NULL;
  bool known = false;
  for (size_t i = 0; good && i < sizeof schemes / sizeof schemes[0]; i++)
    known = known || strcmp (parts.scheme, schemes[i]) == 0;
  good = good && known && (parts.host[0] != '\0' || parts.path[0] == '\0');
  if (good && parts.path[0] != '\0')
    {
      auto_free char *normal = path_normal (parts.path, NULL);
      good = normal != NULL && strncmp (normal, parts.path, strlen (normal)) == 0
             && strlen (parts.path) - strlen (normal) <= 1;
    }
  return good ? 0
              : error_set (err, ERROR_USER,
                           "\"%.300s\": expected a URL or its beginning: s3://BUCKET/PREFIX, "
                           "https://HOST:PORT/PATH, http://…, ipfs://CID",
                           rule);
}

static bool
has_host (const struct url_parts *rule, const struct url_parts *url)
{
  int flags = FNM_NOESCAPE | (policy_url_is_web (rule->scheme) ? FNM_CASEFOLD : 0);
  if (rule->host[0] == '[') /* an address, no pattern */
    return strcasecmp (rule->host, url->host) == 0;
  return rule->host[0] == '\0' || fnmatch (rule->host, url->host, flags) == 0;
}

static bool
has_port (const struct url_parts *rule, const struct url_parts *url)
{
  static const char http[] = "80";
  static const char https[] = "443";
  if (!policy_url_is_web (rule->scheme) || rule->host[0] == '\0'
      || (rule->port != NULL && strcmp (rule->port, "*") == 0))
    return true;
  const char *usual = strcmp (rule->scheme, "https") == 0 ? https : http;
  return strcmp (rule->port == NULL ? usual : rule->port, url->port == NULL ? usual : url->port)
         == 0;
}

/* What a server may take for a slash, a dot or a backslash isn't below anything. */
static bool
is_encoded (const char *path)
{
  for (const char *at = strchr (path, '%'); at != NULL; at = strchr (at + 1, '%'))
    if (strncasecmp (at, "%2f", 3) == 0 || strncasecmp (at, "%2e", 3) == 0
        || strncasecmp (at, "%5c", 3) == 0 || strncasecmp (at, "%25", 3) == 0)
      return true;
  return strchr (path, '\\') != NULL;
}

static bool
has_path (const struct url_parts *rule, const struct url_parts *url)
{
  auto_free char *prefix = rule->path[0] == '\0' ? NULL : path_normal (rule->path, NULL);
  if (prefix == NULL || strcmp (prefix, "/") == 0)
    return true;
  auto_free char *path = is_encoded (url->path) ? NULL : path_normal (url->path, NULL);
  return path != NULL && path_below (path, prefix) != NULL
         && strncmp (url->path, prefix, strlen (prefix)) == 0;
}

bool
policy_url_matches (const char *rule, const char *url)
{
  auto_parts struct url_parts wanted = { 0 };
  auto_parts struct url_parts given = { 0 };
  return split_rule (rule, &wanted) && split_url (url, &given)
         && strcmp (wanted.scheme, given.scheme) == 0 && has_host (&wanted, &given)
         && has_port (&wanted, &given) && has_path (&wanted, &given);
}

char *
policy_url_resolve (const char *base, const char *link)
{
  char *whole = NULL;
  CURLU *url = curl_url ();
  if (url != NULL && curl_url_set (url, CURLUPART_URL, base, 0) == CURLUE_OK
      && curl_url_set (url, CURLUPART_URL, link, 0) == CURLUE_OK)
    whole = part_of (url, CURLUPART_URL, 0);
  curl_url_cleanup (url);
  return whole;
}
