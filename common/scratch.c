#include "common/scratch.h"

#include "common/auto.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/sys.h"
#include "common/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

enum
{
  LOCK_TRIES = 10,
  REMOVE_TRIES = 60, /* a second: processes that were just killed may still write there */
  REMOVE_PAUSE_MS = 20,
};

void
scratch_remove (int dirfd, const char *name)
{
  struct error err = ERROR_INIT;
  int removed = fs_remove_tree (dirfd, name, &err);
  for (int i = 0; removed != 0 && err.code == ENOTEMPTY && i < REMOVE_TRIES; i++)
    {
      (void) poll (NULL, 0, i < REMOVE_PAUSE_MS ? i : REMOVE_PAUSE_MS);
      removed = fs_remove_tree (dirfd, name, &err);
    }
  if (removed == 0)
    return;
  auto_free char *text = text_log (err.message);
  auto_free char *folder = text_log (name);
  log_warn ("remove_failed", "folder=%s error=%s", folder, text);
}

int
scratch_lock (int dirfd, const char *name)
{
  auto_fd int fd = openat (dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  struct stat opened;
  struct stat named;
  if (fd < 0 || flock (fd, LOCK_EX | LOCK_NB) != 0 || fstat (fd, &opened) != 0
      || fstatat (dirfd, name, &named, AT_SYMLINK_NOFOLLOW) != 0 || opened.st_ino != named.st_ino)
    return -1;
  return take_fd (&fd);
}

static bool
remove_dead (int dirfd, const char *name)
{
  auto_fd int lock = scratch_lock (dirfd, name);
  if (lock < 0)
    return false;
  scratch_remove (dirfd, name);
  return true;
}

int
scratch_make (int dirfd, const char *name, mode_t mode, struct error *err)
{
  /* Between making and locking a sweep may take it for a dead one's: then once more. */
  for (int i = 0; i < LOCK_TRIES; i++)
    {
      if (sys_mkdir (dirfd, name, mode) != 0)
        {
          if (errno != EEXIST)
            return error_errno (err, errno, "making folder %s", name);
          (void) remove_dead (dirfd, name);
          continue;
        }
      int fd = scratch_lock (dirfd, name);
      if (fd >= 0)
        return fd;
    }
  return error_set (err, ERROR_TRANSIENT, "%s: in use by another process", name);
}

int
scratch_sweep (int dirfd, const char *prefix, const char *suffix)
{
  int copy = openat (dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  auto_dir DIR *dir = copy < 0 ? NULL : fdopendir (copy);
  if (dir == NULL)
    return 0;
  int swept = 0;
  for (const struct dirent *entry = readdir (dir); entry != NULL; entry = readdir (dir))
    if (entry->d_name[0] != '.' && strncmp (entry->d_name, prefix, strlen (prefix)) == 0
        && text_ends_in (entry->d_name, strlen (entry->d_name), suffix))
      swept += remove_dead (dirfd, entry->d_name) ? 1 : 0;
  return swept;
}

int
scratch_sweep_ours (int dirfd, bool (*is_ours) (const char *name))
{
  int copy = openat (dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  auto_dir DIR *dir = copy < 0 ? NULL : fdopendir (copy);
  if (dir == NULL)
    return 0;
  int swept = 0;
  for (const struct dirent *entry = readdir (dir); entry != NULL; entry = readdir (dir))
    if (is_ours (entry->d_name))
      swept += remove_dead (dirfd, entry->d_name) ? 1 : 0;
  return swept;
}
