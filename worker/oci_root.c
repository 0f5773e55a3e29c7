#include "worker/oci_root.h"

#include "common/fs.h"
#include "common/memory.h"
#include "worker/overlay.h"
#include "worker/skeleton.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define MAPPED_MEMORY "/run/shoal"

/* The caller frees. */
static char *
memory_folder (const struct oci_root *root)
{
  return root->userns->fd >= 0 ? xstrdup (MAPPED_MEMORY)
                               : xasprintf ("%s/memory", root->container->scratch);
}

static char *
below_memory (const struct oci_root *root, const char *name)
{
  auto_free char *memory = memory_folder (root);
  return xasprintf ("%s/%s", memory, name);
}

char *
oci_root_path (const struct oci_root *root)
{
  return below_memory (root, "root");
}

char *
oci_root_state (const struct oci_root *root)
{
  return below_memory (root, "state");
}

/* Gives the folder NAME to root of the container's user namespace. */
static int
give_folder (const struct oci_root *root, int folder_fd, const char *name, struct error *err)
{
  if (root->userns->fd < 0)
    return 0;
  auto_fd int fd = fs_open_folder (folder_fd, name, err);
  return fd < 0 ? -1 : userns_give (&root->userns->ids, fd, err);
}

/* Room for mount points, the root file system and the runtime's own state. The descriptor of its
 * folder, or -1. */
static int
make_memory (const struct oci_root *root, struct error *err)
{
  static const char *const folders[] = { "skeleton", "root", "state" };
  auto_free char *memory = memory_folder (root);
  if (mount ("tmpfs", memory, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") != 0)
    return error_errno (err, errno, "memory for the runtime");
  auto_fd int memory_fd = fs_open_folder (AT_FDCWD, memory, err);
  if (memory_fd < 0)
    return -1;
  for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
    if (mkdirat (memory_fd, folders[i], 0755) != 0)
      return error_errno (err, errno, "%s/%s", memory, folders[i]);
  return take_fd (&memory_fd);
}

static int
make_layers (const struct oci_root *root, int folder_fd, struct error *err)
{
  if (fs_make_folders (folder_fd, "upper", 0755, err) != 0
      || fs_make_folders (folder_fd, "work", 0755, err) != 0)
    return -1;
  return give_folder (root, folder_fd, "upper", err);
}

int
oci_root_make (const struct oci_root *root, struct error *err)
{
  const struct container *container = root->container;
  auto_free char *memory = memory_folder (root);
  if (fs_make_path (memory, 0755, err) != 0)
    return -1;
  if (container->job->read_only)
    return 0;
  auto_fd int scratch_fd = fs_open_folder (AT_FDCWD, container->scratch, err);
  return scratch_fd < 0 ? -1 : make_layers (root, scratch_fd, err);
}

/* The writable layer lies in the scratch folder; where its file system can't hold one (NFS, another
 * overlay): in memory. */
static int
mount_writable (const struct oci_root *root, struct overlay *overlay, int memory_fd, int target_fd,
                struct error *err)
{
  auto_fd int scratch_fd = fs_open_folder (AT_FDCWD, root->container->scratch, err);
  if (scratch_fd < 0)
    return -1;
  overlay->writable_fd = scratch_fd;
  if (overlay_mount (overlay, target_fd, NULL) == 0)
    return 0;
  overlay->writable_fd = memory_fd;
  return make_layers (root, memory_fd, err) != 0 ? -1 : overlay_mount (overlay, target_fd, err);
}

/* The image's root folder; for a user namespace as a mount that shows its files as they were
 * packed. */
static int
open_image (const struct oci_root *root, struct error *err)
{
  auto_fd int fd = fs_open_folder (AT_FDCWD, root->rootfs, err);
  if (fd < 0 || root->userns->fd < 0)
    return take_fd (&fd);
  return userns_map (root->userns->fd, fd, root->rootfs, err);
}

static int
mount_root (const struct oci_root *root, int memory_fd, struct error *err)
{
  auto_fd int top_fd = fs_open_folder (memory_fd, "skeleton", err);
  auto_fd int image_fd = top_fd < 0 ? -1 : open_image (root, err);
  auto_fd int target_fd = image_fd < 0 ? -1 : fs_open_folder (memory_fd, "root", err);
  if (target_fd < 0)
    return -1;
  struct overlay overlay = {
    .top_fd = top_fd, .image_fd = image_fd, .writable_fd = -1, .rootless = root->rootless
  };
  if (root->container->job->read_only)
    return overlay_mount (&overlay, target_fd, err);
  return mount_writable (root, &overlay, memory_fd, target_fd, err);
}

/* What the image has in the places of mount points is its own fault, all else this machine's. */
int
oci_root_mount (const struct oci_root *root, struct error *err)
{
  auto_free char *skeleton = below_memory (root, "skeleton");
  auto_fd int memory_fd = make_memory (root, err);
  if (memory_fd < 0)
    return error_blame_machine (err);
  if (skeleton_make (skeleton, root->rootfs, root->container, root->cwd, err) != 0)
    return -1;
  if (give_folder (root, memory_fd, "skeleton", err) != 0 || mount_root (root, memory_fd, err) != 0)
    return error_blame_machine (err);
  return 0;
}
