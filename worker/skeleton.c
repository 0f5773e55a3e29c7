#include "worker/skeleton.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/path.h"
#include "common/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

struct tree
{
  int skeleton_fd;
  int rootfs_fd;
};

/* Gives the skeleton's folder PATH the mode and owner that the image's has. */
static void
copy_look (const struct tree *tree, const char *path)
{
  struct stat status;
  if (fstatat (tree->rootfs_fd, path, &status, AT_SYMLINK_NOFOLLOW) != 0
      || !S_ISDIR (status.st_mode))
    return;
  (void) fchownat (tree->skeleton_fd, path, status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW);
  (void) fchmodat (tree->skeleton_fd, path, status.st_mode & 07777, 0);
}

/* Makes folder PATH (relative) and those above it. */
static int
add_folder (const struct tree *tree, const char *path, struct error *err)
{
  auto_free char *part = xstrdup (path);
  for (char *slash = strchr (part, '/');; slash = strchr (slash + 1, '/'))
    {
      if (slash != NULL)
        *slash = '\0';
      if (part[0] != '\0' && sys_mkdir (tree->skeleton_fd, part, 0755) == 0)
        copy_look (tree, part);
      else if (part[0] != '\0' && errno != EEXIST)
        return error_errno (err, errno, "mount point /%s", part);
      if (slash == NULL)
        return 0;
      *slash = '/';
    }
}

static int
add_file (const struct tree *tree, const char *path, struct error *err)
{
  const char *slash = strrchr (path, '/');
  auto_free char *above = xstrndup (path, slash == NULL ? 0 : (size_t) (slash - path));
  if (above[0] != '\0' && add_folder (tree, above, err) != 0)
    return -1;
  auto_fd int fd = openat (tree->skeleton_fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  return fd >= 0 ? 0 : error_errno (err, errno, "mount point /%s", path);
}

/* Whether an earlier mount is there already where mount INDEX goes: its mount point lies in that. */
static bool
lies_in_another (const struct container *container, size_t index)
{
  for (size_t i = 0; i < index; i++)
    if (path_below (container->mounts[index].target, container->mounts[i].target) != NULL)
      return true;
  return false;
}

static int
add_mount (const struct tree *tree, const struct container *container, size_t index,
           struct error *err)
{
  const struct container_mount *mount = &container->mounts[index];
  struct stat status;
  if (lies_in_another (container, index))
    return 0;
  if (stat (mount->source, &status) != 0)
    return error_errno (err, errno, "%s", mount->source);
  return S_ISDIR (status.st_mode) ? add_folder (tree, mount->target + 1, err)
                                  : add_file (tree, mount->target + 1, err);
}

static int
add_all (const struct tree *tree, const struct container *container, const char *cwd,
         struct error *err)
{
  static const char *const system[] = { "proc", "dev", "sys" };
  for (size_t i = 0; i < sizeof system / sizeof system[0]; i++)
    if (add_folder (tree, system[i], err) != 0)
      return -1;
  if (container->job->network == NETWORK_HOST
      && (add_file (tree, "etc/resolv.conf", err) != 0 || add_file (tree, "etc/hosts", err) != 0))
    return -1;
  for (size_t i = 0; i < container->job->tmpfs.count; i++)
    {
      const char *text = container->job->tmpfs.items[i];
      auto_free char *path = xstrndup (text + 1, strcspn (text + 1, ":"));
      if (add_folder (tree, path, err) != 0)
        return -1;
    }
  for (size_t i = 0; i < container->mount_count; i++)
    if (add_mount (tree, container, i, err) != 0)
      return -1;
  for (size_t i = 0; i < container->mount_count; i++)
    if (path_below (cwd, container->mounts[i].target) != NULL)
      return 0;
  return add_folder (tree, cwd + 1, err);
}

int
skeleton_make (const char *skeleton, const char *rootfs, const struct container *container,
               const char *cwd, struct error *err)
{
  auto_fd int skeleton_fd = fs_open_folder (AT_FDCWD, skeleton, err);
  auto_fd int rootfs_fd = skeleton_fd < 0 ? -1 : fs_open_folder (AT_FDCWD, rootfs, err);
  if (rootfs_fd < 0)
    return -1;
  const struct tree tree = { .skeleton_fd = skeleton_fd, .rootfs_fd = rootfs_fd };
  /* The overlay's top layer gives the root folder its look. */
  copy_look (&tree, ".");
  return add_all (&tree, container, cwd, err);
}
