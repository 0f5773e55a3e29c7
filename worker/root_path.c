#include "worker/root_path.h"

#include "common/auto.h"
#include "common/memory.h"
#include "common/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

static int
open_in_root (int root_fd, const char *path)
{
  const struct open_how how = { .flags = O_PATH | O_CLOEXEC,
                                .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
  for (;;)
    {
      int fd = (int) syscall (SYS_openat2, root_fd, path, &how, sizeof how);
      if (fd >= 0 || (errno != EINTR && errno != EAGAIN))
        return fd;
    }
}

int
root_path_open (int root_fd, const char *path, const char **rest, struct error *err)
{
  auto_free char *part = xstrdup (path);
  for (size_t length = strlen (path);;)
    {
      int fd = open_in_root (root_fd, length == 0 ? "/" : part);
      if (fd >= 0)
        {
          *rest = path + length + strspn (path + length, "/");
          return fd;
        }
      if ((errno != ENOENT && errno != ENOTDIR) || length == 0)
        return error_errno (err, errno, "%s", path);
      while (length > 0 && part[length - 1] != '/')
        length--;
      part[length > 0 ? --length : 0] = '\0';
    }
}

static char *
read_name (int fd, struct error *err)
{
  char link[64];
  char name[PATH_MAX];
  (void) snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink (link, name, sizeof name);
  if (length >= 0 && (size_t) length < sizeof name)
    return xstrndup (name, (size_t) length);
  (void) error_errno (err, length < 0 ? errno : ENAMETOOLONG, "%s", link);
  return NULL;
}

char *
root_path_name (int root_fd, int fd, struct error *err)
{
  auto_free char *root = read_name (root_fd, err);
  auto_free char *name = root == NULL ? NULL : read_name (fd, err);
  if (name == NULL)
    return NULL;
  const char *below = path_below (name, root);
  if (below != NULL)
    return xstrdup (below);
  (void) error_set (err, ERROR_TRANSIENT, "%s is no longer in %s", name, root);
  return NULL;
}
