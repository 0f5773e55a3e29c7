/* overlay.h — a container's root file system: folders laid over each other.
 *
 * The kernel gets the folders by their descriptors, never by a text made of their paths: there a
 * comma would begin another option, a colon another layer.
 */
#ifndef SHOAL_WORKER_OVERLAY_H
#define SHOAL_WORKER_OVERLAY_H

#include "common/error.h"

#include <stdbool.h>

struct overlay
{
  int top_fd;   /* lies over the image, read-only */
  int image_fd; /* read-only */
  /* a folder with `upper` and `work`, which takes what is written; -1: nothing can be */
  int writable_fd;
  bool rootless; /* in a user namespace: marks are user.* attributes */
};

/* Mounts it at the folder TARGET_FD, without devices and set-id programs. Needs a /proc of this PID
 * namespace. */
int overlay_mount (const struct overlay *overlay, int target_fd, struct error *err);

#endif
