#include "worker/root_path.h"

#include "common/auto.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>

static int
open_in_root (int root_fd, const char *path)
{
  return fs_openat2 (root_fd, path, O_PATH, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
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

char *
root_path_name (int root_fd, int fd, struct error *err)
{
  char root[PATH_MAX];
  char name[PATH_MAX];
  if (fs_path_of (root_fd, root, err) != 0 || fs_path_of (fd, name, err) != 0)
    return NULL;
  const char *below = path_below (name, root);
  if (below != NULL)
    return xstrdup (below);
  (void) error_set (err, ERROR_TRANSIENT, "%s is no longer in %s", name, root);
  return NULL;
}
