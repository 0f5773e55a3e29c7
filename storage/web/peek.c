/* What a file is, without its bytes: one of them is asked for, which works where HEAD isn't
 * allowed. */
#include "storage/web/peek.h"
#include "storage/web/pin.h"
#include "storage/web/request.h"
#include "storage/web/urls.h"

#include "common/memory.h"

#include <string.h>

enum
{
  LOOKS = 32, /* at once */
  TURN_MS = 1000,
};

void
web_peek_release (struct web_peek *peek)
{
  free (peek->version);
  free (peek->type);
  *peek = (struct web_peek){ .size = -1, .modified = -1 };
}

/* All of it comes where parts aren't given: that is cut off. */
static int
look_at (struct http_call *call, const char *data, size_t size, struct error *err)
{
  (void) data;
  bool *cut = call->context;
  if (call->status == 206 && size <= 1)
    return 0;
  *cut = true;
  return error_set (err, ERROR_FATAL, "that is enough");
}

/* Makes CALL ask for URL's first byte; *CUT becomes true when that is cut off. */
static void
begin (const struct web *web, struct http_call *call, const char *url, bool *cut)
{
  *cut = false;
  web_call_init (web, call, url);
  strlist_add (&call->headers, "Range: bytes=0-0");
  call->context = cut;
  call->data = look_at;
}

/* What CALL, which ended with WHY, has told. */
static int
end (const struct web *web, const struct http_call *call, bool cut, struct error *why,
     struct web_peek *peek)
{
  if (error_is_set (why) && !cut
      && !(call->status == 416 && call->whole == 0)) /* 416: it is empty */
    {
      if (call->status >= 300)
        web_explain ((void *) (uintptr_t) web, call, why);
      return -1;
    }
  peek->size = call->status == 200 ? call->length : call->whole;
  peek->modified = pin_modified (call);
  peek->version = pin_of_answer (call);
  peek->type = xstrdup (http_header (call, "content-type"));
  return 0;
}

int
web_need_size (int64_t size, struct error *err)
{
  return size >= 0 ? 0
                   : error_set (err, ERROR_USER,
                                "the server doesn't tell its size, which --batch-bytes needs "
                                "(--batch-size doesn't)");
}

int
web_look (const struct web *web, struct http *http, const char *url, struct web_peek *peek,
          struct error *err)
{
  auto_http_call struct http_call call;
  bool cut = false;
  struct error why = ERROR_INIT;
  web_peek_release (peek);
  begin (web, &call, url, &cut);
  (void) http_perform (http, &call, &why);
  if (end (web, &call, cut, &why, peek) == 0)
    return 0;
  if (err != NULL)
    *err = why;
  return -1;
}

/* ---- many at once ----------------------------------------------------------------------- */

struct look
{
  struct http_call call;
  bool cut; /* the call's context points here */
  const struct web *web;
  struct urls_entry *entry;
};

static int
look_done (struct http_call *call, struct error *err)
{
  struct look *look = (struct look *) call; /* its first member */
  struct web_peek peek = { .size = -1, .modified = -1 };
  int result = end (look->web, call, look->cut, err, &peek);
  if (result == 0)
    result = web_need_size (peek.size, err);
  if (result != 0)
    (void) error_wrap (err, "%s", look->entry->path);
  else
    {
      look->entry->size = peek.size;
      if (look->entry->version == NULL)
        look->entry->version = take (&peek.version);
    }
  web_peek_release (&peek);
  http_call_release (call);
  look->entry = NULL;
  return result;
}

static int
start_look (const struct web *web, struct http *http, struct look *look, struct urls_entry *entry,
            struct error *err)
{
  auto_url struct url url = { 0 };
  if (url_read (&url, web->url.text, entry->url, err) != 0)
    return -1;
  look->web = web;
  look->entry = entry;
  begin (web, &look->call, url.text, &look->cut);
  web_authorize (&look->call, &url);
  look->call.done = look_done;
  http_start (http, &look->call);
  return 0;
}

int
web_look_all (const struct web *web, struct urls *urls,
              bool (*wanted) (void *context, const char *path), void *context, struct error *err)
{
  const struct http_options options = { .connections = LOOKS, .halt = web->base.halt };
  auto_free struct look *looks = xcalloc (LOOKS, sizeof *looks);
  struct http *http = http_new (&options);
  int result = 0;
  size_t next = 0;
  do
    {
      for (int i = 0; i < LOOKS && result == 0 && next < urls->count; i++)
        {
          if (looks[i].entry != NULL)
            continue;
          while (next < urls->count
                 && (urls->entries[next].size >= 0 || !wanted (context, urls->entries[next].path)))
            next++;
          if (next < urls->count)
            result = start_look (web, http, &looks[i], &urls->entries[next++], err);
        }
      if (result == 0)
        result = http_turn (http, TURN_MS, err);
    }
  while (result == 0 && (next < urls->count || http_pending (http) > 0));
  http_free (http);
  for (int i = 0; i < LOOKS; i++)
    if (looks[i].entry != NULL)
      http_call_release (&looks[i].call);
  return result;
}
