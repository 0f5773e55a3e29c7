#include "storage/item_path.h"

#include <string.h>

enum
{
  NAME_MAX_BYTES = 255,
  PATH_MAX_BYTES = 4095,
};

int
item_path_check (const char *path, struct error *err)
{
  size_t length = strlen (path);
  if (length == 0 || length > PATH_MAX_BYTES)
    return error_set (err, ERROR_USER, "%.200s: a name of %zu bytes can't be a file's path", path,
                      length);
  for (const char *at = path;; at++)
    {
      size_t size = strcspn (at, "/");
      if (size == 0 || (size == 1 && at[0] == '.') || (size == 2 && memcmp (at, "..", 2) == 0)
          || size > NAME_MAX_BYTES)
        return error_set (err, ERROR_USER, "%.500s: %s, so it can't be a file's path", path,
                          size == 0               ? "it has an empty component"
                          : size > NAME_MAX_BYTES ? "it has a component of more than 255 bytes"
                                                  : "it has a component \".\" or \"..\"");
      at += size;
      if (*at == '\0')
        return 0;
    }
}
