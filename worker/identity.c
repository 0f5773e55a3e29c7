#include "worker/identity.h"

#include "common/auto.h"
#include "common/fs.h"
#include "common/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

char *
identity_take (struct identity *identity, int fd, struct error *err)
{
  char path[PATH_MAX];
  struct stat status;
  if (fs_path_of (fd, path, err) != 0)
    return NULL;
  if (fstat (fd, &status) != 0)
    {
      (void) error_errno (err, errno, "%s", path);
      return NULL;
    }
  *identity = (struct identity){ .device = status.st_dev,
                                 .inode = status.st_ino,
                                 .folder = S_ISDIR (status.st_mode) };
  return xstrdup (path);
}

int
identity_open (const struct identity *identity, const char *path, struct error *err)
{
  struct stat status;
  auto_fd int root = fs_open_folder (AT_FDCWD, "/", err);
  auto_fd int fd = root < 0 ? -1 : fs_open_beneath (root, path + 1, O_PATH, 0, err);
  if (fd < 0)
    return -1;
  if (fstat (fd, &status) != 0)
    return error_errno (err, errno, "%s", path);
  if (status.st_dev == identity->device && status.st_ino == identity->inode)
    return take_fd (&fd);
  return error_set (err, ERROR_USER, "%s: another one was put there meanwhile", path);
}
