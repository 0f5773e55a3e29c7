#include "storage/web/web.h"

#include "common/memory.h"
#include "storage/fetcher.h"
#include "storage/web/pin.h"
#include "storage/web/request.h"

#include <string.h>
#include <strings.h>

/* ---- fetching --------------------------------------------------------------------------- */

static int
web_set_request (void *context, const struct storage_item *item, struct http_call *call,
                 struct error *err)
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
  else if (strchr (item->path, '/') == NULL) /* the one file, whatever the server called it */
    web_call_init (web, call, web->url.text);
  else
    return error_set (err, ERROR_USER, "not found");
  if (item->version != NULL)
    pin_add_condition (item->version, &call->headers);
  return 0;
}

static int
web_check_version (void *context, const struct storage_item *item, const struct http_call *call,
                   struct fetch_sum *sum, struct error *err)
{
  const struct web *web = context;
  if (web->kind != WEB_LIST && call->location != NULL && url_is_slashed (call->url, call->location))
    return error_set (err, ERROR_USER, "is a folder, not a file (the server redirects to %s/)",
                      item->path);
  if (item->version == NULL)
    return 0;
  if (pin_check (item->version, call, sum, err) != 0)
    return -1;
  int64_t size = call->status == 206 ? call->whole : call->length;
  if (sum->algorithm != NULL && item->size >= 0 && size >= 0 && size != item->size)
    return error_set (err, ERROR_USER, "has %lld bytes, and %lld when it was listed",
                      (long long) size, (long long) item->size);
  return 0;
}

static char *
web_address (void *context, const struct storage_item *item)
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
                                       .address = web_address,
                                       .request = web_set_request,
                                       .check = web_check_version,
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
web_kind_of (const struct web *web)
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
  web->kind = web_kind_of (web);
  if (web->kind == WEB_FILE && web->file == NULL)
    {
      (void) error_set (err, ERROR_USER, "%s: the URL does not end in a file name", web->shown);
      web_close (&web->base);
      return NULL;
    }
  return &web->base;
}
