#include "worker/place.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/sys.h"
#include "storage/local_pin.h"
#include "worker/place_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

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

static int
open_source_folder (const struct place *place, const char *path, struct error *err)
{
  if (place->storage != NULL && place->symlinks == SYMLINKS_FOLLOW)
    return storage_open_folder (place->storage, path, SYMLINKS_FOLLOW, err);
  return fs_open_beneath (place->source_fd, path, O_PATH | O_DIRECTORY, 0, err);
}

/* Makes the folder PATH the current one, with its source or without. */
static int
enter_folder (struct place *place, const char *path, bool with_source, struct error *err)
{
  if (place->parent != NULL && strcmp (place->parent, path) == 0
      && (place->parent_source_fd >= 0) == with_source)
    return 0;
  auto_fd int source = -1;
  if (with_source)
    {
      source = open_source_folder (place, path, err);
      if (source < 0)
        return error_wrap (err, "%s", path);
    }
  if (fs_make_folders (place->target_fd, path, 0755, err) != 0)
    return -1;
  auto_fd int target = fs_open_beneath (place->target_fd, path, O_PATH | O_DIRECTORY, 0, err);
  if (target < 0)
    return -1;
  int source_fd = take_fd (&source);
  int target_fd = take_fd (&target);
  auto_fd_ (&place->parent_source_fd);
  auto_fd_ (&place->parent_target_fd);
  free (place->parent);
  place->parent = xstrdup (path);
  place->parent_source_fd = source_fd;
  place->parent_target_fd = target_fd;
  return 0;
}

int
place_enter (struct place *place, const char *path, struct error *err)
{
  return enter_folder (place, path, false, err);
}

/* Makes PATH's folder the current one; its last component comes back in *LEAF. */
static int
enter_parent (struct place *place, const char *path, const char **leaf, struct error *err)
{
  const char *slash = strrchr (path, '/');
  size_t size = slash == NULL ? 0 : (size_t) (slash - path);
  *leaf = slash == NULL ? path : slash + 1;
  auto_free char *parent = xstrndup (path, size);
  if (enter_folder (place, parent, place->source_fd >= 0, err) == 0)
    return 0;
  return error_wrap (err, "%s", path);
}

