/* mounts.h — what a container gets to see, in an order that can be mounted.
 *
 * Filled in any order; mounts_arrange sorts it so that a mount comes after the one that it lies in,
 * and sees to the mount points: they are made where the folder is ours, and must be there where it
 * is the user's, because the runtime would otherwise make them in the user's own folder.
 */
#ifndef SHOAL_WORKER_MOUNTS_H
#define SHOAL_WORKER_MOUNTS_H

#include "common/auto.h"
#include "common/error.h"
#include "worker/container.h"

#include <stdbool.h>
#include <stddef.h>

struct mounts
{
  struct container_mount *items; /* source and target are owned */
  bool *ours; /* of each: whether the source is a folder that shoal made for this run */
  size_t count;
  size_t capacity;
};

/* Adds what SOURCE_FD is open on. Takes TARGET (a normal container path) over, also when it
 * fails. */
int mounts_add (struct mounts *mounts, int source_fd, char *target, bool writable, bool ours,
                struct error *err);

/* As above. ERROR_USER: two on one path, or a mount point that a volume lacks. */
int mounts_arrange (struct mounts *mounts, struct error *err);

void mounts_release (struct mounts *mounts);
#define auto_mounts AUTO (mounts_release)

#endif
