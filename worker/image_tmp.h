/* image_tmp.h — where an image store's unfinished things are, and the lock under which they get
 * their places.
 *
 * Each process has folders of its own in STORE/tmp, each held by a lock; what isn't locked any more
 * was left by a process that died and is swept by the next.
 */
#ifndef SHOAL_WORKER_IMAGE_TMP_H
#define SHOAL_WORKER_IMAGE_TMP_H

#include "common/auto.h"
#include "common/error.h"

struct image_tmp
{
  int parent; /* STORE/tmp */
  int fd;     /* the folder, locked */
  char *name; /* in PARENT */
  char *path;
};

#define IMAGE_TMP_INIT                                                                             \
  {                                                                                                \
    .parent = -1, .fd = -1                                                                         \
  }

/* Closes a STORE that is there to other users, as new ones are: its root file systems hold programs
 * with set-id bits. */
void image_tmp_close_off (const char *store);

/* Makes STORE where it isn't there, sweeps, and makes TMP (IMAGE_TMP_INIT) a new, empty folder. */
int image_tmp_make (const char *store, struct image_tmp *tmp, struct error *err);

/* Removes it and all that is in it. */
void image_tmp_release (struct image_tmp *tmp);
#define auto_image_tmp AUTO (image_tmp_release)

/* Waits for the lock of STORE, under which names and images change together. Held until the
 * descriptor is closed. */
int image_tmp_lock (const char *store, struct error *err);

#endif
