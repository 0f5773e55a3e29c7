/* storage.h — where a volume's files come from.
 *
 * A storage is one volume's source. It lists what is there, in an order that is the same for the
 * same tree in every storage, and gives single files. Paths are relative to the source's root,
 * "/"-separated, any bytes but NUL.
 *
 * Order: bytewise by the whole path, a folder's name compared as if it ended in "/" (git's order of
 * trees). A folder comes before what is in it.
 *
 * One storage may be used by several threads at once for storage_open_file; a listing belongs to
 * one thread.
 */
#ifndef SHOAL_COMMON_STORAGE_STORAGE_H
#define SHOAL_COMMON_STORAGE_STORAGE_H

#include "common/auto.h"
#include "common/error.h"
#include "schemas/messages.h"

#include <stdbool.h>
#include <stdint.h>

struct storage;

/* SOURCE: a folder's path ("./photos", "/data", "file:///data"). A scheme nobody serves, and a
 * source that isn't there or can't be read, is ERROR_USER. NULL with ERR. */
struct storage *storage_open (const char *source, struct error *err);
void storage_close (struct storage *storage);

static inline void
auto_storage_ (struct storage **storage)
{
  storage_close (*storage);
}
#define auto_storage AUTO (auto_storage_)

struct storage_entry
{
  const char *path; /* valid during the call, NUL behind it */
  size_t path_size;
  bool folder;
  int64_t size; /* bytes of a file when the visitor wants sizes, else -1 */
};

struct storage_visitor
{
  void *context;
  bool want_sizes; /* costs a stat per file on a file system: only when bytes matter */
  enum symlinks
      symlinks; /* which links are files; one to a folder is left out, wherever that lies */

  /* Whether the folder PATH ("" the root) is worth listing; one for which this is false isn't
   * opened. Asked once for each folder, before what is in it and after its entry. */
  bool (*enter) (void *context, const char *path, size_t path_size);

  /* Each entry below the root, in order. With `folder`, comes before enter is asked. Non-zero ends
   * the listing and is returned (with ERR when -1). */
  int (*entry) (void *context, const struct storage_entry *entry, struct error *err);

  /* A symbolic link matters only if its path does: true when PATH, were it a file, would be used.
   * Links that aren't wanted are never resolved and never an error. NULL: all are. */
  bool (*wanted) (void *context, const char *path, size_t path_size);
};

/* Lists all below the root: files and folders; devices, sockets and pipes are left out. 0, what
 * `entry` returned, or -1. */
int storage_list (struct storage *storage, const struct storage_visitor *visitor,
                  struct error *err);

/* Descriptor for reading the file PATH; links are treated as SYMLINKS says, again and race-free. */
int storage_open_file (struct storage *storage, const char *path, enum symlinks symlinks,
                       struct error *err);

/* The folder's absolute path where the files can be linked or bound from this machine's file
 * system, else NULL. Owned by the storage. */
const char *storage_local_path (const struct storage *storage);

#endif
