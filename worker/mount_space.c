#include "worker/mount_space.h"

#include <errno.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#define UNIFIED "/sys/fs/cgroup/unified"

/* crun 1.8 fails for every container where it sees version 2 beside version 1. */
int
mount_space_hide_unified (void)
{
  struct statfs status;
  if (statfs (UNIFIED, &status) != 0 || status.f_type != CGROUP2_SUPER_MAGIC)
    return 0;
  return umount2 (UNIFIED, MNT_DETACH) == 0
                 || mount ("none", UNIFIED, "tmpfs", MS_RDONLY, NULL) == 0
             ? 0
             : -1;
}

int
mount_space_enter (struct error *err)
{
  if (unshare (CLONE_NEWNS) != 0 || mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
    return error_errno (err, errno,
                        "this host does not allow mount namespaces, so no containers; --runtime "
                        "process works without");
  if (mount_space_hide_unified () != 0)
    return error_errno (err, errno, "hiding " UNIFIED);
  return 0;
}
