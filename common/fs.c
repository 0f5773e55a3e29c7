#include "common/fs.h"

#include "common/memory.h"
#include "common/sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

enum
{
  COPY_CHUNK = 1 << 20,
  COPY_ASK = 16 << 20, /* bytes that the kernel copies between two questions */
  REMOVE_DEPTH = 100,  /* levels of a tree that are open at once while it is removed */
  FD_NAME_SIZE = 32,
};

int
fs_openat2 (int dirfd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
  const struct open_how how = {
    .flags = (unsigned long long) (flags | O_CLOEXEC),
    .mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? mode : 0,
    .resolve = resolve,
  };
  for (;;)
    {
      int fd = (int) syscall (SYS_openat2, dirfd, path, &how, sizeof how);
      if (fd >= 0 || (errno != EINTR && errno != EAGAIN))
        return fd;
    }
}

static void
name_of_fd (int fd, char name[static FD_NAME_SIZE])
{
  (void) snprintf (name, FD_NAME_SIZE, "/proc/self/fd/%d", fd);
}

int
fs_reopen (int fd)
{
  char name[FD_NAME_SIZE];
  name_of_fd (fd, name);
  return open (name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

int
fs_path_of (int fd, char path[static PATH_MAX], struct error *err)
{
  char name[FD_NAME_SIZE];
  name_of_fd (fd, name);
  ssize_t length = readlink (name, path, PATH_MAX);
  if (length < 0 || length == PATH_MAX)
    return error_errno (err, length < 0 ? errno : ENAMETOOLONG, "%s", name);
  path[length] = '\0';
  return path[0] == '/' ? 0 : error_errno (err, ENOENT, "%s", name);
}

static int
open_beneath (int dirfd, const char *path, int flags, mode_t mode)
{
  return fs_openat2 (dirfd, path[0] == '\0' ? "." : path, flags, mode,
                     RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

int
fs_open_beneath (int dirfd, const char *path, int flags, mode_t mode, struct error *err)
{
  int fd = open_beneath (dirfd, path, flags, mode);
  return fd >= 0 ? fd : error_errno (err, errno, "%s", path);
}

int
fs_open_parent (int dirfd, const char *path, const char **leaf, struct error *err)
{
  const char *slash = strrchr (path, '/');
  auto_free char *above = xstrndup (path, slash == NULL ? 0 : (size_t) (slash - path));
  *leaf = slash == NULL ? path : slash + 1;
  return fs_open_beneath (dirfd, above, O_PATH | O_DIRECTORY, 0, err);
}

int
fs_open_folder (int dirfd, const char *path, struct error *err)
{
  int fd = openat (dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return fd >= 0 ? fd : error_errno (err, errno, "%s", path);
}

int
fs_make_folders (int dirfd, const char *path, mode_t mode, struct error *err)
{
  auto_fd int at = open_beneath (dirfd, ".", O_PATH | O_DIRECTORY, 0);
  if (at < 0)
    return error_errno (err, errno, "%s", path);
  auto_free char *copy = xstrdup (path);
  char *rest = copy;
  for (char *name = strsep (&rest, "/"); name != NULL; name = strsep (&rest, "/"))
    {
      if (name[0] == '\0' || strcmp (name, ".") == 0)
        continue;
      if (sys_mkdir (at, name, mode) != 0 && errno != EEXIST)
        return error_errno (err, errno, "%s: making folder %s", path, name);
      int below = open_beneath (at, name, O_PATH | O_DIRECTORY, 0);
      if (below < 0)
        return error_errno (err, errno, "%s: folder %s", path, name);
      (void) close (at);
      at = below;
    }
  return 0;
}

int
fs_make_path (const char *path, mode_t mode, struct error *err)
{
  auto_free char *copy = xstrdup (path);
  for (char *slash = strchr (copy + 1, '/');; slash = strchr (slash + 1, '/'))
    {
      if (slash != NULL)
        *slash = '\0';
      if (copy[0] != '\0' && sys_mkdir (AT_FDCWD, copy, mode) != 0 && errno != EEXIST)
        return error_errno (err, errno, "%s", copy);
      if (slash == NULL)
        break;
      *slash = '/';
    }
  struct stat status;
  if (stat (path, &status) != 0)
    return error_errno (err, errno, "%s", path);
  return S_ISDIR (status.st_mode) ? 0 : error_errno (err, ENOTDIR, "%s", path);
}

/* One removal. No descriptor is held per level: what lies deeper than REMOVE_DEPTH moves up to
 * where it began. */
struct removal
{
  int top;            /* the folder that is removed */
  unsigned int moved; /* how many came up so far */
};

/* Opens the folder NAME. Below the top nothing is entered that is mounted there: that isn't ours to
 * remove. */
static int
open_doomed (int dirfd, const char *name, unsigned int depth)
{
  uint64_t resolve = depth == 0 ? 0 : RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
  int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  int fd = fs_openat2 (dirfd, name, flags, 0, resolve);
  if (fd >= 0 || errno != EACCES)
    return fd;
  (void) fchmodat (dirfd, name, 0700, AT_SYMLINK_NOFOLLOW);
  return fs_openat2 (dirfd, name, flags, 0, resolve);
}

static int
fs_move_up (struct removal *removal, int dirfd, const char *name)
{
  char up[64];
  do
    (void) snprintf (up, sizeof up, ".shoal-removed-%u", removal->moved++);
  while (renameat2 (dirfd, name, removal->top, up, RENAME_NOREPLACE) != 0 && errno == EEXIST);
  return faccessat (removal->top, up, F_OK, AT_SYMLINK_NOFOLLOW);
}

static int remove_folder (struct removal *removal, int dirfd, const char *name, unsigned int depth);

static int
remove_entry (struct removal *removal, int dirfd, const char *name, unsigned int depth)
{
  if (unlinkat (dirfd, name, 0) == 0 || errno == ENOENT)
    return 0;
  if (errno == EACCES && fchmod (dirfd, 0700) == 0 && unlinkat (dirfd, name, 0) == 0)
    return 0;
  if (errno != EISDIR && errno != EPERM)
    return -1;
  if (depth == REMOVE_DEPTH)
    return fs_move_up (removal, dirfd, name);
  return remove_folder (removal, dirfd, name, depth + 1);
}

/* Empties the folder NAME of DIRFD and removes it. */
static int
remove_folder (struct removal *removal, int dirfd, const char *name, unsigned int depth)
{
  int fd = open_doomed (dirfd, name, depth);
  if (fd < 0)
    return errno == ENOENT ? 0 : -1;
  auto_dir DIR *dir = fdopendir (fd);
  if (dir == NULL)
    {
      (void) close (fd);
      return -1;
    }
  if (depth == 0)
    removal->top = fd;
  for (;;)
    {
      unsigned int moved = removal->moved;
      errno = 0;
      for (const struct dirent *entry = readdir (dir); entry != NULL; entry = readdir (dir))
        {
          if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0
              && remove_entry (removal, fd, entry->d_name, depth) != 0)
            return -1;
          errno = 0;
        }
      if (errno != 0)
        return -1;
      if (depth > 0 || moved == removal->moved)
        break;
      rewinddir (dir); /* there are folders that came up meanwhile */
    }
  return unlinkat (dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -1;
}

int
fs_remove_tree (int dirfd, const char *path, struct error *err)
{
  struct removal removal = { .top = -1 };
  if (unlinkat (dirfd, path, 0) == 0 || errno == ENOENT)
    return 0;
  if (remove_folder (&removal, dirfd, path, 0) == 0)
    return 0;
  return error_errno (err, errno, "removing %s", path);
}

int
fs_write_all (int fd, const void *bytes, size_t n, const char *name, struct error *err)
{
  const char *at = bytes;
  while (n > 0)
    {
      ssize_t written = sys_write (fd, at, n);
      if (written < 0 && errno == EINTR)
        continue;
      if (written < 0)
        return error_errno (err, errno, "writing %s", name);
      at += written;
      n -= (size_t) written;
    }
  return 0;
}

int
fs_read_at (int fd, struct buffer *buffer, size_t n, int64_t offset, const char *what,
            struct error *err)
{
  char *at = buffer_reserve (buffer, n);
  for (size_t done = 0; done < n;)
    {
      ssize_t got = pread (fd, at + done, n - done, offset + (off_t) done);
      if (got < 0 && errno == EINTR)
        continue;
      if (got <= 0)
        return error_errno (err, got == 0 ? EIO : errno, "%s", what);
      done += (size_t) got;
      buffer->size += (size_t) got;
    }
  return 0;
}

int
fs_write_file (int dirfd, const char *path, struct bytes content, struct error *err)
{
  auto_free char *temporary = xasprintf ("%s.%d.tmp", path, (int) gettid ());
  auto_fd int fd = openat (dirfd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0)
    return error_errno (err, errno, "%s", temporary);
  if (fs_write_all (fd, content.data, content.size, path, err) != 0)
    goto failed;
  if (sys_fsync (fd) != 0)
    {
      (void) error_errno (err, errno, "fsync of %s", path);
      goto failed;
    }
  if (sys_rename (dirfd, temporary, dirfd, path, 0) == 0)
    return 0;
  (void) error_errno (err, errno, "renaming %s to %s", temporary, path);
failed:
  (void) unlinkat (dirfd, temporary, 0);
  return -1;
}

int
fs_read_file (int dirfd, const char *path, size_t limit, struct buffer *buffer, struct error *err)
{
  auto_fd int fd = openat (dirfd, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return error_errno (err, errno, "%s", path);
  size_t start = buffer->size;
  for (;;)
    {
      char *end = buffer_reserve (buffer, 65536);
      ssize_t got = read (fd, end, 65536);
      if (got < 0 && errno == EINTR)
        continue;
      if (got < 0)
        return error_errno (err, errno, "reading %s", path);
      buffer->size += (size_t) got;
      buffer->data[buffer->size] = '\0'; /* of an empty file, too */
      if (got == 0)
        return 0;
      if (buffer->size - start > limit)
        return error_set (err, ERROR_USER, "%s: larger than %zu bytes", path, limit);
    }
}

static int64_t
copy_by_hand (int source, int target, int64_t copied, const struct halt *halt, struct error *err)
{
  auto_free char *chunk = xcalloc (1, COPY_CHUNK);
  for (;;)
    {
      if (halt_check (halt, err) != 0)
        return -1;
      ssize_t got = read (source, chunk, COPY_CHUNK);
      if (got < 0 && errno == EINTR)
        continue;
      if (got < 0)
        return error_errno (err, errno, "copy: reading");
      if (got == 0)
        return copied;
      if (fs_write_all (target, chunk, (size_t) got, "the copy", err) != 0)
        return -1;
      copied += got;
    }
}

/* At most LIMIT bytes. */
static int64_t
append (int source, int target, int64_t limit, const struct halt *halt, struct error *err)
{
  int64_t copied = 0;
  while (copied < limit)
    {
      int64_t most = halt == NULL ? (int64_t) 1 << 30 : COPY_ASK;
      int64_t left = limit - copied < most ? limit - copied : most;
      if (halt_check (halt, err) != 0)
        return -1;
      ssize_t sent = sendfile (target, source, NULL, (size_t) left);
      if (sent > 0)
        copied += sent;
      else if (sent == 0)
        break;
      else if (limit == INT64_MAX && (errno == EINVAL || errno == ENOSYS))
        return copy_by_hand (source, target, copied, halt, err);
      else if (errno != EINTR)
        return error_errno (err, errno, "copy");
    }
  return copied;
}

/* The same holes and data, up to SIZE: a disk may not have the room for zeros. */
static int64_t
copy_sparse (int source, int target, int64_t size, const struct halt *halt, struct error *err)
{
  for (int64_t at = 0; at < size;)
    {
      int64_t data = lseek (source, at, SEEK_DATA);
      if (data < 0 && errno == ENXIO)
        break;
      int64_t hole = data < 0 ? -1 : lseek (source, data, SEEK_HOLE);
      if (hole < 0 || lseek (source, data, SEEK_SET) != data
          || lseek (target, data, SEEK_SET) != data)
        return error_errno (err, errno, "copy: looking for holes");
      if (append (source, target, hole - data, halt, err) < 0)
        return -1;
      at = hole;
    }
  struct stat status;
  if (fstat (target, &status) != 0 || (status.st_size < size && ftruncate (target, size) != 0))
    return error_errno (err, errno, "copy");
  return status.st_size < size ? size : status.st_size;
}

int64_t
fs_append (int source, int target, struct error *err)
{
  return append (source, target, INT64_MAX, NULL, err);
}

int64_t
fs_copy (int source, int target, const struct halt *halt, struct error *err)
{
  struct stat status;
  if (fstat (source, &status) != 0)
    return error_errno (err, errno, "copy");
  if (ioctl (target, FICLONE, source) == 0)
    return status.st_size;
  bool sparse = S_ISREG (status.st_mode) && status.st_blocks * 512 < status.st_size
                && lseek (source, 0, SEEK_HOLE) >= 0 && lseek (source, 0, SEEK_SET) == 0;
  return sparse ? copy_sparse (source, target, status.st_size, halt, err)
                : append (source, target, INT64_MAX, halt, err);
}

static int
copy_link (int old_dirfd, const char *old_path, int new_dirfd, const char *new_path,
           struct error *err)
{
  char target[4097];
  ssize_t length = readlinkat (old_dirfd, old_path, target, sizeof target - 1);
  if (length < 0)
    return error_errno (err, errno, "%s", old_path);
  target[length] = '\0';
  if (symlinkat (target, new_dirfd, new_path) != 0)
    return error_errno (err, errno, "%s", new_path);
  return 0;
}

int
fs_link_or_copy (int old_dirfd, const char *old_path, int new_dirfd, const char *new_path,
                 struct error *err)
{
  if (sys_link (old_dirfd, old_path, new_dirfd, new_path, 0) == 0)
    return 0;
  if (errno != EXDEV && errno != EPERM && errno != EMLINK && errno != EOPNOTSUPP)
    return error_errno (err, errno, "linking %s to %s", old_path, new_path);
  struct stat status;
  if (fstatat (old_dirfd, old_path, &status, AT_SYMLINK_NOFOLLOW) != 0)
    return error_errno (err, errno, "%s", old_path);
  if (S_ISLNK (status.st_mode))
    return copy_link (old_dirfd, old_path, new_dirfd, new_path, err);
  auto_fd int source = openat (old_dirfd, old_path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (source < 0 || fstat (source, &status) != 0)
    return error_errno (err, errno, "%s", old_path);
  if (!S_ISREG (status.st_mode))
    return error_set (err, ERROR_USER, "%s: neither a file nor a folder", old_path);
  auto_fd int target = openat (new_dirfd, new_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (target < 0)
    return error_errno (err, errno, "%s", new_path);
  if (fs_copy (source, target, NULL, err) < 0)
    {
      (void) unlinkat (new_dirfd, new_path, 0);
      return error_wrap (err, "%s", new_path);
    }
  const struct timespec times[2] = { status.st_atim, status.st_mtim };
  (void) fchmod (target, status.st_mode & 0777); /* a copy lends nobody's rights */
  (void) futimens (target, times);
  return 0;
}

int
fs_sync_folder (int dirfd, struct error *err)
{
  if (sys_fsync (dirfd) == 0 || errno == EINVAL)
    return 0;
  return error_errno (err, errno, "fsync of a folder");
}

int64_t
fs_mtime_ns (const struct stat *status)
{
  const int64_t second = 1000000000, most = INT64_MAX / second - 1;
  int64_t seconds = status->st_mtim.tv_sec;
  seconds = seconds > most ? most : seconds < -most ? -most : seconds;
  int64_t time = seconds * second + status->st_mtim.tv_nsec;
  return time == -1 ? 0 : time;
}

bool
fs_exists (int dirfd, const char *path)
{
  struct stat status;
  return fstatat (dirfd, path, &status, AT_SYMLINK_NOFOLLOW) == 0;
}
