/* Which addresses a call may talk to: looked at when a socket is opened, behind the DNS, and again
 * before each request, as connections are used again.
 *
 * A URL that our user gave may lead anywhere. Where a server's answer leads, or a URL that isn't
 * our user's, may be public, or of the kind that the server itself has: a page on the Internet
 * doesn't get us to ask this machine, its network or a metadata service; a server on this machine
 * may redirect to another on it. */
#include "common/http/http_internal.h"

#include "common/memory.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

enum
{
  HOST_MAX = 256,
};

/* ---- hosts of URLs ---------------------------------------------------------------------- */

/* The host and port of URL as libcurl reads them (127.1 and 0x7f000001 are 127.0.0.1); the caller
 * frees both. */
static bool
read_host (const char *url, const char *default_port, char **host, char **port)
{
  CURLU *parts = curl_url ();
  char *found = NULL;
  char *number = NULL;
  const unsigned int flags = CURLU_NON_SUPPORT_SCHEME | CURLU_GUESS_SCHEME;
  bool good = parts != NULL && curl_url_set (parts, CURLUPART_URL, url, flags) == CURLUE_OK
              && curl_url_get (parts, CURLUPART_HOST, &found, 0) == CURLUE_OK;
  if (good)
    {
      size_t length = strlen (found);
      bool bracketed = length >= 2 && found[0] == '[';
      *host = bracketed ? xstrndup (found + 1, length - 2) : xstrdup (found);
      const unsigned int how = default_port == NULL ? CURLU_DEFAULT_PORT : 0;
      bool told = curl_url_get (parts, CURLUPART_PORT, &number, how) == CURLUE_OK;
      *port = xstrdup (told ? number : default_port == NULL ? "" : default_port);
    }
  curl_free (found);
  curl_free (number);
  curl_url_cleanup (parts);
  return good;
}

static bool
is_localhost (const char *host)
{
  static const char name[] = "localhost";
  size_t length = strlen (host);
  if (length > 0 && host[length - 1] == '.')
    length--;
  if (length < strlen (name)
      || strncasecmp (host + length - strlen (name), name, strlen (name)) != 0)
    return false;
  return length == strlen (name) || host[length - strlen (name) - 1] == '.';
}

/* The addresses of HOST; NULL: none are known. The caller frees by freeaddrinfo. */
static struct addrinfo *
find_addresses (const char *host, const char *port, int flags)
{
  const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = flags };
  struct addrinfo *found = NULL;
  return getaddrinfo (host, port, &hints, &found) == 0 ? found : NULL;
}

/* The most distant class of URL's addresses; names aren't asked for when only NUMERIC ones
 * count. */
static enum address_class
class_of_url (const char *url, bool numeric)
{
  auto_free char *host = NULL;
  auto_free char *port = NULL;
  if (!read_host (url, NULL, &host, &port))
    return ADDRESS_PUBLIC;
  if (is_localhost (host))
    return ADDRESS_LOOPBACK;
  struct addrinfo *found = find_addresses (host, NULL, numeric ? AI_NUMERICHOST : 0);
  enum address_class class = found == NULL ? ADDRESS_PUBLIC : ADDRESS_LOOPBACK;
  for (const struct addrinfo *one = found; one != NULL; one = one->ai_next)
    {
      enum address_class its = address_class_of (one->ai_addr, one->ai_addrlen);
      class = its < class ? its : class;
    }
  if (found != NULL)
    freeaddrinfo (found);
  return class;
}

enum address_class
http_class_of (const char *url)
{
  return class_of_url (url, false);
}

/* ---- proxies ---------------------------------------------------------------------------- */

