/* libFuzzer: the input's first line is a pattern, the rest a path. Compiling may refuse, matching
 * may not take long, and no folder above a match may be pruned. */
#include "common/memory.h"
#include "producer/glob.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const uint8_t *border = memchr (data, '\n', size);
  size_t length = border == NULL ? size : (size_t) (border - data);
  auto_free char *pattern = xstrndup ((const char *) data, length);
  auto_free char *path = xstrndup ((const char *) data + length, size - length);
  const char *start = path[0] == '\n' ? path + 1 : path;
  size_t path_size = strlen (start);

  struct error err = ERROR_INIT;
  auto_glob struct glob *glob = glob_compile (pattern, &err);
  if (glob == NULL)
    {
      if (err.class != ERROR_USER || err.message[0] == '\0')
        abort ();
      return 0;
    }
  bool match = glob_match (glob, start, path_size);
  if (glob_match_folder (glob, start, path_size) && !match)
    abort ();
  if (!match || path_size == 0 || start[0] == '/' || start[path_size - 1] == '/'
      || strstr (start, "//") != NULL)
    return 0;
  for (size_t i = 1; i < path_size; i++)
    if (start[i] == '/' && !glob_may_match_below (glob, start, i))
      abort ();
  return 0;
}
