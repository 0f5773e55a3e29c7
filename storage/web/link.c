#include "storage/web/link.h"

#include "common/buffer.h"
#include "common/memory.h"
#include "storage/web/url.h"

#include <ctype.h>
#include <curl/curl.h>
#include <string.h>
#include <strings.h>

enum
{
  LINK_MAX = 16 << 10, /* bytes of one that are looked at */
};

static char *
link_part (CURLU *handle, CURLUPart what)
{
  char *theirs = NULL;
  if (curl_url_get (handle, what, &theirs, CURLU_NO_DEFAULT_PORT) != CURLUE_OK)
    return NULL;
  char *ours = xstrdup (theirs);
  curl_free (theirs);
  return ours;
}

/* "scheme://host:port" of what HANDLE holds, the port where it isn't the scheme's own. */
static char *
link_origin (CURLU *handle)
{
  auto_free char *scheme = link_part (handle, CURLUPART_SCHEME);
  auto_free char *host = link_part (handle, CURLUPART_HOST);
  auto_free char *port = link_part (handle, CURLUPART_PORT);
  return xasprintf ("%s://%s%s%s", scheme == NULL ? "" : scheme, host == NULL ? "" : host,
                    port == NULL ? "" : ":", port == NULL ? "" : port);
}

bool
link_base_open (struct link_base *base, const char *url)
{
  *base = (struct link_base){ .handle = curl_url (), .url = xstrdup (url) };
  if (base->handle == NULL)
    abort ();
  if (curl_url_set (base->handle, CURLUPART_URL, url, 0) != CURLUE_OK)
    return false;
  base->page = link_origin (base->handle);
  base->folder = link_part (base->handle, CURLUPART_PATH);
  base->query = link_part (base->handle, CURLUPART_QUERY);
  char *slash = base->folder == NULL ? NULL : strrchr (base->folder, '/');
  if (slash == NULL)
    return false;
  slash[1] = '\0';
  return true;
}

void
link_base_release (struct link_base *base)
{
  curl_url_cleanup (base->handle);
  free (base->url);
  free (base->page);
  free (base->folder);
  free (base->query);
  *base = (struct link_base){ 0 };
}

/* The scheme that TEXT begins with, its bytes; 0: none. */
static size_t
link_scheme_length (const char *text, size_t size)
{
  size_t i = 0;
  while (i < size && (isalnum ((unsigned char) text[i]) || strchr ("+-.", text[i]) != NULL)
         && text[i] != '\0')
    i++;
  return i > 0 && i < size && text[i] == ':' && isalpha ((unsigned char) text[0]) ? i : 0;
}

static bool
link_has_word (const char *text, size_t size, const char *const *words, size_t count)
{
  for (size_t i = 0; i < count; i++)
    if (strlen (words[i]) == size && strncasecmp (text, words[i], size) == 0)
      return true;
  return false;
}

/* TEXT as curl reads it: what can't be in a URL is %XX, and a name like "12:30.jpg", which has no
 * scheme, is "./12:30.jpg". */
static void
link_clean (struct buffer *clean, const char *text, size_t size)
{
  const char *colon = memchr (text, ':', size);
  if (colon != NULL && link_scheme_length (text, size) == 0
      && memchr (text, '/', (size_t) (colon - text)) == NULL)
    buffer_puts (clean, "./");
  for (size_t i = 0; i < size; i++)
    if ((unsigned char) text[i] <= ' ' || (unsigned char) text[i] >= 0x7f
        || strchr ("\"<>\\^`{|}", text[i]) != NULL)
      buffer_printf (clean, "%%%02X", (unsigned char) text[i]);
    else
      buffer_putc (clean, text[i]);
  buffer_append (clean, "", 0);
}

/* Resolves TEXT into the handle. */
static bool
link_resolve (struct link_base *base, const char *text, size_t size)
{
  auto_buffer struct buffer clean = { 0 };
  link_clean (&clean, text, size);
  return curl_url_set (base->handle, CURLUPART_URL, base->url, 0) == CURLUE_OK
         && curl_url_set (base->handle, CURLUPART_URL, clean.data, 0) == CURLUE_OK;
}

/* The next component of a path with its "/", moved over; NULL at the end. */
static const char *
next_component (const char **path, size_t *size)
{
  const char *start = *path;
  if (*start == '\0')
    return NULL;
  *size = strcspn (start, "/");
  *path = start + *size + (start[*size] == '/');
  return start;
}

