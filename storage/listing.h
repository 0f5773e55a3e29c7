/* listing.h — what is below a storage's root, told entry by entry in the order of storage.h.
 *
 * A listing belongs to one thread.
 */
#ifndef SHOAL_STORAGE_LISTING_H
#define SHOAL_STORAGE_LISTING_H

#include "common/error.h"
#include "schemas/job.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct storage;

#define STORAGE_PIN_SIZE 72

struct storage_entry
{
  const char *path; /* valid during the call, NUL behind it */
  size_t path_size;
  bool folder;
  /* bytes of a file when the visitor wants sizes or they came with the listing, else -1 */
  int64_t size;
  /* What the file was when it was listed, in its storage's own words (an ETag, a checksum, a CID);
   * a fetch holds the file against it. NULL: this storage doesn't say, or it is a folder. */
  const char *version;
  /* Where a file is that isn't at PATH below the root, in its storage's own words (a URL, a key, a
   * CID); NULL: it is there. */
  const char *source;
  /* Where a version costs something: writes it into PIN (STORAGE_PIN_SIZE), valid during the call
   * of `entry`. NULL: `version` is all that is known. */
  int (*pin) (void *pinner, char *pin, struct error *err);
  void *pinner;
};

/* Why a link wasn't entered or taken; what a file hasn't. */
enum storage_left_out
{
  STORAGE_LEFT_FOLDER_LINK, /* links to folders aren't followed */
  STORAGE_LEFT_LOOP,        /* it leads to a folder that it lies in */
  STORAGE_LEFT_PIN,         /* none: a file that matters has no version, changes aren't noticed */
  STORAGE_LEFT_ELSEWHERE,   /* of a folder's page: it leads to nothing in that folder */
};

struct storage_visitor
{
  void *context;
  bool want_sizes;        /* costs a stat per file on a file system: only when bytes matter */
  enum symlinks symlinks; /* which links are what they lead to (README.md has the table) */

  /* What the paths of all entries that matter begin with, "2019/a"; a storage that can leaves
   * others out. NULL: nothing. */
  const char *prefix;

  /* Only what lies in the root itself: no folder is entered, and a storage that can doesn't look
   * into them. */
  bool shallow;

  /* Whether the folder PATH ("" the root) is worth listing; one for which this is false isn't
   * opened. Asked once for each folder, before what is in it and after its entry. */
  bool (*enter) (void *context, const char *path, size_t path_size);

  /* Each entry below the root, in order. With `folder`, comes before enter is asked. Non-zero ends
   * the listing and is returned (with ERR when -1). */
  int (*entry) (void *context, const struct storage_entry *entry, struct error *err);

  /* A symbolic link matters only if its path does: true when PATH, were it a file, would be used.
   * Links that aren't wanted are never resolved and never an error. NULL: all are. */
  bool (*wanted) (void *context, const char *path, size_t path_size);

  /* The same of a link to a folder: true when PATH, were it a folder, would be used or entered.
   * NULL: all are. */
  bool (*holds) (void *context, const char *path, size_t path_size);

  /* Takes each link to a folder that matters by `holds` and isn't entered; and of folders that are
   * pages, an example (as the page has it) for each link that leads elsewhere, and files without a
   * version. NULL: they aren't looked for. */
  void (*left_out) (void *context, const char *path, size_t path_size, enum storage_left_out why);
};

/* Lists all below the root: files and folders; devices, sockets and pipes are left out. 0, what
 * `entry` returned, or -1. */
int storage_list (struct storage *storage, const struct storage_visitor *visitor,
                  struct error *err);

#endif
