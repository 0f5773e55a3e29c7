/* place.h — one file or folder of a volume put at its own path below another folder: linked, cloned
 * or copied.
 *
 * Paths are hostile: they are resolved beneath the volume, and made beneath the target. What is put
 * there by hard link is the user's own file: it must only ever be mounted read-only.
 */
#ifndef SHOAL_WORKER_PLACE_H
#define SHOAL_WORKER_PLACE_H

#include "common/auto.h"
#include "common/error.h"
#include "common/halt.h"
#include "schemas/messages.h"
#include "storage/storage.h"

#include <stdint.h>

enum place_how
{
  PLACE_LINK,
  PLACE_CLONE, /* reflink: shares the blocks until one side is written */
  PLACE_COPY,
  PLACE_LINK_OR_COPY, /* file by file, whichever is possible */
};

/* From one volume to one folder. Belongs to one thread; several may share storage and
 * descriptors. */
struct place
{
  struct storage *storage; /* NULL: only folders, whose links stay what they are */
  enum symlinks symlinks;
  int source_fd; /* the volume's root; -1: not on this machine, only PLACE_COPY works */
  int target_fd;
  const struct halt *halt; /* asked for each file, and while one is copied; NULL */
  const char *pin;         /* what the next file must be (local_pin.h); NULL: any */

  char *parent; /* the folder of the last file, whose descriptors are kept for the next */
  int parent_source_fd;
  int parent_target_fd;
};

#define PLACE_INIT                                                                                 \
  {                                                                                                \
    .source_fd = -1, .target_fd = -1, .parent_source_fd = -1, .parent_target_fd = -1               \
  }

/* Closes what PLACE keeps open, not the caller's storage and descriptors. */
void place_release (struct place *place);
#define auto_place AUTO (place_release)

/* Puts the file PATH there, adding its size to *BYTES. 0; 1 when HOW isn't possible between these
 * two places (link: another file system, not ours to link; clone: no reflinks) and nothing was
 * done; -1 with ERR. */
int place_file (struct place *place, const char *path, enum place_how how, int64_t *bytes,
                struct error *err);

/* How folders and files are mounted at their places instead. */
struct place_binding
{
  void *context;
  bool (*may) (void *context); /* whether one more is possible */
  /* Takes what FD stands for, to be mounted at PATH. */
  int (*bind) (void *context, const char *path, int fd, struct error *err);
};

/* The folder PATH with all that is in it. Links that lead to something in it by a relative path
 * stay links, and so do all where PLACE has no storage; others become what they lead to, as
 * PLACE's symlinks have it; one to a folder that it lies in is left out. With BINDING folders that
 * no link leads out of are mounted, and files that can't be linked. As place_file; after 1 it may
 * be there in part. */
int place_folder (struct place *place, const char *path, enum place_how how,
                  const struct place_binding *binding, int64_t *bytes, struct error *err);

/* Whether the folder open at FOLDER_FD holds links that can't stay links for a container that sees
 * this folder alone: 1, 0 or -1. */
int place_leads_out (struct place *place, int folder_fd, const char *path, struct error *err);

/* Whether PATH is relative and has no empty, "." or ".." component; "" is fine. */
int place_check_path (const char *path, struct error *err);

#endif
