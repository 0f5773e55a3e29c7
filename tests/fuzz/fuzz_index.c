/* libFuzzer: a folder's listing, the first byte says as what. All names must be children of the
 * folder, in order, each once. */
#include "storage/item_path.h"
#include "storage/web/index.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const char *const types[] = { NULL, "text/html; charset=utf-8", "application/json" };
  if (size == 0)
    return 0;
  auto_index struct index index = { 0 };
  struct error err = ERROR_INIT;
  auto_buffer struct buffer page = { 0 };
  if (data[0] % 4 == 3) /* most pages of a fuzzer have no title */
    buffer_puts (&page, "<title>Index of /</title>");
  buffer_append (&page, data + 1, size - 1);
  if (index_read (&index, "https://host/a%20b/?q", buffer_bytes (&page), types[data[0] % 3], &err)
      != 0)
    {
      if (err.class != ERROR_USER || err.message[0] == '\0' || index.count != 0)
        abort ();
      return 0;
    }
  auto_buffer struct buffer last = { 0 };
  for (size_t i = 0; i < index.count; i++)
    {
      const struct index_entry *entry = &index.entries[i];
      if (item_path_check (entry->name, &err) != 0 || strchr (entry->name, '/') != NULL
          || entry->size < -1 || (entry->folder && entry->size != -1))
        abort ();
      auto_buffer struct buffer now = { 0 };
      buffer_printf (&now, "%s%s", entry->name, entry->folder ? "/" : "");
      if (i > 0 && strcmp (last.data, now.data) >= 0)
        abort ();
      buffer_clear (&last);
      buffer_append (&last, now.data, now.size);
    }
  return 0;
}
