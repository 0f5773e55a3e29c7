/* What files are, without their bytes. HEAD is enough where a listing named them; else the first
 * byte is asked for, which works where HEAD isn't allowed; and all of it, cut off, where a server
 * refuses that of an empty file. */
#include "storage/web/peek.h"
#include "storage/web/disposition.h"
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

enum look_stage
{
  LOOK_HEAD,  /* without following redirects */
  LOOK_BYTE,  /* GET of the first byte */
  LOOK_WHOLE, /* GET, cut off */
};

/* One request for one of the peeks. */
struct look
{
  struct http_call call; /* its context is this */
  const struct web *web;
  struct http *http;
  struct web_peek *peek; /* NULL: free */
  enum look_stage stage;
  bool cut;
};

void
web_peek_release (struct web_peek *peek)
{
  free (peek->version);
  free (peek->type);
  free (peek->named);
  peek->version = peek->type = peek->named = NULL;
  peek->size = peek->modified = -1;
  peek->told = peek->folder = false;
}

/* ---- one answer ------------------------------------------------------------------------- */

/* All of it comes where parts aren't given: that is cut off. */
static int
look_stop_body (struct http_call *call, const char *data, size_t size, struct error *err)
{
  (void) data;
  struct look *look = call->context;
  if (call->status == 206 && size <= 1)
    return 0;
  look->cut = true;
  return error_set (err, ERROR_FATAL, "that is enough");
}

static void
look_read (struct look *look)
{
  const struct http_call *call = &look->call;
  struct web_peek *peek = look->peek;
  peek->told = true;
  peek->folder = call->location != NULL && url_is_slashed (peek->url, call->location);
  peek->size = call->status == 206 || call->status == 416 ? call->whole : call->length;
  peek->modified = pin_modified (call);
  peek->version = pin_of_answer (call);
  peek->type = xstrdup (http_header (call, "content-type"));
  peek->named = disposition_name (http_header (call, "content-disposition"));
}

/* ---- asking ----------------------------------------------------------------------------- */

static int look_done (struct http_call *call, struct error *err);

static int
look_start (struct look *look, enum look_stage stage, struct error *err)
{
  auto_url struct url url = { 0 };
  struct http_call *call = &look->call;
  if (url_read (&url, look->web->url.text, look->peek->url, err) != 0)
    return -1;
  look->stage = stage;
  look->cut = false;
  web_call_init (look->web, call, url.text);
  web_authorize (call, &url);
  if (stage == LOOK_HEAD)
    {
      call->method = "HEAD";
      call->direct = true;
    }
  else if (stage == LOOK_BYTE)
    strlist_add (&call->headers, "Range: bytes=0-0");
  call->context = look;
  call->data = look_stop_body;
  call->done = look_done;
  http_start (look->http, call);
  return 0;
}

/* The next stage where this one's answer says nothing of the file; -1: it does. */
static int
look_next_stage (const struct look *look)
{
  const struct http_call *call = &look->call;
  if (look->stage == LOOK_HEAD)
    return call->status < 300 || call->status == 404 || call->status == 410 ? -1 : LOOK_BYTE;
  bool refused = call->status == 400 || (call->status == 416 && call->whole < 0);
  return look->stage == LOOK_BYTE && refused ? LOOK_WHOLE : -1;
}

static bool
look_is_redirect_to_folder (const struct look *look)
{
  const char *to = http_header (&look->call, "location");
  auto_url struct url url = { 0 };
  return look->stage == LOOK_HEAD && look->call.status >= 300 && look->call.status < 400
         && to != NULL && url_read (&url, look->call.url, to, NULL) == 0
         && url_is_slashed (look->peek->url, url.text);
}

