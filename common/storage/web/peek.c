/* What a file is, without its bytes: one of them is asked for, which works where HEAD isn't allowed. */
#include "common/storage/web/pin.h"
#include "common/storage/web/web.h"

#include "common/memory.h"

#include <string.h>

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

int
web_look (const struct web *web, struct http *http, const char *url, struct web_peek *peek,
          struct error *err)
{
  auto_http_call struct http_call call;
  bool cut = false;
  struct error own = ERROR_INIT;
  web_peek_release (peek);
  web_call_init (web, &call, url);
  strlist_add (&call.headers, "Range: bytes=0-0");
  call.context = &cut;
  call.data = look_at;
  int result = http_perform (http, &call, &own);
  if (result != 0 && !cut && !(call.status == 416 && call.whole == 0)) /* 416: it is empty */
    {
      if (call.status >= 300)
        web_explain ((void *) (uintptr_t) web, &call, &own);
      if (err != NULL)
        *err = own;
      return -1;
    }
  peek->size = call.status == 200 ? call.length : call.whole;
  peek->modified = pin_modified (&call);
  peek->version = pin_of_answer (&call);
  peek->type = xstrdup (http_header (&call, "content-type"));
  return 0;
}
