#include "worker/bind.h"

#include "common/auto.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>

int
bind_check_kernel (struct error *err)
{
  struct mount_attr none = { 0 };
  if (mount_setattr (-1, "", AT_EMPTY_PATH, &none, sizeof none) == 0 || errno != ENOSYS)
    return 0;
  return error_set (err, ERROR_USER,
                    "inputs can't be mounted read-only with what is mounted below them; that takes "
                    "Linux 5.12 (mount_setattr)");
}

int
bind_restrict (int fd, uint64_t attributes, struct error *err)
{
  struct mount_attr change = { .attr_set = attributes };
  if (mount_setattr (fd, "", AT_EMPTY_PATH, &change, sizeof change) == 0)
    return 0;
  return error_errno (err, errno, "restricting a mount");
}

int
bind_mount (const char *source, int target_fd, uint64_t attributes, struct error *err)
{
  struct mount_attr change = { .attr_set = attributes, .propagation = MS_PRIVATE };
  auto_fd int tree =
      open_tree (AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
  if (tree < 0)
    return error_errno (err, errno, "mounting %s", source);
  if (mount_setattr (tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &change, sizeof change) != 0)
    return error_errno (err, errno, "mounting %s: restricting it", source);
  if (move_mount (tree, "", target_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
    return error_errno (err, errno, "mounting %s", source);
  return 0;
}

int
bind_allow_devices (int fd, struct error *err)
{
  struct mount_attr change = { .attr_clr = MOUNT_ATTR_NODEV };
  if (mount_setattr (fd, "", AT_EMPTY_PATH, &change, sizeof change) == 0)
    return 0;
  return error_errno (err, errno, "allowing devices on a mount");
}
