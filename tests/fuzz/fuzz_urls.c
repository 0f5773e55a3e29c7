/* libFuzzer: a list of URLs. All paths must be files' paths, in order, each once; all URLs must be
 * readable again. */
#include "storage/item_path.h"
#include "storage/web/url.h"
#include "storage/web/urls.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const char base[] = "http://host/data/list.jsonl?key=1";
  auto_urls struct urls urls = { 0 };
  struct error err = ERROR_INIT;
  if (urls_read (&urls, (struct bytes){ data, size }, base, &err) != 0)
    {
      if (err.class != ERROR_USER || err.message[0] == '\0' || urls.count != 0)
        abort ();
      return 0;
    }
  for (size_t i = 0; i < urls.count; i++)
    {
      const struct urls_entry *entry = &urls.entries[i];
      auto_url struct url url = { 0 };
      if (item_path_check (entry->path, &err) != 0 || entry->size < -1
          || url_read (&url, base, entry->url, &err) != 0
          || (i > 0 && strcmp (urls.entries[i - 1].path, entry->path) >= 0))
        abort ();
    }
  return 0;
}
