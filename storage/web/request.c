#include "storage/web/request.h"

#include "common/memory.h"

#include <string.h>
#include <strings.h>

/* The class of the source's own server, which entries of a list may be of too; asked for once, by
 * whichever thread. */
static enum address_class
web_request_home_of (const struct web *web)
{
  int *known = (int *) (uintptr_t) &web->home;
  int home = __atomic_load_n (known, __ATOMIC_RELAXED);
  if (home == 0)
    {
      home = 1 + (int) http_class_of (web->url.text);
      __atomic_store_n (known, home, __ATOMIC_RELAXED);
    }
  return (enum address_class) (home - 1);
}

void
web_call_init (const struct web *web, struct http_call *call, const char *url)
{
  http_call_init (call, xstrdup (url));
  if (!url_same_server (url, web->url.text))
    {
      call->led = "the list that names it isn't at such an address itself";
      call->home = web_request_home_of (web);
    }
  if (web->url.authorization != NULL && url_same_server (url, web->url.text))
    strlist_add (&call->headers, web->url.authorization);
}

void
web_authorize (struct http_call *call, const struct url *url)
{
  if (url->authorization == NULL)
    return;
  for (size_t i = 0; i < call->headers.count; i++)
    if (strncmp (call->headers.items[i], "Authorization:", strlen ("Authorization:")) == 0)
      {
        free (call->headers.items[i]);
        call->headers.items[i] = xstrdup (url->authorization);
        return;
      }
  strlist_add (&call->headers, url->authorization);
}

char *
web_url (const struct web *web, const char *path, bool folder)
{
  auto_buffer struct buffer url = { 0 };
  size_t end = url_path_end (web->url.text);
  buffer_append (&url, web->url.text, end);
  url_encode (&url, path);
  if (folder && path[0] != '\0')
    buffer_putc (&url, '/');
  buffer_puts (&url, web->url.text + end);
  return buffer_take (&url);
}

void
web_explain (void *context, const struct http_call *call, struct error *err)
{
  const struct web *web = context;
  const char *advice = NULL;
  if (call->status < 400) /* where a redirect went wrong is said already */
    return;
  if (call->status == 401)
    advice = web->url.authorization == NULL
                 ? "a user and a password are required: https://USER:PASSWORD@HOST/…"
                 : "the user or the password is wrong";
  (void) http_error (call, advice, err);
}

bool
web_is_list_type (const char *type)
{
  static const char *const lists[] = { "text/uri-list", "application/x-ndjson",
                                       "application/ndjson", "application/jsonl",
                                       "application/json-lines" };
  size_t length = type == NULL ? 0 : strcspn (type, "; \t");
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
    if (length == strlen (lists[i]) && strncasecmp (type, lists[i], length) == 0)
      return true;
  return false;
}
