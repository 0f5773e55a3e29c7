#include "common/lock.h"

#include "common/auto.h"
#include "common/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

static const mode_t private = 0600;

int
lock_open (int dirfd, const char *name, struct error *err)
{
  struct stat about;
  auto_fd int fd = openat (dirfd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, private);
  if (fd < 0 || fstat (fd, &about) != 0)
    return error_errno (err, errno, "%s", name);
  bool ours = about.st_uid == geteuid ();
  if (ours && (about.st_mode & 07777 & ~private) != 0 && fchmod (fd, private) != 0)
    return error_errno (err, errno, "%s", name);
  return take_fd (&fd);
}

/* ---- who holds it ----------------------------------------------------------------------- */

struct lock_device
{
  unsigned int major;
  unsigned int minor;
};

/* The file system that FD is on, as the kernel's list of locks names it; stat(2) has other numbers
 * on some (btrfs, overlays). */
static bool
find_device (int fd, struct lock_device *device)
{
  auto_free char *info = xasprintf ("/proc/self/fdinfo/%d", fd);
  auto_file FILE *about = fopen (info, "re");
  auto_file FILE *mounts = fopen ("/proc/self/mountinfo", "re");
  auto_free char *line = NULL;
  size_t capacity = 0;
  int mount = -1;
  while (about != NULL && mount < 0 && getline (&line, &capacity, about) > 0)
    (void) sscanf (line, "mnt_id: %d", &mount);
  while (mounts != NULL && mount >= 0 && getline (&line, &capacity, mounts) > 0)
    {
      int id = -1;
      if (sscanf (line, "%d %*d %u:%u", &id, &device->major, &device->minor) == 3 && id == mount)
        return true;
    }
  return false;
}

/* The kernel tells its list of locks in pieces; where one before it is left in between, a lock
 * falls between two of them (a few of thousand looks on a busy machine). */
enum
{
  LOOKS = 4,
};

/* Who holds the inode of LOCK, on DEVICE (NULL: any), by one look at the list; 0: none was seen. */
static pid_t
lock_look (const struct stat *lock, const struct lock_device *device)
{
  auto_file FILE *locks = fopen ("/proc/locks", "re");
  auto_free char *line = NULL;
  size_t capacity = 0;
  while (locks != NULL && getline (&line, &capacity, locks) > 0)
    {
      int pid = 0;
      struct lock_device held;
      unsigned long inode = 0;
      if (sscanf (line, "%*s FLOCK %*s WRITE %d %x:%x:%lu", &pid, &held.major, &held.minor, &inode)
              == 4
          && inode == (unsigned long) lock->st_ino
          && (device == NULL || (held.major == device->major && held.minor == device->minor)))
        return pid > 0 ? pid : 1;
    }
  return 0;
}

pid_t
lock_holder (int dirfd, const char *name)
{
  struct stat lock;
  struct lock_device device;
  if (fstatat (dirfd, name, &lock, AT_SYMLINK_NOFOLLOW) != 0)
    return 0;
  bool known = find_device (dirfd, &device);
  pid_t holder = 0;
  for (int i = 0; i < LOOKS && holder == 0; i++)
    holder = lock_look (&lock, known ? &device : NULL);
  return holder;
}
