#include "common/storage/storage.h"

#include "common/storage/storage_ops.h"

#include <ctype.h>
#include <string.h>

/* Length of "scheme" when SOURCE is "scheme://…", else 0. */
static size_t
scheme_length (const char *source)
{
  size_t length = 0;
  while (isalnum ((unsigned char) source[length]) || strchr ("+-.", source[length]) != NULL)
    {
      if (source[length] == '\0')
        return 0;
      length++;
    }
  return strncmp (source + length, "://", 3) == 0 ? length : 0;
}

struct storage *
storage_open (const char *source, struct error *err)
{
  size_t length = scheme_length (source);
  if (length == 0)
    return storage_open_local (source, err);
  if (length == 4 && strncmp (source, "file", 4) == 0)
    return storage_open_local (source + strlen ("file://"), err);
  (void) error_set (err, ERROR_USER,
                    "%s: no storage is known for '%.*s:' (a folder or file://… is)", source,
                    (int) length, source);
  return NULL;
}

void
storage_close (struct storage *storage)
{
  if (storage != NULL)
    storage->ops->close (storage);
}

int
storage_list (struct storage *storage, const struct storage_visitor *visitor, struct error *err)
{
  return storage->ops->list (storage, visitor, err);
}

int
storage_open_file (struct storage *storage, const char *path, enum symlinks symlinks,
                   struct error *err)
{
  return storage->ops->open_file (storage, path, symlinks, err);
}

const char *
storage_local_path (const struct storage *storage)
{
  return storage->ops->local_path == NULL ? NULL : storage->ops->local_path (storage);
}
