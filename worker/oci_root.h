/* oci_root.h — what is mounted before a container's runtime starts: its root file system, and
 * memory for the runtime's own things.
 *
 *     SCRATCH/config.json, upper/, work/      the bundle and what the container writes
 *     SCRATCH/memory/skeleton/, root/, state/ mount points, the root file system, the runtime's
 *     state: all in memory
 *
 * For a user namespace the memory is at /run/shoal: its root can't pass the folders above a scratch
 * folder. Only the mount namespace in which oci_root_mount is called has what is mounted: it is
 * gone with the container.
 */
#ifndef SHOAL_WORKER_OCI_ROOT_H
#define SHOAL_WORKER_OCI_ROOT_H

#include "worker/container.h"
#include "worker/userns.h"

struct oci_root
{
  const struct container *container;
  const char *rootfs;          /* the image's */
  const char *cwd;             /* normal */
  bool rootless;               /* an ordinary user's, in a user namespace */
  const struct userns *userns; /* of root's container, if it has one */
};

/* Makes the folders of the container's scratch folder. */
int oci_root_make (const struct oci_root *root, struct error *err);

/* Mounts ROOT, in the process that becomes the runtime. */
int oci_root_mount (const struct oci_root *root, struct error *err);

/* Where the root file system and the runtime's state are. The caller frees. */
char *oci_root_path (const struct oci_root *root);
char *oci_root_state (const struct oci_root *root);

#endif