static int
look_done (struct http_call *call, struct error *err)
{
  struct look *look = call->context;
  struct web_peek *peek = look->peek;
  bool refused = error_is_set (err) && !look->cut && call->status >= 300;
  bool sizeless = !error_is_set (err) && look->stage == LOOK_HEAD && call->length < 0;
  int next = refused ? look_next_stage (look) : sizeless ? (int) LOOK_BYTE : -1;
  int result = 0;
  if (look_is_redirect_to_folder (look))
    {
      peek->told = peek->folder = true;
      error_clear (err);
    }
  else if (next >= 0)
    {
      http_call_release (call);
      error_clear (err);
      return look_start (look, (enum look_stage) next, err);
    }
  else if (!error_is_set (err) || look->cut || (call->status == 416 && call->whole == 0))
    {
      look_read (look);
      error_clear (err);
    }
  else if (peek->listed && call->status >= 400 && call->status < 500)
    error_clear (err); /* who fetches it will say so */
  else
    {
      if (call->status >= 300)
        web_explain ((void *) (uintptr_t) look->web, call, err);
      result = peek->name == NULL ? -1 : error_wrap (err, "%s", peek->name);
    }
  http_call_release (call);
  look->peek = NULL;
  return result;
}

static int
look_at_all (const struct web *web, struct http *http, int at_once, struct web_peek *peeks,
             size_t count, struct error *err)
{
  auto_free struct look *looks = xcalloc ((size_t) at_once, sizeof *looks);
  int result = 0;
  size_t next = 0;
  size_t open = 0;
  do
    {
      for (int i = 0; i < at_once && result == 0 && next < count; i++)
        {
          struct look *look = &looks[i];
          if (look->peek != NULL)
            continue;
          *look = (struct look){ .web = web, .http = http, .peek = &peeks[next++] };
          web_peek_release (look->peek);
          result = look_start (look, look->peek->listed ? LOOK_HEAD : LOOK_BYTE, err);
          if (result != 0)
            look->peek = NULL;
        }
      if (result == 0)
        result = http_turn (http, TURN_MS, err);
      open = 0;
      for (int i = 0; i < at_once; i++)
        open += looks[i].peek != NULL;
    }
  while (result == 0 && (next < count || open > 0));
  if (result != 0)
    http_drop (http);
  for (int i = 0; i < at_once; i++)
    if (looks[i].peek != NULL)
      http_call_release (&looks[i].call);
  return result;
}

int
web_peek_all (const struct web *web, struct web_peek *peeks, size_t count, struct error *err)
{
  if (count == 0)
    return 0;
  const struct http_options options = { .connections = LOOKS, .halt = web->base.halt };
  struct http *http = http_new (&options);
  int result = look_at_all (web, http, LOOKS, peeks, count, err);
  http_free (http);
  return result;
}

int
web_probe (const struct web *web, struct http *http, struct web_peek *peek, struct error *err)
{
  struct error own = ERROR_INIT;
  return look_at_all (web, http, 1, peek, 1, err == NULL ? &own : err);
}

int
web_need_size (int64_t size, struct error *err)
{
  return size >= 0 ? 0
                   : error_set (err, ERROR_USER,
                                "the server does not report its size, which --batch-bytes and "
                                "--order size need (--batch-size and --order index don't)");
}

/* ---- lists of URLs ---------------------------------------------------------------------- */

int
web_probe_all (const struct web *web, struct urls *urls,
               bool (*wanted) (void *context, const char *path), void *context, struct error *err)
{
  auto_free struct web_peek *peeks = xcalloc (urls->count + 1, sizeof *peeks);
  auto_free size_t *of = xcalloc (urls->count + 1, sizeof *of);
  size_t count = 0;
  for (size_t i = 0; i < urls->count; i++)
    {
      const struct urls_entry *entry = &urls->entries[i];
      if (entry->size >= 0 || !wanted (context, entry->path))
        continue;
      of[count] = i;
      peeks[count++] = (struct web_peek){ .url = entry->url, .name = entry->path };
    }
  int result = web_peek_all (web, peeks, count, err);
  for (size_t i = 0; i < count; i++)
    {
      struct urls_entry *entry = &urls->entries[of[i]];
      if (result == 0 && web_need_size (peeks[i].size, err) != 0)
        result = error_wrap (err, "%s", entry->path);
      entry->size = peeks[i].size;
      if (entry->version == NULL)
        entry->version = take (&peeks[i].version);
      web_peek_release (&peeks[i]);
    }
  return result;
}