/* ---- copy ------------------------------------------------------------------------------- */

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
copy_from (const struct place *place, int source, const char *path, const char *leaf,
           enum place_how how, int64_t *bytes, struct error *err)
{
  struct stat status;
  if (fstat (source, &status) != 0)
    return error_errno (err, errno, "%s", path);
  if (!S_ISREG (status.st_mode))
    return error_set (err, ERROR_USER, "%s: neither a file nor a folder", path);
  if (local_pin_check (place->pin, &status, path, err) != 0)
    return -1;
  auto_fd int target = openat (place->parent_target_fd, leaf,
                               O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (target < 0)
    return error_errno (err, errno, "%s", path);
  if (how == PLACE_CLONE && ioctl (target, FICLONE, source) != 0)
    return unlinkat (place->parent_target_fd, leaf, 0) == 0 ? 1
                                                            : error_errno (err, errno, "%s", path);
  if (how == PLACE_COPY && fs_copy (source, target, place->halt, err) < 0)
    return error_wrap (err, "%s", path);
  if (fstat (source, &status) != 0)
    return error_errno (err, errno, "%s", path);
  if (local_pin_check (place->pin, &status, path, err) != 0)
    return -1;
  copy_attributes (target, &status);
  *bytes += status.st_size;
  return 0;
}

static int
copy_file (const struct place *place, const char *path, const char *leaf, enum place_how how,
           int64_t *bytes, struct error *err)
{
  auto_fd int source = storage_open_file (place->storage, path, place->symlinks, err);
  return source < 0 ? -1 : copy_from (place, source, path, leaf, how, bytes, err);
}

int
place_open_copy (struct place *place, int fd, const char *path, const char *name, int64_t *bytes,
                 struct error *err)
{
  auto_fd int source = fs_reopen (fd);
  if (source < 0)
    return error_errno (err, errno, "%s", path);
  return copy_from (place, source, path, name, PLACE_COPY, bytes, err);
}

int
place_copy_link (const struct place *place, int source_fd, const char *path, const char *name,
                 struct error *err)
{
  char target[4097];
  ssize_t length = readlinkat (source_fd, name, target, sizeof target - 1);
  if (length < 0)
    return error_errno (err, errno, "%s", path);
  target[length] = '\0';
  if (symlinkat (target, place->parent_target_fd, name) != 0)
    return error_errno (err, errno, "%s", path);
  return 0;
}

/* ---- link ------------------------------------------------------------------------------- */

/* Whether a link that failed so never works between these two places. */
static bool
is_impossible (int code)
{
  return code == EXDEV || code == EPERM || code == EOPNOTSUPP || code == ENOSYS;
}

/* An inode that has all the links it can is copied. */
int
place_open_link (struct place *place, int fd, const char *path, const char *name, int64_t *bytes,
                 struct error *err)
{
  char self[64];
  struct stat status;
  (void) snprintf (self, sizeof self, "/proc/self/fd/%d", fd);
  if (fstat (fd, &status) != 0)
    return error_errno (err, errno, "%s", path);
  if (local_pin_check (place->pin, &status, path, err) != 0)
    return -1;
  if (sys_link (AT_FDCWD, self, place->parent_target_fd, name, AT_SYMLINK_FOLLOW) != 0)
    {
      if (is_impossible (errno))
        return 1;
      return errno == EMLINK ? place_open_copy (place, fd, path, name, bytes, err)
                             : error_errno (err, errno, "%s", path);
    }
  *bytes += status.st_size;
  return 0;
}

/* The file that the symbolic link PATH stands for, under the link's name. The link itself could be
 * linked, so it is only this file that may lie elsewhere. */
static int
link_target (struct place *place, const char *path, const char *leaf, int64_t *bytes,
             struct error *err)
{
  auto_fd int file = storage_open_file (place->storage, path, place->symlinks, err);
  if (file < 0)
    return -1;
  int linked = place_open_link (place, file, path, leaf, bytes, err);
  return linked == 1 ? copy_from (place, file, path, leaf, PLACE_COPY, bytes, err) : linked;
}

static int
link_file (struct place *place, const char *path, const char *leaf, int64_t *bytes,
           struct error *err)
{
  if (sys_link (place->parent_source_fd, leaf, place->parent_target_fd, leaf, 0) != 0)
    {
      if (is_impossible (errno))
        return 1;
      return errno == EMLINK ? copy_file (place, path, leaf, PLACE_COPY, bytes, err)
                             : error_errno (err, errno, "%s", path);
    }
  struct stat status;
  if (fstatat (place->parent_target_fd, leaf, &status, AT_SYMLINK_NOFOLLOW) != 0)
    return error_errno (err, errno, "%s", path);
  if (S_ISREG (status.st_mode))
    {
      *bytes += status.st_size;
      return local_pin_check (place->pin, &status, path, err);
    }
  (void) unlinkat (place->parent_target_fd, leaf, 0);
  if (S_ISLNK (status.st_mode))
    return link_target (place, path, leaf, bytes, err);
  return error_set (err, ERROR_USER, "%s: neither a file nor a folder", path);
}

/* ---- files ------------------------------------------------------------------------------ */

int
place_file (struct place *place, const char *path, enum place_how how, int64_t *bytes,
            struct error *err)
{
  const char *leaf = NULL;
  if (halt_check (place->halt, err) != 0 || enter_parent (place, path, &leaf, err) != 0)
    return -1;
  bool link = how == PLACE_LINK || how == PLACE_LINK_OR_COPY;
  int linked = link && place->source_fd >= 0 ? link_file (place, path, leaf, bytes, err) : 1;
  if (linked != 1 || how == PLACE_LINK)
    return linked;
  return copy_file (place, path, leaf, how == PLACE_CLONE ? how : PLACE_COPY, bytes, err);
}
