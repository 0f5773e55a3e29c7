#include "storage/web/walk.h"

#include "storage/web/request.h"

#include <string.h>

enum
{
  PAGE_MAX = 256 << 20, /* bytes of one folder's listing, or of a list */
};

const char *
web_walk_path (const struct web_walk *walk)
{
  return walk->path.data == NULL ? "" : walk->path.data;
}

int
web_walk_visit (struct web_walk *walk, const struct storage_entry *entry, struct error *err)
{
  int result = walk->visitor->entry (walk->visitor->context, entry, err);
  walk->visitor_ended = result != 0;
  return result;
}

bool
web_walk_wants (const struct web_walk *walk, const char *path)
{
  const struct storage_visitor *visitor = walk->visitor;
  return visitor->wanted == NULL || visitor->wanted (visitor->context, path, strlen (path));
}

int
web_walk_get (struct web_walk *walk, struct http_call *call, const char *url, struct error *err)
{
  web_call_init (walk->web, call, url);
  call->limit = PAGE_MAX;
  if (http_perform (walk->http, call, err) == 0)
    return 0;
  if (call->status >= 300)
    web_explain (walk->web, call, err);
  return -1;
}