static bool
link_same_component (const char *left, size_t left_size, const char *right, size_t right_size)
{
  if (left_size == right_size && memcmp (left, right, left_size) == 0)
    return true;
  auto_free char *a = url_decode (left, left_size);
  auto_free char *b = url_decode (right, right_size);
  return a != NULL && b != NULL && strcmp (a, b) == 0;
}

/* What PATH has below FOLDER; NULL: it isn't below it. *ABOVE: FOLDER, or something it lies in. */
static const char *
path_below (const char *folder, const char *path, bool *above)
{
  const char *f = folder + 1;
  const char *p = path + 1;
  *above = false;
  for (;;)
    {
      size_t f_size = 0;
      size_t p_size = 0;
      const char *rest = p;
      const char *wanted = next_component (&f, &f_size);
      if (wanted == NULL)
        return rest;
      const char *given = next_component (&p, &p_size);
      if (given == NULL)
        {
          *above = true;
          return NULL;
        }
      if (!link_same_component (wanted, f_size, given, p_size))
        return NULL;
      if (given[p_size] == '\0') /* the folder without its slash */
        {
          *above = true;
          return NULL;
        }
    }
}

/* REST of a path below the folder, as a name. */
static enum link_kind
link_take_name (const char *rest, size_t size, struct link *link)
{
  bool folder = size > 1 && rest[size - 1] == '/';
  char *name = url_decode_name (rest, folder ? size - 1 : size);
  if (name == NULL)
    return LINK_ELSEWHERE;
  *link = (struct link){ .name = name, .folder = folder };
  return LINK_CHILD;
}

static enum link_kind
link_judge (struct link_base *base, struct link *link)
{
  auto_free char *origin = link_origin (base->handle);
  auto_free char *path = link_part (base->handle, CURLUPART_PATH);
  auto_free char *query = link_part (base->handle, CURLUPART_QUERY);
  auto_free char *fragment = link_part (base->handle, CURLUPART_FRAGMENT);
  if (path == NULL || path[0] != '/')
    return LINK_ELSEWHERE;
  if (strcasecmp (origin, base->page) != 0)
    return LINK_HARMLESS;
  bool above = false;
  const char *rest = path_below (base->folder, path, &above);
  if (rest == NULL)
    return above ? LINK_HARMLESS : LINK_ELSEWHERE;
  if (rest[0] == '\0')
    return LINK_HARMLESS;
  size_t size = strlen (rest);
  bool asked = query != NULL && query[0] != '\0'
               && (base->query == NULL || strcmp (query, base->query) != 0);
  if (fragment != NULL && fragment[0] != '\0')
    return LINK_ELSEWHERE;
  if (asked && rest[size - 1] != '/')
    return LINK_ELSEWHERE; /* the query may say which file it is */
  return link_take_name (rest, size, link);
}

enum link_kind
link_read (struct link_base *base, const char *text, size_t size, struct link *link)
{
  static const char *const none[] = { "javascript", "mailto", "data", "tel", "about" };
  static const char *const web[] = { "http", "https" };
  *link = (struct link){ 0 };
  if (size == 0 || text[0] == '#')
    return LINK_HARMLESS;
  if (size > LINK_MAX || memchr (text, '\0', size) != NULL)
    return LINK_ELSEWHERE;
  size_t scheme = link_scheme_length (text, size);
  if (scheme > 0 && link_has_word (text, scheme, none, sizeof none / sizeof *none))
    return LINK_HARMLESS;
  if (scheme > 0 && !link_has_word (text, scheme, web, 2))
    return LINK_ELSEWHERE;
  /* Nearly all are a name: nothing to resolve. */
  bool plain = !base->moved && text[0] != '.';
  for (size_t i = 0; plain && i < size; i++)
    plain = strchr (":?#\\", text[i]) == NULL && (text[i] != '/' || (i > 0 && i + 1 == size));
  if (plain)
    return link_take_name (text, size, link);
  return link_resolve (base, text, size) ? link_judge (base, link) : LINK_ELSEWHERE;
}

void
link_base_move (struct link_base *base, const char *text, size_t size)
{
  if (size == 0 || size > LINK_MAX || memchr (text, '\0', size) != NULL
      || !link_resolve (base, text, size))
    return;
  char *url = link_part (base->handle, CURLUPART_URL);
  if (url == NULL)
    return;
  free (base->url);
  base->url = url;
  base->moved = true;
}
