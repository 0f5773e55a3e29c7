#include "storage/local_links.h"

#include "common/fs.h"
#include "common/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <unistd.h>

enum
{
  SHOWN_MAX = 1000,  /* bytes of a path in an error */
  PATH_PIECE = 4000, /* bytes of a path that one system call takes for sure */
};

static int
open_at (int dirfd, const char *path, int flags, uint64_t resolve)
{
  return fs_openat2 (dirfd, path, flags, 0, resolve | RESOLVE_NO_MAGICLINKS);
}

const char *
local_shown (const char *path)
{
  size_t size = strlen (path);
  return size <= SHOWN_MAX ? path : path + (size - SHOWN_MAX);
}

/* ---- where a descriptor leads ------------------------------------------------------------ */

/* Whether the file behind FD lies beneath the volume. */
static bool
lies_beneath (const struct local *local, int fd)
{
  char target[PATH_MAX];
  size_t length = strlen (local->path);
  if (fs_path_of (fd, target, NULL) != 0)
    return false;
  return strcmp (local->path, "/") == 0
         || (strncmp (target, local->path, length) == 0 && target[length] == '/');
}

static bool
is_root (const struct local *local, int fd)
{
  char target[PATH_MAX];
  return fs_path_of (fd, target, NULL) == 0 && strcmp (target, local->path) == 0;
}

/* Whether what FD stands for, which was reached by links that may lead anywhere, lies within the
 * storage's boundary. It is asked of what was opened, so no later change of a path matters. */
static int
check_boundary (const struct local *local, int fd, const char *path, struct error *err)
{
  const struct storage_boundary *boundary = &local->storage.boundary;
  char target[PATH_MAX];
  if (boundary->check == NULL)
    return 0;
  if (fs_path_of (fd, target, NULL) != 0)
    return error_errno (err, ENOENT, "%s: symbolic link", local_shown (path));
  if (boundary->check (boundary->context, target, err) != 0)
    return error_wrap (err, "%s: the symbolic link", local_shown (path));
  return 0;
}

/* ---- links ------------------------------------------------------------------------------- */

static int
leads_out (const char *path, struct error *err)
{
  return error_set (err, ERROR_USER,
                    "%s: the symbolic link leads out of the volume (--symlinks follow allows it, "
                    "--symlinks skip leaves it out)",
                    local_shown (path));
}

static int
local_links_check_target (const struct local *local, int fd, bool beneath, const char *path,
                          enum symlinks policy, const struct stat *status, struct error *err)
{
  bool file = S_ISREG (status->st_mode);
  if (policy == SYMLINKS_FOLLOW)
    return file || S_ISDIR (status->st_mode) ? check_boundary (local, fd, path, err) : 0;
  if (file && !beneath && !lies_beneath (local, fd))
    return leads_out (path, err);
  return 0;
}

int
local_resolve_link (const struct local *local, int parent, const char *name, const char *path,
                    enum symlinks policy, struct stat *status, struct error *err)
{
  bool free_to_leave = policy == SYMLINKS_FOLLOW;
  auto_fd int fd = -1;
  if (!free_to_leave)
    fd = open_at (parent, name, O_PATH, RESOLVE_BENEATH);
  if (!free_to_leave && fd < 0 && strlen (path) < PATH_PIECE)
    fd = open_at (local->root, path, O_PATH, RESOLVE_BENEATH);
  bool beneath = fd >= 0;
  if (fd < 0) /* an absolute link, or one that leaves and comes back: where does it end? */
    fd = open_at (parent, name, O_PATH, 0);
  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
    return error_set (err, ERROR_USER, "%s: dangling symbolic link (--symlinks skip leaves it out)",
                      local_shown (path));
  if (fd < 0 || fstat (fd, status) != 0)
    return error_errno (err, errno, "%s: symbolic link", local_shown (path));
  if (local_links_check_target (local, fd, beneath, path, policy, status, err) != 0)
    return -1;
  return take_fd (&fd);
}

/* ---- opening ----------------------------------------------------------------------------- */

/* Whether the SIZE bytes of PATH are names that each lie in the one before. */
static bool
is_below (const char *path, size_t size)
{
  const char *end = path + size;
  for (const char *at = path; at < end;)
    {
      size_t length = strcspn (at, "/");
      bool dots = length <= 2 && strncmp (at, "..", length) == 0;
      if (length == 0 || dots)
        return false;
      at += length + 1;
    }
  return true;
}

/* Opens the folder that the first SIZE bytes of PATH name, in pieces that one call takes. Links on
 * the way are followed where SYMLINKS says so, and then what was reached must be asked for. */
