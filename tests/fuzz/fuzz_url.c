/* libFuzzer: the input's first line is a base, the rest a URL relative to it. What is read has no
 * user information, and names of files in it are such. */
#include "common/http/http.h"
#include "common/memory.h"
#include "storage/item_path.h"
#include "storage/web/url.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const uint8_t *border = memchr (data, '\n', size);
  size_t length = border == NULL ? 0 : (size_t) (border - data);
  auto_free char *first = xstrndup ((const char *) data, length);
  const char *rest = border == NULL ? (const char *) data : (const char *) border + 1;
  auto_free char *text = xstrndup (rest, size - (size_t) (rest - (const char *) data));
  auto_url struct url base = { 0 };
  auto_url struct url url = { 0 };
  auto_url struct url again = { 0 };
  struct error err = ERROR_INIT;
  free (http_url_shown (text));
  bool based = length > 0 && url_read (&base, NULL, first, &err) == 0;
  if (url_read (&url, based ? base.text : NULL, text, &err) != 0)
    {
      if (err.class != ERROR_USER || err.message[0] == '\0')
        abort ();
      return 0;
    }
  const char *host = strstr (url.text, "://");
  if (host == NULL || memchr (host + 3, '@', strcspn (host + 3, "/?#")) != NULL
      || strpbrk (url.text, " \r\n#") != NULL)
    abort ();
  if (!url_same_server (url.text, url.text)
      || (url_read (&again, NULL, url.text, &err) == 0 && again.authorization != NULL))
    abort ();
  auto_free char *shown = http_url_shown (url.text);
  if (strpbrk (shown, "?#@") != NULL && strstr (shown, "://") == NULL)
    abort ();
  auto_free char *name = url_last_name (url.text);
  if (name != NULL && (item_path_check (name, &err) != 0 || strchr (name, '/') != NULL))
    abort ();
  return 0;
}
