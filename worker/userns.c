#include "worker/userns.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/path.h"
#include "common/units.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SUBORDINATE_USER "shoal"

/* ---- which users ------------------------------------------------------------------------ */

/* The line "shoal:FIRST:COUNT" of subuid(5); false when FILE has none that is large enough. */
static bool
userns_read_range (const char *file, uint32_t *first, uint32_t *count)
{
  char line[256];
  auto_file FILE *stream = fopen (file, "re");
  while (stream != NULL && fgets (line, sizeof line, stream) != NULL)
    if (sscanf (line, SUBORDINATE_USER ":%u:%u", first, count) == 2 && *first > 0
        && *count >= USERNS_COUNT_MIN && *first <= UINT32_MAX - *count)
      return true;
  return false;
}

int
userns_find (const char *uid_file, const char *gid_file, struct userns_ids *ids)
{
  uint32_t gids = 0;
  *ids = (struct userns_ids){ 0 };
  if (!userns_read_range (uid_file, &ids->first_uid, &ids->count)
      || !userns_read_range (gid_file, &ids->first_gid, &gids))
    ids->count = 0;
  else if (gids < ids->count)
    ids->count = gids;
  return 0;
}

int
userns_check (const char *choice, bool rootless, bool crun, struct error *err)
{
  if (choice == NULL || strchr (choice, ':') == NULL || (crun && !rootless))
    return 0;
  return error_set (err, ERROR_USER, "%s: %s", choice,
                    rootless ? "ranges are for root; an ordinary user's containers have a user "
                               "namespace of that user's own range"
                             : "needs crun: runc doesn't map the owners of mounted files");
}

int
userns_choose (const char *choice, struct userns_ids *ids, struct error *err)
{
  *ids = (struct userns_ids){ 0 };
  if (choice == NULL || strcmp (choice, "auto") == 0)
    return userns_find ("/etc/subuid", "/etc/subgid", ids);
  if (strcmp (choice, "none") == 0)
    return 0;
  const char *colon = strchr (choice, ':');
  auto_free char *before = xstrndup (choice, colon == NULL ? 0 : (size_t) (colon - choice));
  int64_t first = 0;
  int64_t count = 0;
  if (colon == NULL || units_parse_number (before, 1, UINT32_MAX, &first, NULL) != 0
      || units_parse_number (colon + 1, USERNS_COUNT_MIN, UINT32_MAX - first, &count, NULL) != 0)
    return error_set (err, ERROR_USER,
                      "\"%s\": expected auto, none, or FIRST:COUNT with a COUNT of %d or more",
                      choice, USERNS_COUNT_MIN);
  ids->first_uid = ids->first_gid = (uint32_t) first;
  ids->count = (uint32_t) count;
  return 0;
}

/* ---- the namespace ---------------------------------------------------------------------- */

static int
userns_write_map (pid_t pid, const char *name, uint32_t first, uint32_t count, struct error *err)
{
  char path[64];
  char map[64];
  (void) snprintf (path, sizeof path, "/proc/%d/%s", (int) pid, name);
  int size = snprintf (map, sizeof map, "0 %u %u\n", first, count);
  auto_fd int fd = open (path, O_WRONLY | O_CLOEXEC);
  if (fd < 0)
    return error_errno (err, errno, "%s", path);
  return fs_write_all (fd, map, (size_t) size, path, err);
}

/* A process in a new namespace, for its maps to be written; the caller kills it. */
static pid_t
userns_start_holder (int read_end, int *write_end, struct error *err)
{
  pid_t pid = fork ();
  if (pid == 0)
    {
      char byte = 0;
      (void) prctl (PR_SET_PDEATHSIG, SIGKILL);
      byte = unshare (CLONE_NEWUSER) == 0 ? 1 : 0;
      (void) !write (*write_end, &byte, 1);
      (void) pause ();
      _exit (0);
    }
  auto_fd_ (write_end);
  *write_end = -1;
  char made = 0;
  if (pid > 0 && read (read_end, &made, 1) == 1 && made == 1)
    return pid;
  int code = errno;
  if (pid > 0)
    {
      (void) kill (pid, SIGKILL);
      (void) waitpid (pid, NULL, 0);
    }
  return error_errno (err, pid > 0 ? EPERM : code, "making a user namespace");
}

