#include "storage/web/web.h"

#include "common/memory.h"
#include "storage/fetcher.h"
#include "storage/web/pin.h"

#include <string.h>
#include <strings.h>

/* The class of the source's own server, which entries of a list may be of too; asked for once, by
 * whichever thread. */
static enum address_class
home_of (const struct web *web)
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
      call->home = home_of (web);
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
                 ? "it wants a user and a password: https://USER:PASSWORD@HOST/…"
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

/* ---- fetching --------------------------------------------------------------------------- */

static int
request (void *context, const struct storage_item *item, struct http_call *call, struct error *err)
{
  struct web *web = context;
  if (item->source != NULL)
    {
      auto_url struct url url = { 0 };
      if (url_read (&url, web->url.text, item->source, err) != 0)
        return -1;
      web_call_init (web, call, url.text);
      web_authorize (call, &url);
    }
  else if (web->kind == WEB_FOLDER)
    {
      auto_free char *url = web_url (web, item->path, false);
      web_call_init (web, call, url);
    }
  else if (web->file != NULL && strcmp (item->path, web->file) == 0)
    web_call_init (web, call, web->url.text);
  else
    return error_set (err, ERROR_USER, "isn't there");
  if (item->version != NULL)
    pin_ask (item->version, &call->headers);
  return 0;
}

static int
check (void *context, const struct storage_item *item, const struct http_call *call,
       struct fetch_sum *sum, struct error *err)
{
  (void) context;
  if (item->version == NULL)
    return 0;
  if (pin_check (item->version, call, sum, err) != 0)
    return -1;
  int64_t size = call->status == 206 ? call->whole : call->length;
  if (sum->algorithm != NULL && item->size >= 0 && size >= 0 && size != item->size)
    return error_set (err, ERROR_USER, "has %lld bytes, and %lld were listed", (long long) size,
                      (long long) item->size);
  return 0;
}

static char *
address (void *context, const struct storage_item *item)
{
  const struct web *web = context;
  auto_url struct url url = { 0 };
  if (item->source != NULL)
    return url_read (&url, web->url.text, item->source, NULL) == 0 ? take (&url.text) : NULL;
  return web->kind == WEB_FOLDER ? web_url (web, item->path, false) : xstrdup (web->url.text);
}

static int
web_fetch (struct storage *storage, const struct storage_batch *batch, struct error *err)
{
  struct web *web = (struct web *) storage;
  const struct fetch_source source = { .context = web,
                                       .ranges = true,
                                       .address = address,
                                       .request = request,
                                       .check = check,
                                       .explain = web_explain };
  return fetcher_run (&source, batch, err) == 0 ? 0 : error_wrap (err, "%s", web->shown);
}

/* ---- opening ---------------------------------------------------------------------------- */

static bool
has_ending (const char *name, const char *ending)
{
  size_t size = strlen (name);
  size_t length = strlen (ending);
  return size > length && strcasecmp (name + size - length, ending) == 0;
}

static enum web_kind
kind_of (const struct web *web)
{
  static const char *const endings[] = { ".urls", ".jsonl", ".ndjson" };
  const char *fragment = web->url.fragment == NULL ? "" : web->url.fragment;
  if (strcmp (fragment, "list") == 0)
    return WEB_LIST;
  if (strcmp (fragment, "file") == 0)
    return WEB_FILE;
  if (web->url.text[url_path_end (web->url.text) - 1] == '/')
    return WEB_FOLDER;
  if (web->file == NULL)
    return WEB_UNKNOWN;
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
    if (has_ending (web->file, endings[i]))
      return WEB_LIST;
  return strcmp (web->file, "index.json") == 0 ? WEB_LIST : WEB_UNKNOWN;
}

static void
web_close (struct storage *storage)
{
  struct web *web = (struct web *) storage;
  url_release (&web->url);
  free (web->shown);
  free (web->file);
  free (web);
}

struct storage *
storage_open_web (const char *source, struct error *err)
{
  static const struct storage_ops ops = {
    .kind = STORAGE_HTTP, .list = web_list, .close = web_close, .fetch = web_fetch
  };
  struct url url;
  if (url_read (&url, NULL, source, err) != 0)
    return NULL;
  struct web *web = xcalloc (1, sizeof *web);
  *web = (struct web){ .base.ops = &ops,
                       .url = url,
                       .shown = http_url_shown (url.text),
                       .file = url_last_name (url.text) };
  web->kind = kind_of (web);
  if (web->kind == WEB_FILE && web->file == NULL)
    {
      (void) error_set (err, ERROR_USER, "%s: it doesn't end in a file's name", web->shown);
      web_close (&web->base);
      return NULL;
    }
  return &web->base;
}
