/* skeleton.h — the mount points that a container needs and its image may lack.
 *
 * A folder tree that is laid over the image's root: with it the runtime never has to make anything,
 * so nothing is ever created in the image that all containers share. Folders that the image has as
 * well keep its mode and owner.
 */
#ifndef SHOAL_WORKER_SKELETON_H
#define SHOAL_WORKER_SKELETON_H

#include "worker/container.h"

/* Makes the tree in the empty folder SKELETON_FD for CONTAINER's mounts, tmpfs folders and CWD,
 * over the image's root folder ROOTFS_FD. */
int skeleton_make (int skeleton_fd, int rootfs_fd, const struct container *container,
                   const char *cwd, struct error *err);

#endif
