/* storage_ops.h — what an implementation of a storage gives: the seam behind storage.h.
 *
 * An implementation's struct begins with a `struct storage` that points to its table. Tests make
 * storages of their own this way.
 */
#ifndef SHOAL_COMMON_STORAGE_STORAGE_OPS_H
#define SHOAL_COMMON_STORAGE_STORAGE_OPS_H

#include "common/storage/storage.h"

/* Each as its namesake in storage.h. `local_path` may be NULL: never on this file system. */
struct storage_ops
{
  int (*list) (struct storage *storage, const struct storage_visitor *visitor, struct error *err);
  int (*open_file) (struct storage *storage, const char *path, enum symlinks symlinks,
                    struct error *err);
  const char *(*local_path) (const struct storage *storage);
  void (*close) (struct storage *storage);
};

struct storage
{
  const struct storage_ops *ops;
};

/* The implementations. */
struct storage *storage_open_local (const char *folder, struct error *err);

#endif
