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
                    "inputs with other mounts below them can't be mounted read-only: that needs "
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

/* SOURCE_FD may be AT_FDCWD, with a PATH. */
static int
bind_copy_tree (int source_fd, const char *path, uint64_t attributes, const char *what,
                struct error *err)
{
  struct mount_attr change = { .attr_set = attributes, .propagation = MS_PRIVATE };
  auto_fd int tree = open_tree (source_fd, path,
                                AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
  if (tree < 0)
    return error_errno (err, errno, "mounting %s", what);
  if (mount_setattr (tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &change, sizeof change) != 0)
    return error_errno (err, errno, "mounting %s: restricting it", what);
  return take_fd (&tree);
}

int
bind_clone (int source_fd, uint64_t attributes, const char *what, struct error *err)
{
  return bind_copy_tree (source_fd, "", attributes, what, err);
}

int
bind_attach (int tree, int folder_fd, const char *name, struct error *err)
{
  unsigned int flags = MOVE_MOUNT_F_EMPTY_PATH | (name[0] == '\0' ? MOVE_MOUNT_T_EMPTY_PATH : 0);
  return move_mount (tree, "", folder_fd, name, flags) == 0
             ? 0
             : error_errno (err, errno, "mounting at %s", name);
}

int
bind_mount (const char *source, int target_fd, uint64_t attributes, struct error *err)
{
  auto_fd int tree = bind_copy_tree (AT_FDCWD, source, attributes, source, err);
  return tree < 0 ? -1 : bind_attach (tree, target_fd, "", err);
}

int
bind_allow_devices (int fd, struct error *err)
{
  struct mount_attr change = { .attr_clr = MOUNT_ATTR_NODEV };
  if (mount_setattr (fd, "", AT_EMPTY_PATH, &change, sizeof change) == 0)
    return 0;
  return error_errno (err, errno, "allowing devices on a mount");
}
