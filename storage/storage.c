#include "storage/storage.h"

#include "common/http/http.h"
#include "common/memory.h"
#include "storage/listing.h"
#include "storage/storage_ops.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

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

bool
storage_is_elsewhere (const char *source)
{
  size_t length = scheme_length (source);
  if (length > 0)
    return length != 4 || strncmp (source, "file", 4) != 0;
  return storage_is_cid (source) && access (source, F_OK) != 0;
}

static bool
storage_is_web (const char *source, size_t length)
{
  return (length == 4 && strncasecmp (source, "http", 4) == 0)
         || (length == 5 && strncasecmp (source, "https", 5) == 0);
}

char *
storage_shown (const char *source)
{
  return storage_is_web (source, scheme_length (source)) ? http_url_shown (source)
                                                         : xstrdup (source);
}

struct storage *
storage_open (const char *source, struct error *err)
{
  size_t length = scheme_length (source);
  if (length == 0)
    return storage_is_elsewhere (source) ? storage_open_ipfs (source, err)
                                         : storage_open_local (source, err);
  if (length == 4 && strncmp (source, "file", 4) == 0)
    return storage_open_local (source + strlen ("file://"), err);
  if (length == 2 && strncmp (source, "s3", 2) == 0)
    return storage_open_s3 (source, err);
  if (storage_is_web (source, length))
    return storage_open_web (source, err);
  if (length == 4 && strncasecmp (source, "ipfs", 4) == 0)
    return storage_open_ipfs (source, err);
  auto_free char *shown = http_url_shown (source);
  if (length == 4 && strncasecmp (source, "ipns", 4) == 0)
    {
      (void) error_set (
          err, ERROR_USER,
          "%s: a name that may lead elsewhere tomorrow: resolve it (ipfs name resolve) "
          "and give the ipfs://CID",
          shown);
      return NULL;
    }
  (void) error_set (
      err, ERROR_USER,
      "%s: no storage is known for '%.*s:' (a folder, file://…, s3://…, http(s)://… or "
      "ipfs://… is)",
      shown, (int) length, source);
  return NULL;
}

struct storage *
storage_open_as (const char *source, const char *credentials, struct error *err)
{
  auto_storage struct storage *storage = storage_open (source, err);
  if (storage == NULL
      || (credentials != NULL && storage->ops->act_as != NULL
          && storage->ops->act_as (storage, credentials, err) != 0))
    return NULL;
  return take (&storage);
}

void
storage_close (struct storage *storage)
{
  if (storage != NULL)
    storage->ops->close (storage);
}

void
storage_set_halt (struct storage *storage, const struct halt *halt)
{
  storage->halt = halt;
}

void
storage_set_boundary (struct storage *storage, struct storage_boundary boundary)
{
  storage->boundary = boundary;
}

enum storage_kind
storage_kind (const struct storage *storage)
{
  return storage->ops->kind;
}

const char *
storage_kind_name (enum storage_kind kind)
{
  static const char *const names[STORAGE_KINDS] = { "file", "s3", "http", "ipfs" };
  return names[kind];
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
  if (storage->ops->open_file == NULL)
    return error_set (err, ERROR_USER, "%s: not on this machine", path);
  return storage->ops->open_file (storage, path, symlinks, err);
}

int
storage_open_link (struct storage *storage, int dirfd, const char *name, const char *path,
                   enum symlinks symlinks, struct error *err)
{
  if (storage->ops->open_link == NULL)
    return error_set (err, ERROR_USER, "%s: not on this machine", path);
  return storage->ops->open_link (storage, dirfd, name, path, symlinks, err);
}

int
storage_open_folder (struct storage *storage, const char *path, enum symlinks symlinks,
                     struct error *err)
{
  if (storage->ops->open_folder == NULL)
    return error_set (err, ERROR_USER, "%s: not on this machine", path);
  return storage->ops->open_folder (storage, path, symlinks, err);
}

int
storage_fetch (struct storage *storage, const struct storage_batch *batch, struct error *err)
{
  if (storage->ops->fetch == NULL)
    return error_set (err, ERROR_FATAL, "this storage is opened, not fetched");
  return storage->ops->fetch (storage, batch, err);
}

bool
storage_is_writable (const struct storage *storage)
{
  return storage->ops->send != NULL;
}

static int
not_writable (struct error *err)
{
  return error_set (err, ERROR_USER, "this storage is read-only");
}

int
storage_send (struct storage *storage, const struct storage_batch *batch, struct error *err)
{
  if (storage->ops->send == NULL)
    return not_writable (err);
  return storage->ops->send (storage, batch, err);
}

int
storage_put (struct storage *storage, const char *path, struct bytes content, bool absent,
             struct error *err)
{
  if (storage->ops->put == NULL)
    return not_writable (err);
  return storage->ops->put (storage, path, content, absent, err);
}

int
storage_get (struct storage *storage, const char *path, int64_t offset, int64_t length,
             size_t limit, struct buffer *buffer, struct error *err)
{
  if (storage->ops->get == NULL)
    return error_set (err, ERROR_FATAL, "this storage is opened, not fetched");
  return storage->ops->get (storage, path, offset, length, limit, buffer, err);
}

int
storage_remove (struct storage *storage, const char *prefix, struct error *err)
{
  if (storage->ops->remove == NULL)
    return not_writable (err);
  return storage->ops->remove (storage, prefix, err);
}

int
storage_end_uploads (struct storage *storage, const char *path, struct error *err)
{
  if (storage->ops->end_uploads == NULL)
    return not_writable (err);
  return storage->ops->end_uploads (storage, path, err);
}

const char *
storage_local_path (const struct storage *storage)
{
  return storage->ops->local_path == NULL ? NULL : storage->ops->local_path (storage);
}

bool
storage_is_file (const struct storage *storage)
{
  return storage->is_file;
}