static bool
is_same_place (const struct sockaddr *one, const struct sockaddr *other)
{
  if (one->sa_family != other->sa_family)
    return false;
  if (one->sa_family == AF_INET)
    {
      const struct sockaddr_in *a = (const struct sockaddr_in *) (const void *) one;
      const struct sockaddr_in *b = (const struct sockaddr_in *) (const void *) other;
      return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
    }
  const struct sockaddr_in6 *a = (const struct sockaddr_in6 *) (const void *) one;
  const struct sockaddr_in6 *b = (const struct sockaddr_in6 *) (const void *) other;
  return one->sa_family == AF_INET6 && a->sin6_port == b->sin6_port
         && IN6_ARE_ADDR_EQUAL (&a->sin6_addr, &b->sin6_addr);
}

/* Whether ADDRESS is that of a proxy that the environment tells libcurl to use. */
static bool
is_proxy (const struct sockaddr *address)
{
  static const char *const names[] = { "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                       "ALL_PROXY" };
  bool same = false;
  for (size_t i = 0; i < sizeof names / sizeof *names && !same; i++)
    {
      const char *proxy = getenv (names[i]);
      auto_free char *host = NULL;
      auto_free char *port = NULL;
      if (proxy == NULL || proxy[0] == '\0' || !read_host (proxy, "1080", &host, &port))
        continue;
      struct addrinfo *found = find_addresses (host, port, AI_NUMERICSERV);
      for (const struct addrinfo *one = found; one != NULL && !same; one = one->ai_next)
        same = is_same_place (one->ai_addr, address);
      if (found != NULL)
        freeaddrinfo (found);
    }
  return same;
}

/* ---- the check -------------------------------------------------------------------------- */

static const char *
url_of (const struct http_try *try)
{
  return try->location == NULL ? try->call->url : try->location;
}

static bool
http_reach_refuse (struct http_try *try, const struct sockaddr *address, enum address_class class)
{
  auto_free char *host = NULL;
  auto_free char *port = NULL;
  char text[HOST_MAX] = "?";
  (void) getnameinfo (address,
                      address->sa_family == AF_INET6 ? sizeof (struct sockaddr_in6)
                                                     : sizeof (struct sockaddr_in),
                      text, sizeof text, NULL, 0, NI_NUMERICHOST);
  if (!read_host (url_of (try), NULL, &host, &port))
    host = xstrdup ("?");
  (void) error_set (&try->strayed, ERROR_USER, "%s%s%s%s, %s: refused, as %s",
                    try->location != NULL ? "redirect to " : "", host,
                    strcmp (host, text) == 0 ? "" : " leads to ",
                    strcmp (host, text) == 0 ? "" : text, address_class_name (class),
                    try->call->led == NULL ? "what redirects isn't at such an address itself"
                                           : try->call->led);
  return false;
}

/* Whether TRY may talk to ADDRESS. A proxy asks the servers for us, by names that it resolves
 * itself: only what the URL says can be told then. */
static bool
may_reach (struct http_try *try, const struct sockaddr *address, socklen_t size)
{
  enum address_class class = address_class_of (address, size);
  if (class != ADDRESS_PUBLIC && is_proxy (address))
    class = class_of_url (url_of (try), true);
  if (try->location == NULL && try->call->led == NULL)
    {
      try->home = class;
      return true;
    }
  enum address_class home = try->call->led == NULL ? try->home : try->call->home;
  return class == ADDRESS_PUBLIC || class == home || http_reach_refuse (try, address, class);
}

curl_socket_t
http_reach_open (void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
  (void) purpose;
  if (!may_reach (context, &address->addr, address->addrlen))
    return CURL_SOCKET_BAD;
  return socket (address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

int
http_reach_ask (void *context, char *remote, char *local, int remote_port, int local_port)
{
  struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons ((uint16_t) remote_port) };
  struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons ((uint16_t) remote_port) };
  (void) local;
  (void) local_port;
  bool good = false;
  if (inet_pton (AF_INET, remote, &v4.sin_addr) == 1)
    good = may_reach (context, (const struct sockaddr *) &v4, sizeof v4);
  else if (inet_pton (AF_INET6, remote, &v6.sin6_addr) == 1)
    good = may_reach (context, (const struct sockaddr *) &v6, sizeof v6);
  return good ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}
