/* oci_root.h — what is mounted before a container's runtime starts: its root file system, what
 * is to be mounted in it, and memory for the runtime's own things.
 *
 *     SCRATCH/upper/, work/    what the container writes
 *     /run/shoal/config.json   the bundle
 *     /run/shoal/skeleton/     mount points
 *     /run/shoal/root/         the root file system
 *     /run/shoal/sources/0 …   the container's mounts, by their number; resolv.conf, hosts, init,
 *                            control groups, devices
 *     /run/shoal/state/        the runtime's state
 *
 * The runtime goes by paths, and whoever may rename folders above one could lead it elsewhere: all
 * that it is told lies in memory which covers the host's /run. Only the mount namespace in which
 * oci_root_mount is called has what is mounted: it is gone with the container.
 */
#ifndef SHOAL_WORKER_OCI_ROOT_H
#define SHOAL_WORKER_OCI_ROOT_H

#include "worker/cgroup.h"
#include "worker/container.h"
#include "worker/devices.h"
#include "worker/userns.h"

#define OCI_ROOT_BUNDLE "/run/shoal"
#define OCI_ROOT_PATH OCI_ROOT_BUNDLE "/root"
#define OCI_ROOT_SOURCES OCI_ROOT_BUNDLE "/sources"
/* In the sources: the folder for the container's control groups, which are GROUPS.NAME. */
#define OCI_ROOT_GROUPS "cgroup"
#define OCI_ROOT_DEVICE "device." /* in the sources, by its number */
#define OCI_ROOT_STATE OCI_ROOT_BUNDLE "/state"

struct oci_root
{
  const struct container *container;
  const struct devices *devices;
  const char *rootfs;          /* the image's */
  const char *cwd;             /* normal */
  bool rootless;               /* an ordinary user's, in a user namespace */
  const struct userns *userns; /* of root's container, if it has one */
  const struct cgroup *group;  /* that it is in; NULL: none */
  struct buffer config;        /* the runtime's config.json */
  char *scratch;               /* where the container's scratch folder is … */
  struct identity identity;    /* … and which one */
};

/* Whether what a container in the user namespace USERNS has mounted can show files to it: here an
 * error can name it. ERROR_USER. */
int oci_root_check_mounts (const struct userns *userns, const struct container *container,
                           struct error *err);

/* Makes the folders of the container's scratch folder, and fills in where that is. */
int oci_root_make (struct oci_root *root, struct error *err);

/* Mounts ROOT, in the process that becomes the runtime. ERROR_USER where a mount or what the image
 * has in its place is at fault. */
int oci_root_mount (const struct oci_root *root, struct error *err);

void oci_root_release (struct oci_root *root);

#endif
