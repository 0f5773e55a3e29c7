#include "worker/null_device.h"

#include "common/auto.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum
{
  NULL_MAJOR = 1, /* Documentation/admin-guide/devices.txt of Linux */
  NULL_MINOR = 3,
};

int
null_device_mount (void)
{
  auto_fd int context = fsopen ("tmpfs", FSOPEN_CLOEXEC);
  if (context < 0 || fsconfig (context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
    return -1;
  return fsmount (context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
}

int
null_device_open (int mount)
{
  int fd = -1;
  if (mount >= 0 && mknodat (mount, "null", S_IFCHR | 0444, makedev (NULL_MAJOR, NULL_MINOR)) == 0)
    {
      fd = openat (mount, "null", O_RDONLY | O_CLOEXEC);
      (void) unlinkat (mount, "null", 0);
    }
  return fd >= 0 ? fd : memfd_create ("null", MFD_CLOEXEC);
}
