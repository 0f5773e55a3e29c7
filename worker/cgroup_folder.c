#include "worker/cgroup_folder.h"

#include "common/auto.h"
#include "common/memory.h"
#include "common/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum
{
  MAKE_TRIES = 100, /* each lost to somebody else's sweep */
};

/* ---- files ------------------------------------------------------------------------------ */

int
cgroup_write (int folder, const char *name, const char *text)
{
  auto_fd int fd = openat (folder, name, O_WRONLY | O_CLOEXEC);
  if (fd < 0)
    return -1;
  return write (fd, text, strlen (text)) < 0 ? -1 : 0;
}

int
cgroup_write_number (int folder, const char *name, int64_t number)
{
  char text[32];
  (void) snprintf (text, sizeof text, "%lld", (long long) number);
  return cgroup_write (folder, name, text);
}

bool
cgroup_read_text (int folder, const char *name, char *text, size_t size)
{
  auto_fd int fd = openat (folder, name, O_RDONLY | O_CLOEXEC);
  ssize_t got = fd < 0 ? -1 : read (fd, text, size - 1);
  text[got > 0 ? got : 0] = '\0';
  return got > 0;
}

/* ---- making and removing -------------------------------------------------------------- */

static int
cgroup_folder_open_parent (const char *path)
{
  if (mkdir (path, 0755) != 0 && errno != EEXIST)
    return -1;
  return open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Makes and locks it: its descriptor, -1 with errno; ESTALE: it was swept on the way. Other
 * users, those of its containers for instance, may read the files in it, but not open it: they
 * could hold the lock otherwise. */
static int
try_to_make (int parent, const char *name)
{
  if (mkdirat (parent, name, 0711) != 0)
    {
      errno = errno == EEXIST || errno == ENOENT ? ESTALE : errno;
      return -1;
    }
  auto_fd int fd = scratch_lock (parent, name);
  if (fd < 0)
    {
      errno = errno == EMFILE || errno == ENFILE || errno == ENOMEM ? errno : ESTALE;
      return -1;
    }
  return take_fd (&fd);
}

int
cgroup_folder_make (struct cgroup_folder *folder, const char *parent, const char *name)
{
  for (int i = 0; i < MAKE_TRIES; i++)
    {
      auto_fd int parent_fd = cgroup_folder_open_parent (parent);
      if (parent_fd < 0)
        return -1;
      folder->fd = try_to_make (parent_fd, name);
      if (folder->fd < 0 && errno == ESTALE)
        {
          (void) poll (NULL, 0, i / 10);
          continue;
        }
      if (folder->fd >= 0)
        folder->path = xasprintf ("%s/%s", parent, name);
      return folder->fd < 0 ? -1 : 0;
    }
  errno = ESTALE;
  return -1;
}

void
cgroup_folder_remove (struct cgroup_folder *folder)
{
  if (folder->fd < 0)
    return;
  (void) rmdir (folder->path);
  free (folder->path);
  auto_fd_ (&folder->fd);
  *folder = (struct cgroup_folder) CGROUP_FOLDER_INIT;
}

/* ---- sweeping --------------------------------------------------------------------------- */

/* Whether NAME is a dead slot's that can't be removed yet. */
static bool
is_dying (int parent, const char *name)
{
  auto_fd int fd = scratch_lock (parent, name);
  return fd >= 0 && unlinkat (parent, name, AT_REMOVEDIR) != 0 && errno == EBUSY;
}

int
cgroup_folder_sweep (const char *parent)
{
  auto_dir DIR *dir = opendir (parent);
  int dying = 0;
  for (const struct dirent *entry = dir == NULL ? NULL : readdir (dir); entry != NULL;
       entry = readdir (dir))
    if (entry->d_type == DT_DIR
        && strncmp (entry->d_name, CGROUP_SLOT_PREFIX, strlen (CGROUP_SLOT_PREFIX)) == 0)
      dying += is_dying (dirfd (dir), entry->d_name) ? 1 : 0;
  return dying;
}