static int
local_links_open_folders (const struct local *local, const char *path, size_t size,
                          enum symlinks symlinks, struct error *err)
{
  uint64_t resolve =
      symlinks == SYMLINKS_FOLLOW ? 0 : (uint64_t) (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
  if (symlinks == SYMLINKS_FOLLOW && !is_below (path, size))
    return error_set (err, ERROR_USER, "%s: not a path below the volume", local_shown (path));
  auto_fd int at = open_at (local->root, ".", O_PATH | O_DIRECTORY, RESOLVE_BENEATH);
  const char *end = path + size;
  for (const char *from = path; at >= 0 && from < end;)
    {
      size_t length = (size_t) (end - from);
      if (length > PATH_PIECE)
        {
          const char *cut = memrchr (from, '/', PATH_PIECE);
          length = cut == NULL ? length : (size_t) (cut - from);
        }
      auto_free char *piece = xstrndup (from, length);
      int below = open_at (at, piece, O_PATH | O_DIRECTORY, resolve);
      int code = errno;
      (void) close (at);
      at = below;
      errno = code;
      from += length + 1;
    }
  if (at < 0)
    return error_errno (err, errno, "%s: folder", local_shown (path));
  return take_fd (&at);
}

/* Opens the file NAME of PARENT, which is no link, or -1 with errno. Where links led there, only
 * what the boundary allows is opened for reading. */
static int
open_leaf (const struct local *local, int parent, const char *name, const char *path,
           enum symlinks symlinks, struct error *err)
{
  if (symlinks != SYMLINKS_FOLLOW)
    return open_at (parent, name, O_RDONLY | O_NONBLOCK | O_NOCTTY,
                    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
  auto_fd int fd = open_at (parent, name, O_PATH, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
  struct stat status;
  if (fd < 0 || fstat (fd, &status) != 0)
    return -1;
  if (!S_ISREG (status.st_mode))
    {
      errno = S_ISDIR (status.st_mode) ? EISDIR : EINVAL;
      return -1;
    }
  if (check_boundary (local, fd, path, err) != 0)
    return -1;
  return fs_reopen (fd);
}

static int
local_links_open_file (const struct local *local, const char *path, enum symlinks symlinks,
                       struct error *err)
{
  struct error refused = ERROR_INIT;
  const char *slash = strrchr (path, '/');
  const char *name = slash == NULL ? path : slash + 1;
  size_t above = slash == NULL ? 0 : (size_t) (slash - path);
  auto_fd int parent = local_links_open_folders (local, path, above, symlinks, err);
  if (parent < 0)
    return -1;
  struct stat status;
  auto_fd int fd = open_leaf (local, parent, name, path, symlinks, &refused);
  if (fd < 0 && error_is_set (&refused))
    {
      if (err != NULL)
        *err = refused;
      return -1;
    }
  if (fd < 0 && errno == ELOOP && symlinks != SYMLINKS_SKIP)
    {
      auto_fd int target = local_resolve_link (local, parent, name, path, symlinks, &status, err);
      if (target < 0)
        return -1;
      if (S_ISREG (status.st_mode)) /* so that opening it has no effect */
        fd = fs_reopen (target);
      else
        errno = EISDIR;
    }
  if (fd < 0 || fstat (fd, &status) != 0)
    return error_errno (err, errno, "%s", local_shown (path));
  if (!S_ISREG (status.st_mode))
    return error_set (err, ERROR_USER, "%s: not a file", local_shown (path));
  return take_fd (&fd);
}

int
local_open_file (struct storage *storage, const char *path, enum symlinks symlinks,
                 struct error *err)
{
  const struct local *local = (const struct local *) storage;
  int fd = local_links_open_file (local, path, symlinks, err);
  return fd >= 0 ? fd : error_wrap (err, "%s", local->path);
}

int
local_open_folder (struct storage *storage, const char *path, enum symlinks symlinks,
                   struct error *err)
{
  const struct local *local = (const struct local *) storage;
  auto_fd int fd = local_links_open_folders (local, path, strlen (path), symlinks, err);
  if (fd < 0 || (symlinks == SYMLINKS_FOLLOW && check_boundary (local, fd, path, err) != 0))
    return error_wrap (err, "%s", local->path);
  return take_fd (&fd);
}

int
local_open_link (struct storage *storage, int dirfd, const char *name, const char *path,
                 enum symlinks symlinks, struct error *err)
{
  const struct local *local = (const struct local *) storage;
  struct stat status;
  auto_fd int fd = local_resolve_link (local, dirfd, name, path, symlinks, &status, err);
  if (fd >= 0 && S_ISDIR (status.st_mode) && symlinks != SYMLINKS_FOLLOW && !is_root (local, fd)
      && !lies_beneath (local, fd))
    {
      (void) leads_out (path, err);
      (void) close (take_fd (&fd));
    }
  return fd >= 0 ? take_fd (&fd) : error_wrap (err, "%s", local->path);
}