int
userns_open (const struct userns_ids *ids, struct error *err)
{
  int ends[2];
  if (pipe2 (ends, O_CLOEXEC) != 0)
    return error_errno (err, errno, "pipe");
  auto_fd int read_end = ends[0];
  auto_fd int write_end = ends[1];
  pid_t pid = userns_start_holder (read_end, &write_end, err);
  if (pid < 0)
    return -1;
  char path[64];
  (void) snprintf (path, sizeof path, "/proc/%d/ns/user", (int) pid);
  int fd = -1;
  if (userns_write_map (pid, "uid_map", ids->first_uid, ids->count, err) == 0
      && userns_write_map (pid, "gid_map", ids->first_gid, ids->count, err) == 0)
    {
      fd = open (path, O_RDONLY | O_CLOEXEC);
      if (fd < 0)
        (void) error_errno (err, errno, "%s", path);
    }
  (void) kill (pid, SIGKILL);
  (void) waitpid (pid, NULL, 0);
  return fd;
}

/* ---- files ------------------------------------------------------------------------------ */

int
userns_map (int userns_fd, int source_fd, const char *what, struct error *err)
{
  struct mount_attr attributes = { .attr_set = MOUNT_ATTR_IDMAP,
                                   .userns_fd = (unsigned int) userns_fd };
  auto_fd int tree = open_tree (source_fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (tree >= 0 && mount_setattr (tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0)
    return take_fd (&tree);
  (void) error_errno (
      err, errno,
      "%s: its file system does not support id-mapped mounts; use a worker with --userns none",
      what);
  if (err != NULL)
    err->class = ERROR_TRANSIENT;
  return -1;
}

/* A mount strictly below PATH, the caller frees; NULL when there is none. */
static char *
userns_find_below (const char *path)
{
  FILE *mounts = setmntent ("/proc/thread-self/mounts", "re");
  char *found = NULL;
  struct mntent entry;
  char text[8192];
  while (mounts != NULL && found == NULL && getmntent_r (mounts, &entry, text, sizeof text) != NULL)
    {
      const char *rest = path_below (entry.mnt_dir, path);
      if (rest != NULL && rest[0] != '\0')
        found = xstrdup (entry.mnt_dir);
    }
  if (mounts != NULL)
    (void) endmntent (mounts);
  return found;
}

int
userns_check_alone (int source_fd, const char *what, struct error *err)
{
  char link[64];
  char path[4096];
  (void) snprintf (link, sizeof link, "/proc/self/fd/%d", source_fd);
  ssize_t length = readlink (link, path, sizeof path - 1);
  if (length < 0)
    return error_errno (err, errno, "%s", what);
  path[length] = '\0';
  auto_free char *below = userns_find_below (path);
  if (below == NULL)
    return 0;
  return error_set (err, ERROR_TRANSIENT,
                    "%s: %s is mounted below it and does not support id-mapped mounts; use a "
                    "worker with --userns none",
                    what, below);
}

static int
userns_give_entry (const struct userns_ids *ids, int dirfd, const char *name)
{
  struct stat status;
  if (fstatat (dirfd, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
    return -1;
  /* A change of owner takes set-id bits away. */
  if (fchownat (dirfd, name, ids->first_uid + status.st_uid % ids->count,
                ids->first_gid + status.st_gid % ids->count, AT_SYMLINK_NOFOLLOW)
      != 0)
    return -1;
  return fchmodat (dirfd, name, status.st_mode & 07777, 0);
}

/* The tree is one of folders and files that we made: it has a few entries and no links. */
static int
userns_give_below (const struct userns_ids *ids, int folder_fd)
{
  int fd = openat (folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  auto_dir DIR *dir = fd < 0 ? NULL : fdopendir (fd);
  if (dir == NULL)
    return -1;
  for (const struct dirent *entry = readdir (dir); entry != NULL; entry = readdir (dir))
    {
      if (strcmp (entry->d_name, ".") == 0 || strcmp (entry->d_name, "..") == 0)
        continue;
      auto_fd int below = openat (fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      if ((below >= 0 && userns_give_below (ids, below) != 0)
          || userns_give_entry (ids, fd, entry->d_name) != 0)
        return -1;
    }
  return 0;
}

int
userns_give (const struct userns_ids *ids, int folder_fd, struct error *err)
{
  if (userns_give_below (ids, folder_fd) == 0 && userns_give_entry (ids, folder_fd, ".") == 0)
    return 0;
  return error_errno (err, errno, "giving the root file system to a user namespace");
}

int
userns_check_user (const struct userns *userns, const struct image_user *user, struct error *err)
{
  bool fits = userns->fd < 0 || (user->uid < userns->ids.count && user->gid < userns->ids.count);
  for (size_t i = 0; userns->fd >= 0 && i < user->group_count; i++)
    fits = fits && user->groups[i] < userns->ids.count;
  if (fits)
    return 0;
  return error_set (err, ERROR_TRANSIENT,
                    "user %u:%u: containers of this worker have users and groups 0 to %u; use a "
                    "larger range, or --userns none",
                    user->uid, user->gid, userns->ids.count - 1);
}
