/* storage_ops.h — what an implementation of a storage gives: the seam behind storage.h.
 *
 * An implementation's struct begins with a `struct storage` that points to its table. Tests make
 * storages of their own this way.
 */
#ifndef SHOAL_STORAGE_STORAGE_OPS_H
#define SHOAL_STORAGE_STORAGE_OPS_H

#include "storage/listing.h"
#include "storage/storage.h"

/* Each as its namesake in storage.h. NULL is fine for `local_path` (never on this file system),
 * `open_file`, `open_folder`, `open_link` and the last seven. */
struct storage_ops
{
  enum storage_kind kind;
  int (*list) (struct storage *storage, const struct storage_visitor *visitor, struct error *err);
  int (*open_file) (struct storage *storage, const char *path, enum symlinks symlinks,
                    struct error *err);
  int (*open_folder) (struct storage *storage, const char *path, enum symlinks symlinks,
                      struct error *err);
  int (*open_link) (struct storage *storage, int dirfd, const char *name, const char *path,
                    enum symlinks symlinks, struct error *err);
  const char *(*local_path) (const struct storage *storage);
  void (*close) (struct storage *storage);
  int (*fetch) (struct storage *storage, const struct storage_batch *batch, struct error *err);
  int (*send) (struct storage *storage, const struct storage_batch *batch, struct error *err);
  int (*put) (struct storage *storage, const char *path, struct bytes content, bool absent,
              struct error *err);
  int (*get) (struct storage *storage, const char *path, int64_t offset, int64_t length,
              size_t limit, struct buffer *buffer, struct error *err);
  int (*remove) (struct storage *storage, const char *prefix, struct error *err);
  int (*end_uploads) (struct storage *storage, const char *path, struct error *err);
  int (*act_as) (struct storage *storage, const char *credentials, struct error *err);
};

struct storage
{
  const struct storage_ops *ops;
  const struct halt *halt; /* NULL: none */
  struct storage_boundary boundary;
  bool is_file; /* of this machine, and no folder */
};

/* Whether SOURCE begins with a CID. */
bool storage_is_cid (const char *source);

/* The implementations. */
struct storage *storage_open_local (const char *path, struct error *err);
struct storage *storage_open_ipfs (const char *source, struct error *err);
struct storage *storage_open_s3 (const char *source, struct error *err);
struct storage *storage_open_web (const char *source, struct error *err);

#endif
