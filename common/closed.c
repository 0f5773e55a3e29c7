#include "common/closed.h"

#include "common/auto.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum
{
  OTHERS = 077,
};

int
closed_make (const char *path, struct error *err)
{
  const char *slash = strrchr (path, '/');
  auto_free char *above = slash == NULL ? xstrdup ("") : xstrndup (path, (size_t) (slash - path));
  if (above[0] != '\0' && fs_make_path (above, 0755, err) != 0)
    return -1;
  if (sys_mkdir (AT_FDCWD, path, 0700) != 0 && errno != EEXIST)
    return error_errno (err, errno, "%s", path);
  return 0;
}

static bool
holds_only (int folder_fd, bool (*is_ours) (const char *name))
{
  auto_fd int copy = openat (folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  auto_dir DIR *dir = copy < 0 ? NULL : fdopendir (copy);
  if (dir == NULL)
    return false;
  (void) take_fd (&copy);
  for (const struct dirent *entry = readdir (dir); entry != NULL; entry = readdir (dir))
    if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0
        && !is_ours (entry->d_name))
      return false;
  return true;
}

/* Whether what FD stands for is ours, and others can do something with it. */
static bool
is_open_to_others (int fd, mode_t *mode)
{
  struct stat status;
  if (fstat (fd, &status) != 0 || status.st_uid != geteuid ())
    return false;
  *mode = status.st_mode & 07777;
  return (status.st_mode & OTHERS) != 0;
}

void
closed_tighten (const char *path, bool (*is_ours) (const char *name))
{
  mode_t mode = 0;
  auto_fd int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0 && is_open_to_others (fd, &mode) && (is_ours == NULL || holds_only (fd, is_ours)))
    (void) fchmod (fd, mode & (mode_t) ~OTHERS);
}
