/* oci_root.h — what is mounted before a container's runtime starts: its root file system, and memory for the runtime's own things.
 *
 *     SCRATCH/config.json, upper/, work/      the bundle and what the container writes
 *     SCRATCH/memory/skeleton/, root/, state/ mount points, the root file system, the runtime's state: all in memory
 *
 * Only the mount namespace in which oci_root_mount is called has what is mounted: it is gone with the container.
 */
#ifndef SHOAL_WORKER_OCI_ROOT_H
#define SHOAL_WORKER_OCI_ROOT_H

#include "worker/container.h"

struct oci_root
{
  const struct container *container;
  const char *rootfs; /* the image's */
  const char *cwd;    /* normal */
  bool rootless;      /* in a user namespace */
};

/* Makes the folders of CONTAINER's scratch folder. */
int oci_root_make (const struct container *container, struct error *err);

/* Mounts ROOT, in the process that becomes the runtime. */
int oci_root_mount (const struct oci_root *root, struct error *err);

/* Where the root file system and the runtime's state are in the folder SCRATCH. The caller frees. */
char *oci_root_path (const char *scratch);
char *oci_root_state (const char *scratch);

#endif
