#include "worker/place.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

enum
{
  DEPTH_MAX = 400, /* folders in a folder atom; each level holds a descriptor */
};

void
place_release (struct place *place)
{
  free (place->parent);
  auto_fd_ (&place->parent_source_fd);
  auto_fd_ (&place->parent_target_fd);
  *place = (struct place) PLACE_INIT;
}

int
place_check_path (const char *path, struct error *err)
{
  for (const char *at = path; *path != '\0'; at++)
    {
      size_t length = strcspn (at, "/");
      if (length == 0 || (length == 1 && at[0] == '.')
          || (length == 2 && at[0] == '.' && at[1] == '.'))
        return error_set (err, ERROR_USER, "%s: not a path below the volume", path);
      at += length;
      if (*at == '\0')
        break;
    }
  return 0;
}

/* Makes PATH's folder the current one; its last component comes back in *LEAF. */
static int
enter_parent (struct place *place, const char *path, const char **leaf, struct error *err)
{
  const char *slash = strrchr (path, '/');
  size_t size = slash == NULL ? 0 : (size_t) (slash - path);
  *leaf = slash == NULL ? path : slash + 1;
  if (place->parent != NULL && strlen (place->parent) == size
      && memcmp (place->parent, path, size) == 0)
    return 0;
  auto_free char *parent = xstrndup (path, size);
  auto_fd int source = -1;
  if (place->source_fd >= 0)
    {
      source = fs_open_beneath (place->source_fd, parent, O_PATH | O_DIRECTORY, 0, err);
      if (source < 0)
        return error_wrap (err, "%s", path);
    }
  if (fs_make_folders (place->target_fd, parent, 0755, err) != 0)
    return -1;
  auto_fd int target = fs_open_beneath (place->target_fd, parent, O_PATH | O_DIRECTORY, 0, err);
  if (target < 0)
    return -1;
  int source_fd = take_fd (&source);
  int target_fd = take_fd (&target);
  auto_fd_ (&place->parent_source_fd);
  auto_fd_ (&place->parent_target_fd);
  free (place->parent);
  place->parent = take (&parent);
  place->parent_source_fd = source_fd;
  place->parent_target_fd = target_fd;
  return 0;
}

/* ---- link ------------------------------------------------------------------------------- */

static int copy_file (struct place *place, const char *path, const char *leaf, enum place_how how,
                      int64_t *bytes, struct error *err);

/* What a failed link means: 1 for one that never works here, a copy for an inode that has all the
 * links it can. */
static int
after_failed_link (struct place *place, const char *path, const char *leaf, int code,
                   int64_t *bytes, struct error *err)
{
  if (code == EXDEV || code == EPERM || code == EOPNOTSUPP || code == ENOSYS)
    return 1;
  if (code == EMLINK)
    return copy_file (place, path, leaf, PLACE_COPY, bytes, err);
  return error_errno (err, code, "%s", path);
}

/* The file that the symbolic link PATH stands for, under the link's name. */
static int
link_target (struct place *place, const char *path, const char *leaf, int64_t *bytes,
             struct error *err)
{
  auto_fd int file = storage_open_file (place->storage, path, place->symlinks, err);
  if (file < 0)
    return -1;
  char self[64];
  (void) snprintf (self, sizeof self, "/proc/self/fd/%d", file);
  if (sys_link (AT_FDCWD, self, place->parent_target_fd, leaf, AT_SYMLINK_FOLLOW) != 0)
    {
      /* The link itself could be linked, so it is only this file that lies elsewhere. */
      int failed = after_failed_link (place, path, leaf, errno, bytes, err);
      return failed == 1 ? copy_file (place, path, leaf, PLACE_COPY, bytes, err) : failed;
    }
  struct stat status;
  if (fstat (file, &status) != 0)
    return error_errno (err, errno, "%s", path);
  *bytes += status.st_size;
  return 0;
}

static int
link_file (struct place *place, const char *path, const char *leaf, int64_t *bytes,
           struct error *err)
{
  if (sys_link (place->parent_source_fd, leaf, place->parent_target_fd, leaf, 0) != 0)
    return after_failed_link (place, path, leaf, errno, bytes, err);
  struct stat status;
  if (fstatat (place->parent_target_fd, leaf, &status, AT_SYMLINK_NOFOLLOW) != 0)
    return error_errno (err, errno, "%s", path);
  if (S_ISREG (status.st_mode))
    {
      *bytes += status.st_size;
      return 0;
    }
  if (S_ISLNK (status.st_mode) && place->storage == NULL)
    return 0;
  (void) unlinkat (place->parent_target_fd, leaf, 0);
  if (S_ISLNK (status.st_mode))
    return link_target (place, path, leaf, bytes, err);
  return error_set (err, ERROR_USER, "%s: neither a file nor a folder", path);
}

/* ---- copy ------------------------------------------------------------------------------- */

static int
copy_link (const struct place *place, const char *path, const char *leaf, struct error *err)
{
  char target[4097];
  ssize_t length = readlinkat (place->parent_source_fd, leaf, target, sizeof target - 1);
  if (length < 0)
    return error_errno (err, errno, "%s", path);
  target[length] = '\0';
  if (symlinkat (target, place->parent_target_fd, leaf) != 0)
    return error_errno (err, errno, "%s", path);
  return 0;
}

