#include "httpd/route.h"

#include <string.h>
#include <strings.h>

/* Whether ROUTE's path is PATH; *REST is what is below. */
static bool
fits (const struct http_route *route, const char *path, const char **rest)
{
  size_t length = strlen (route->path);
  *rest = "";
  if (route->path[length - 1] != '/')
    return strcmp (route->path, path) == 0;
  if (strncmp (route->path, path, length) != 0 || path[length] == '\0'
      || strchr (path + length, '/') != NULL)
    return false;
  *rest = path + length;
  return true;
}

const struct http_route *
route_find (const struct http_route *routes, size_t count, const char *method, const char *path,
            const char **rest, const char **allowed)
{
  const char *wanted = strcmp (method, "HEAD") == 0 ? "GET" : method;
  *allowed = NULL;
  for (size_t i = 0; i < count; i++)
    {
      if (!fits (&routes[i], path, rest))
        continue;
      if (strcmp (routes[i].method, wanted) == 0)
        return &routes[i];
      *allowed = routes[i].method;
    }
  return NULL;
}

void
token_sum (const char *token, uint8_t sum[static DIGEST_SIZE])
{
  auto_digest struct digest *digest = digest_new ();
  digest_add (digest, token, strlen (token));
  digest_finish (digest, sum);
}

/* Takes the same time whatever differs. */
static bool
route_is_token (const char *given, const uint8_t wanted[static DIGEST_SIZE])
{
  uint8_t sum[DIGEST_SIZE];
  unsigned int difference = 0;
  token_sum (given, sum);
  for (size_t i = 0; i < DIGEST_SIZE; i++)
    difference |= (unsigned int) (sum[i] ^ wanted[i]);
  return difference == 0;
}

bool
token_sum_in (const char *header, uint8_t sum[static DIGEST_SIZE])
{
  static const char scheme[] = "Bearer ";
  if (header == NULL || strncasecmp (header, scheme, strlen (scheme)) != 0)
    return false;
  token_sum (header + strlen (scheme), sum);
  return true;
}

bool
token_is_in (const char *header, const uint8_t sum[static DIGEST_SIZE])
{
  static const char scheme[] = "Bearer ";
  return header != NULL && strncasecmp (header, scheme, strlen (scheme)) == 0
         && route_is_token (header + strlen (scheme), sum);
}
