/* What calls say to people. */
#include "common/http/http.h"
#include "common/memory.h"

#include <string.h>

const char *
http_header (const struct http_call *call, const char *name)
{
  size_t length = strlen (name);
  for (size_t i = 0; i < call->answered.count; i++)
    {
      const char *line = call->answered.items[i];
      if (strncmp (line, name, length) == 0 && line[length] == ':')
        return line + length + 1 + strspn (line + length + 1, " \t");
    }
  return NULL;
}

int
http_error (const struct http_call *call, const char *detail, struct error *err)
{
  bool passes = call->status >= 500 || call->status == 429 || call->status == 408;
  return error_set (err, passes ? ERROR_TRANSIENT : ERROR_USER, "HTTP %d%s%s%s", call->status,
                    detail == NULL ? "" : " (", detail == NULL ? "" : detail,
                    detail == NULL ? "" : ")");
}

int
http_wrong (int wrong, struct error *err)
{
  auto_free char *text = xstrdup (err->message);
  if (wrong < HTTP_WRONG_MAX)
    return error_set (err, ERROR_TRANSIENT, "%s", text);
  return error_set (
      err, ERROR_USER,
      "%s, %d times in a row: the server or a cache in front of it returns other content", text,
      wrong);
}

char *
http_url_shown (const char *url)
{
  size_t length = strcspn (url, "?#");
  const char *host = strstr (url, "://");
  if (host == NULL || host >= url + length)
    return xstrndup (url, length);
  host += 3;
  size_t authority = strcspn (host, "/?#");
  const char *at = memrchr (host, '@', authority);
  const char *shown = at == NULL ? host : at + 1;
  return xasprintf ("%.*s%.*s", (int) (host - url), url, (int) (url + length - shown), shown);
}
