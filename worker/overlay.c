#include "worker/overlay.h"

#include "common/auto.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

enum
{
  OPTION_MAX = 64, /* bytes of an option's value: names of descriptors */
};

#define NAME_OF_FD "/proc/self/fd/%d"

/* Error CODE, with what the kernel has to say about CONTEXT. */
static int
overlay_error (int context, int code, struct error *err)
{
  char said[256];
  ssize_t length = read (context, said, sizeof said - 1);
  if (length <= 0)
    return error_errno (err, code, "mounting the root file system");
  said[length] = '\0';
  said[strcspn (said, "\n")] = '\0';
  return error_errno (err, code, "mounting the root file system: %s", said);
}

static int
set_writable (int context, const struct overlay *overlay, int upper, int work)
{
  char name[OPTION_MAX];
  (void) snprintf (name, sizeof name, NAME_OF_FD, upper);
  if (fsconfig (context, FSCONFIG_SET_STRING, "upperdir", name, 0) != 0)
    return -1;
  (void) snprintf (name, sizeof name, NAME_OF_FD, work);
  if (fsconfig (context, FSCONFIG_SET_STRING, "workdir", name, 0) != 0
      || fsconfig (context, FSCONFIG_SET_FLAG, "volatile", NULL, 0) != 0)
    return -1;
  return overlay->rootless ? fsconfig (context, FSCONFIG_SET_FLAG, "userxattr", NULL, 0) : 0;
}

/* One option for both layers, and names of descriptors: all kernels take these, Linux 6.5's
 * `lowerdir+` and 6.13's descriptors are for the newest only. The container sees the names in its
 * /proc/self/mountinfo, where paths would tell of the host. */
static int
set_layers (int context, const struct overlay *overlay)
{
  char names[OPTION_MAX];
  (void) snprintf (names, sizeof names, NAME_OF_FD ":" NAME_OF_FD, overlay->top_fd,
                   overlay->image_fd);
  return fsconfig (context, FSCONFIG_SET_STRING, "lowerdir", names, 0);
}

static int
mount_layers (const struct overlay *overlay, int target_fd, struct error *err)
{
  auto_fd int upper = -1;
  auto_fd int work = -1;
  if (overlay->writable_fd >= 0)
    {
      upper = openat (overlay->writable_fd, "upper", O_PATH | O_DIRECTORY | O_CLOEXEC);
      work = openat (overlay->writable_fd, "work", O_PATH | O_DIRECTORY | O_CLOEXEC);
      if (upper < 0 || work < 0)
        return error_errno (err, errno, "the writable layer");
    }
  auto_fd int context = fsopen ("overlay", FSOPEN_CLOEXEC);
  if (context < 0)
    return error_errno (err, errno, "mounting the root file system: overlay");
  if (set_layers (context, overlay) != 0
      || (upper >= 0 && set_writable (context, overlay, upper, work) != 0)
      || fsconfig (context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
    return overlay_error (context, errno, err);
  unsigned int flags = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  if (upper < 0)
    flags |= MOUNT_ATTR_RDONLY;
  auto_fd int tree = fsmount (context, FSMOUNT_CLOEXEC, flags);
  if (tree < 0)
    return overlay_error (context, errno, err);
  if (move_mount (tree, "", target_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
    return error_errno (err, errno, "mounting the root file system");
  return 0;
}

/* None of it is in a job's hands. */
int
overlay_mount (const struct overlay *overlay, int target_fd, struct error *err)
{
  return mount_layers (overlay, target_fd, err) == 0 ? 0 : error_blame_machine (err);
}
