#include "worker/oci_root.h"

#include "common/fs.h"
#include "common/memory.h"
#include "worker/overlay.h"
#include "worker/skeleton.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define MEMORY "memory"

char *
oci_root_path (const char *scratch)
{
  return xasprintf ("%s/" MEMORY "/root", scratch);
}

char *
oci_root_state (const char *scratch)
{
  return xasprintf ("%s/" MEMORY "/state", scratch);
}

/* Mount points, the place of the root file system and the runtime's own state. The descriptor of its folder, or -1. */
static int
make_memory (const struct oci_root *root, struct error *err)
{
  static const char *const folders[] = { "skeleton", "root", "state" };
  const struct container *container = root->container;
  auto_free char *memory = xasprintf ("%s/" MEMORY, container->scratch);
  if (mount ("tmpfs", memory, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") != 0)
    return error_errno (err, errno, "memory for the runtime");
  auto_fd int memory_fd = fs_open_folder (AT_FDCWD, memory, err);
  if (memory_fd < 0)
    return -1;
  for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
    if (mkdirat (memory_fd, folders[i], 0755) != 0)
      return error_errno (err, errno, "%s/%s", memory, folders[i]);
  auto_free char *skeleton = xasprintf ("%s/skeleton", memory);
  if (skeleton_make (skeleton, root->rootfs, container, root->cwd, err) != 0)
    return -1;
  return take_fd (&memory_fd);
}

static int
make_layers (int folder_fd, struct error *err)
{
  if (fs_make_folders (folder_fd, "upper", 0755, err) != 0)
    return -1;
  return fs_make_folders (folder_fd, "work", 0755, err);
}

int
oci_root_make (const struct container *container, struct error *err)
{
  auto_free char *memory = xasprintf ("%s/" MEMORY, container->scratch);
  if (fs_make_path (memory, 0755, err) != 0)
    return -1;
  if (container->job->read_only)
    return 0;
  auto_fd int scratch_fd = fs_open_folder (AT_FDCWD, container->scratch, err);
  return scratch_fd < 0 ? -1 : make_layers (scratch_fd, err);
}

/* The writable layer lies in the scratch folder; where its file system can't hold one (NFS, another overlay): in memory. */
static int
mount_writable (struct overlay *overlay, const char *scratch, int memory_fd, int target_fd,
                struct error *err)
{
  auto_fd int scratch_fd = fs_open_folder (AT_FDCWD, scratch, err);
  if (scratch_fd < 0)
    return -1;
  overlay->writable_fd = scratch_fd;
  if (overlay_mount (overlay, target_fd, NULL) == 0)
    return 0;
  overlay->writable_fd = memory_fd;
  return make_layers (memory_fd, err) != 0 ? -1 : overlay_mount (overlay, target_fd, err);
}

static int
mount_root (const struct oci_root *root, int memory_fd, struct error *err)
{
  auto_fd int top_fd = fs_open_folder (memory_fd, "skeleton", err);
  auto_fd int image_fd = top_fd < 0 ? -1 : fs_open_folder (AT_FDCWD, root->rootfs, err);
  auto_fd int target_fd = image_fd < 0 ? -1 : fs_open_folder (memory_fd, "root", err);
  if (target_fd < 0)
    return -1;
  struct overlay overlay = {
    .top_fd = top_fd, .image_fd = image_fd, .writable_fd = -1, .rootless = root->rootless
  };
  if (root->container->job->read_only)
    return overlay_mount (&overlay, target_fd, err);
  return mount_writable (&overlay, root->container->scratch, memory_fd, target_fd, err);
}

int
oci_root_mount (const struct oci_root *root, struct error *err)
{
  auto_fd int memory_fd = make_memory (root, err);
  return memory_fd < 0 ? -1 : mount_root (root, memory_fd, err);
}