/* Opens the file PATH for reading; a symbolic link is left for copy_link (*IS_LINK) where links
 * stay links. */
static int
open_source (const struct place *place, const char *path, const char *leaf, bool *is_link,
             struct error *err)
{
  if (place->storage != NULL)
    return storage_open_file (place->storage, path, place->symlinks, err);
  int fd = openat (place->parent_source_fd, leaf, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  *is_link = fd < 0 && errno == ELOOP;
  return fd >= 0 ? fd : error_errno (err, errno, "%s", path);
}

/* Owner, mode and times as the source's: the command sees the same as it would of a link. */
static void
copy_attributes (int target, const struct stat *status)
{
  const struct timespec times[2] = { status->st_atim, status->st_mtim };
  if (fchown (target, status->st_uid, status->st_gid) != 0)
    (void) fchown (target, (uid_t) -1, status->st_gid);
  (void) fchmod (target, status->st_mode & 0777);
  (void) futimens (target, times);
}

static int
copy_file (struct place *place, const char *path, const char *leaf, enum place_how how,
           int64_t *bytes, struct error *err)
{
  bool is_link = false;
  auto_fd int source = open_source (place, path, leaf, &is_link, err);
  if (is_link)
    return copy_link (place, path, leaf, err);
  if (source < 0)
    return -1;
  struct stat status;
  if (fstat (source, &status) != 0)
    return error_errno (err, errno, "%s", path);
  if (!S_ISREG (status.st_mode))
    return error_set (err, ERROR_USER, "%s: neither a file nor a folder", path);
  auto_fd int target = openat (place->parent_target_fd, leaf,
                               O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (target < 0)
    return error_errno (err, errno, "%s", path);
  if (how == PLACE_CLONE && ioctl (target, FICLONE, source) != 0)
    return unlinkat (place->parent_target_fd, leaf, 0) == 0 ? 1
                                                            : error_errno (err, errno, "%s", path);
  if (how == PLACE_COPY && fs_copy (source, target, place->halt, err) < 0)
    return error_wrap (err, "%s", path);
  copy_attributes (target, &status);
  *bytes += status.st_size;
  return 0;
}

int
place_file (struct place *place, const char *path, enum place_how how, int64_t *bytes,
            struct error *err)
{
  const char *leaf = NULL;
  if (halt_ask (place->halt, err) != 0 || enter_parent (place, path, &leaf, err) != 0)
    return -1;
  bool link = how == PLACE_LINK || how == PLACE_LINK_OR_COPY;
  int linked = link && place->source_fd >= 0 ? link_file (place, path, leaf, bytes, err) : 1;
  if (linked != 1 || how == PLACE_LINK)
    return linked;
  return copy_file (place, path, leaf, how == PLACE_CLONE ? how : PLACE_COPY, bytes, err);
}

/* ---- folders ---------------------------------------------------------------------------- */

static bool
is_folder (int dirfd, const struct dirent *entry)
{
  if (entry->d_type != DT_UNKNOWN)
    return entry->d_type == DT_DIR;
  struct stat status;
  return fstatat (dirfd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0
         && S_ISDIR (status.st_mode);
}

static int
place_tree (struct place *place, const char *path, enum place_how how, int64_t *bytes, int depth,
            struct error *err)
{
  if (halt_ask (place->halt, err) != 0)
    return -1;
  if (depth > DEPTH_MAX)
    return error_set (err, ERROR_USER, "%s: more than %d folders deep", path, DEPTH_MAX);
  int fd = fs_open_beneath (place->source_fd, path, O_RDONLY | O_DIRECTORY, 0, err);
  if (fd < 0)
    return -1;
  auto_dir DIR *dir = fdopendir (fd);
  if (dir == NULL)
    {
      (void) close (fd);
      return error_errno (err, errno, "%s", path);
    }
  if (fs_make_folders (place->target_fd, path, 0755, err) != 0)
    return -1;
  for (;;)
    {
      errno = 0;
      const struct dirent *entry = readdir (dir);
      if (entry == NULL)
        return errno == 0 ? 0 : error_errno (err, errno, "%s", path);
      if (strcmp (entry->d_name, ".") == 0 || strcmp (entry->d_name, "..") == 0)
        continue;
      auto_free char *below =
          path[0] == '\0' ? xstrdup (entry->d_name) : xasprintf ("%s/%s", path, entry->d_name);
      int result = is_folder (fd, entry) ? place_tree (place, below, how, bytes, depth + 1, err)
                                         : place_file (place, below, how, bytes, err);
      if (result != 0)
        return result;
    }
}

int
place_folder (struct place *place, const char *path, enum place_how how, int64_t *bytes,
              struct error *err)
{
  if (place->source_fd < 0)
    return error_set (err, ERROR_USER, "%s: a folder that isn't on this machine can't be an atom",
                      path);
  struct storage *storage = place->storage;
  place->storage = NULL;
  int result = place_tree (place, path, how, bytes, 0, err);
  place->storage = storage;
  return result;
}
