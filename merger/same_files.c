#include "merger/same_files.h"

#include "common/fs.h"
#include "common/hash.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

/* Whether the inodes that reading FD's folder tells are the files' own, in each case: FUSE may tell
 * one for all, an overlay those of several file systems. */
static bool
tells_inodes (int fd)
{
  struct statfs about;
  if (fstatfs (fd, &about) != 0)
    return false;
  switch ((unsigned long) about.f_type)
    {
    case EXT4_SUPER_MAGIC:
    case XFS_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case TMPFS_MAGIC:
      return true;
    default:
      return false;
    }
}

static uint64_t
same_files_hash (const struct dirent *entry)
{
  return (hash_bytes (entry->d_name, strlen (entry->d_name)) ^ (uint64_t) entry->d_ino)
         * HASH_PRIME;
}

static bool
is_file (const struct dirent *entry)
{
  return entry->d_type == DT_REG || entry->d_type == DT_LNK;
}

void
same_files_read (struct same_files *same, int old_fd, int new_fd, const char *path)
{
  struct stat old, new;
  *same = (struct same_files){ 0 };
  auto_fd int fd = fs_open_beneath (new_fd, path, O_RDONLY | O_DIRECTORY, 0, NULL);
  if (fd < 0 || fstat (old_fd, &old) != 0 || fstat (fd, &new) != 0 || old.st_dev != new.st_dev
      || !tells_inodes (fd))
    return;
  auto_dir DIR *dir = fdopendir (fd);
  if (dir == NULL)
    return;
  (void) take_fd (&fd);
  for (const struct dirent *entry = readdir (dir); entry != NULL; entry = readdir (dir))
    if (is_file (entry))
      hashes_add (&same->new, same_files_hash (entry));
}

bool
same_files_has (const struct same_files *same, const struct dirent *entry)
{
  return is_file (entry) && hashes_has (&same->new, same_files_hash (entry));
}

void
same_files_release (struct same_files *same)
{
  hashes_release (&same->new);
}
