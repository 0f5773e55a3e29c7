#include "worker/pod_folder.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/strlist.h"
#include "common/sys.h"
#include "worker/place.h"
#include "worker/pod_link.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define POD_FOLDER_USED ".used" /* in FOLDER: the names of those that got contents */

/* Where one of the container's mounts is. */
struct pod_mount
{
  const char *share; /* the folder in FOLDER; NULL: the pod has the very same mounted there */
  const char *rest;  /* a path below it; points into the mount's target */
};

struct pod_folder
{
  const struct container *container;
  int fd;
  struct strlist shares; /* names of folders in it */
  struct identity *identities;
  struct pod_mount *mounts;
};

/* ---- what is mounted where -------------------------------------------------------------- */

/* In FOLDER, a name of the worker's own, which no mount is by. */
static bool
pod_folder_is_ours (const char *name)
{
  return name[0] == '.';
}

static bool
pod_folder_is_dots (const char *name)
{
  return strcmp (name, ".") == 0 || strcmp (name, "..") == 0;
}

/* The names of what lies in the folder at DIRFD. */
static int
pod_folder_list (int dirfd, struct strlist *names, struct error *err)
{
  int copy = openat (dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  auto_dir DIR *dir = copy < 0 ? NULL : fdopendir (copy);
  if (dir == NULL)
    return error_errno (err, errno, "the pod's folder");
  for (const struct dirent *entry = NULL; (errno = 0, entry = readdir (dir)) != NULL;)
    if (!pod_folder_is_dots (entry->d_name))
      strlist_add (names, entry->d_name);
  return errno == 0 ? 0 : error_errno (err, errno, "the pod's folder");
}

static int
pod_folder_know_shares (struct pod_folder *folder, struct error *err)
{
  auto_strlist struct strlist names = { 0 };
  if (pod_folder_list (folder->fd, &names, err) != 0)
    return -1;
  folder->identities = xcalloc (names.count + 1, sizeof *folder->identities);
  for (size_t i = 0; i < names.count; i++)
    {
      struct stat status;
      if (pod_folder_is_ours (names.items[i])
          || fstatat (folder->fd, names.items[i], &status, AT_SYMLINK_NOFOLLOW) != 0
          || !S_ISDIR (status.st_mode))
        continue;
      folder->identities[folder->shares.count] =
          (struct identity){ .device = status.st_dev, .inode = status.st_ino, .folder = true };
      strlist_add (&folder->shares, names.items[i]);
    }
  return 0;
}

static bool
pod_folder_is (const struct identity *identity, const struct agent_answer *seen)
{
  return seen->code == 0 && identity->device == seen->device && identity->inode == seen->inode;
}

static const char *
pod_folder_share (const struct pod_folder *folder, const struct agent_answer *seen)
{
  for (size_t i = 0; i < folder->shares.count; i++)
    if (pod_folder_is (&folder->identities[i], seen))
      return folder->shares.items[i];
  return NULL;
}

static int
pod_folder_check_mode (const struct container_mount *mount, const struct agent_answer *seen,
                       struct error *err)
{
  if (mount->writable == (seen->read_only == 0))
    return 0;
  return error_set (err, ERROR_TRANSIENT, "mount %s: this pod has it %s, the job %s", mount->target,
                    mount->writable ? "read-only" : "writable",
                    mount->writable ? "writes there" : "has its inputs there");
}

/* Goes up from the target to the folder of ours that it lies in. */
static int
pod_folder_find_mount (const struct pod_folder *folder, int link,
                       const struct container_mount *mount, struct pod_mount *found,
                       struct error *err)
{
  struct agent_answer seen;
  auto_free char *path = xstrdup (mount->target);
  for (;;)
    {
      if (pod_link_look (link, path, &seen, err) != 0)
        return -1;
      size_t length = strlen (path);
      if (strcmp (path, mount->target) == 0 && pod_folder_is (&mount->identity, &seen))
        return pod_folder_check_mode (mount, &seen, err);
      found->share = pod_folder_share (folder, &seen);
      if (found->share != NULL)
        {
          found->rest = mount->target[length] == '/' ? mount->target + length + 1 : "";
          return pod_folder_check_mode (mount, &seen, err);
        }
      char *slash = strrchr (path, '/');
      if (slash == NULL || slash == path)
        return error_set (err, ERROR_TRANSIENT,
                          "mount %s: this pod has none of its shared folder's folders there",
                          mount->target);
      *slash = '\0';
    }
}

struct pod_folder *
pod_folder_find (const char *path, int link, const struct container *container, struct error *err)
{
  struct pod_folder *folder = xcalloc (1, sizeof *folder);
  folder->container = container;
  folder->mounts = xcalloc (container->mount_count + 1, sizeof *folder->mounts);
  folder->fd = fs_open_folder (AT_FDCWD, path, err);
  bool found = folder->fd >= 0 && pod_folder_know_shares (folder, err) == 0;
  for (size_t i = 0; found && i < container->mount_count; i++)
    found =
        pod_folder_find_mount (folder, link, &container->mounts[i], &folder->mounts[i], err) == 0;
  if (found)
    return folder;
  (void) error_blame_machine (err);
  pod_folder_free (folder);
  return NULL;
}

void
pod_folder_free (struct pod_folder *folder)
{
  if (folder == NULL)
    return;
  auto_fd_ (&folder->fd);
  strlist_release (&folder->shares);
  free (folder->identities);
  free (folder->mounts);
  free (folder);
}

/* ---- filling ---------------------------------------------------------------------------- */

static int
pod_folder_empty (const struct pod_folder *folder, const char *share, struct error *err)
{
  auto_strlist struct strlist names = { 0 };
  auto_fd int fd = fs_open_beneath (folder->fd, share, O_RDONLY | O_DIRECTORY, 0, err);
  if (fd < 0 || pod_folder_list (fd, &names, err) != 0)
    return -1;
  for (size_t i = 0; i < names.count; i++)
    if (fs_remove_tree (fd, names.items[i], err) != 0)
      return -1;
  return 0;
}

static int
pod_folder_empty_all (const struct pod_folder *folder, struct error *err)
{
  for (size_t i = 0; i < folder->container->mount_count; i++)
    if (folder->mounts[i].share != NULL
        && pod_folder_empty (folder, folder->mounts[i].share, err) != 0)
      return error_wrap (err, "mount %s", folder->container->mounts[i].target);
  return 0;
}

/* Remembers which folders get contents: who is killed empties none. */
static int
pod_folder_mark (const struct pod_folder *folder, struct error *err)
{
  if (fs_make_folders (folder->fd, POD_FOLDER_USED, 0700, err) != 0)
    return -1;
  auto_fd int used = fs_open_beneath (folder->fd, POD_FOLDER_USED, O_PATH | O_DIRECTORY, 0, err);
  for (size_t i = 0; used >= 0 && i < folder->container->mount_count; i++)
    if (folder->mounts[i].share != NULL
        && fs_make_folders (used, folder->mounts[i].share, 0700, err) != 0)
      return -1;
  return used < 0 ? -1 : 0;
}

/* Empties whatever any shard of this pod had. */
static int
pod_folder_empty_used (const struct pod_folder *folder, struct error *err)
{
  auto_strlist struct strlist names = { 0 };
  auto_fd int used = fs_open_beneath (folder->fd, POD_FOLDER_USED, O_RDONLY | O_DIRECTORY, 0, err);
  if (used < 0 || pod_folder_list (used, &names, err) != 0)
    return -1;
  for (size_t i = 0; i < names.count; i++)
    if (strlist_has (&folder->shares, names.items[i])
        && pod_folder_empty (folder, names.items[i], err) != 0)
      return error_wrap (err, "the pod's folder %s", names.items[i]);
  return 0;
}

/* Puts NAME of one folder into the other: links, else copies. */
static int
pod_folder_place (int from, int to, const char *name, struct error *err)
{
  struct stat status;
  int64_t bytes = 0;
  if (fstatat (from, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
    return error_errno (err, errno, "%s", name);
  if (S_ISREG (status.st_mode) || S_ISLNK (status.st_mode))
    return fs_link_or_copy (from, name, to, name, err);
  if (!S_ISDIR (status.st_mode))
    return error_set (err, ERROR_USER, "%s: neither a file nor a folder", name);
  auto_place struct place place = PLACE_INIT;
  place.source_fd = from;
  place.target_fd = to;
  return place_folder (&place, name, PLACE_LINK_OR_COPY, NULL, &bytes, err);
}

/* The folder that a mount at REST of the SHARE lies in; *NAME is the mount's in it. What another
 * mount has there is hidden by this one: it is removed. */
static int
pod_folder_clear (int share, const char *rest, const char **name, struct error *err)
{
  const char *slash = strrchr (rest, '/');
  auto_free char *parent = slash == NULL ? xstrdup ("") : xstrndup (rest, (size_t) (slash - rest));
  if (fs_make_folders (share, parent, 0755, err) != 0)
    return -1;
  auto_fd int folder = fs_open_parent (share, rest, name, err);
  return folder >= 0 && fs_remove_tree (folder, *name, err) == 0 ? take_fd (&folder) : -1;
}

static int
pod_folder_put_file (int source, int share, const char *rest, struct error *err)
{
  const char *name = NULL;
  auto_fd int folder = pod_folder_clear (share, rest, &name, err);
  if (folder < 0)
    return -1;
  auto_fd int target = openat (folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  auto_fd int file = fs_reopen (source);
  if (target < 0 || file < 0)
    return error_errno (err, errno, "%s", rest);
  return fs_copy (file, target, NULL, err) < 0 ? -1 : 0;
}

/* Makes the folder at REST of the SHARE, empty. */
static int
pod_folder_make (int share, const char *rest, struct error *err)
{
  const char *name = NULL;
  if (rest[0] == '\0')
    return 0;
  auto_fd int folder = pod_folder_clear (share, rest, &name, err);
  return folder < 0 ? -1 : fs_make_folders (folder, name, 0755, err);
}

/* Only what is read is put there: outputs are empty when a command starts. The share itself is the
 * pod's: kubelet makes it, as root. */
static int
pod_folder_put (const struct pod_folder *folder, size_t i, struct error *err)
{
  const struct container_mount *mount = &folder->container->mounts[i];
  const struct pod_mount *to = &folder->mounts[i];
  auto_strlist struct strlist names = { 0 };
  auto_fd int source = identity_open (&mount->identity, mount->source, err);
  auto_fd int share = fs_open_beneath (folder->fd, to->share, O_RDONLY | O_DIRECTORY, 0, err);
  if (source < 0 || share < 0)
    return -1;
  if (!mount->identity.folder)
    return pod_folder_put_file (source, share, to->rest, err);
  if (pod_folder_make (share, to->rest, err) != 0 || mount->writable)
    return error_is_set (err) ? -1 : 0;
  auto_fd int from = openat (source, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  auto_fd int target = fs_open_beneath (share, to->rest, O_RDONLY | O_DIRECTORY, 0, err);
  if (from < 0)
    return error_errno (err, errno, "%s", mount->source);
  if (target < 0 || pod_folder_list (from, &names, err) != 0)
    return -1;
  for (size_t n = 0; n < names.count; n++)
    if (pod_folder_place (from, target, names.items[n], err) != 0)
      return -1;
  return 0;
}

int
pod_folder_fill (struct pod_folder *folder, struct error *err)
{
  if (pod_folder_mark (folder, err) != 0 || pod_folder_empty_used (folder, err) != 0)
    return -1;
  for (size_t i = 0; i < folder->container->mount_count; i++)
    if (folder->mounts[i].share != NULL && pod_folder_put (folder, i, err) != 0)
      return error_wrap (err, "mount %s", folder->container->mounts[i].target);
  return 0;
}

/* ---- collecting ------------------------------------------------------------------------- */

/* Moves NAME from one folder to the other: 0; 1 where it would have to be copied. */
static int
pod_folder_move (int from, int to, const char *name, struct error *err)
{
  struct stat status;
  if (sys_rename (from, name, to, name, 0) == 0)
    return 0;
  /* A folder's entry ".." is written as well. */
  if ((errno == EACCES || errno == EPERM) && fstatat (from, name, &status, AT_SYMLINK_NOFOLLOW) == 0
      && S_ISDIR (status.st_mode)
      && fchmodat (from, name, (status.st_mode & 07777) | S_IRWXU, 0) == 0
      && sys_rename (from, name, to, name, 0) == 0)
    return fchmodat (to, name, status.st_mode & 07777, 0) == 0
               ? 0
               : error_errno (err, errno, "%s", name);
  return errno == EXDEV ? 1 : error_errno (err, errno, "%s", name);
}

static int
pod_folder_take (const struct pod_folder *folder, size_t i, struct error *err)
{
  const struct container_mount *mount = &folder->container->mounts[i];
  const struct pod_mount *from = &folder->mounts[i];
  auto_strlist struct strlist names = { 0 };
  auto_fd int made = identity_open (&mount->identity, mount->source, err);
  auto_fd int share = fs_open_beneath (folder->fd, from->share, O_RDONLY | O_DIRECTORY, 0, err);
  if (made < 0 || share < 0)
    return -1;
  auto_fd int target = openat (made, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  auto_fd int source = fs_open_beneath (share, from->rest, O_RDONLY | O_DIRECTORY, 0, err);
  if (target < 0)
    return error_errno (err, errno, "%s", mount->source);
  if (source < 0 || pod_folder_list (source, &names, err) != 0)
    return -1;
  for (size_t n = 0; n < names.count; n++)
    {
      int moved = pod_folder_move (source, target, names.items[n], err);
      if (moved < 0 || (moved > 0 && pod_folder_place (source, target, names.items[n], err) != 0))
        return -1;
    }
  return 0;
}

int
pod_folder_collect (struct pod_folder *folder, struct error *err)
{
  /* One that lies in another is taken before that. */
  for (size_t i = folder->container->mount_count; i-- > 0;)
    if (folder->mounts[i].share != NULL && folder->container->mounts[i].writable
        && pod_folder_take (folder, i, err) != 0)
      return error_wrap (err, "mount %s", folder->container->mounts[i].target);
  return pod_folder_empty_all (folder, err);
}
