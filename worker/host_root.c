#include "worker/host_root.h"

#include "common/fs.h"
#include "common/memory.h"
#include "schemas/tmpfs.h"
#include "worker/bind.h"
#include "worker/root_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct host_root
{
  const struct container *container;
  int fd;              /* the new root folder: memory */
  dev_t device;        /* its file system: here is room for mount points */
  unsigned int access; /* MOUNT_ATTR_RDONLY, or 0, of all that is the host's */
};

/* ---- places ----------------------------------------------------------------------------- */

/* Opens the place of the normal PATH for a FOLDER or else a file to be mounted there, which is made
 * only in the root itself. */
static int
open_place (const struct host_root *root, const char *path, bool folder, struct error *err)
{
  const char *rest = NULL;
  struct stat status;
  auto_fd int there = root_path_open (root->fd, path, &rest, err);
  if (there < 0 || rest[0] == '\0')
    return take_fd (&there);
  if (fstat (there, &status) != 0)
    return error_errno (err, errno, "%s", path);
  if (status.st_dev != root->device || !S_ISDIR (status.st_mode))
    return error_set (
        err, ERROR_USER,
        "%s does not exist, and shoal creates nothing in folders of the host: create it first",
        path);
  const char *slash = folder ? rest + strlen (rest) : strrchr (rest, '/');
  auto_free char *folders = slash == NULL ? xstrdup ("") : xstrndup (rest, (size_t) (slash - rest));
  if (fs_make_folders (there, folders, 0755, err) != 0)
    return -1;
  if (folder)
    return fs_open_beneath (there, rest, O_PATH | O_DIRECTORY, 0, err);
  auto_fd int made = fs_open_beneath (there, rest, O_WRONLY | O_CREAT, 0644, err);
  return made < 0 ? -1 : fs_open_beneath (there, rest, O_PATH, 0, err);
}

/* ---- the host's ------------------------------------------------------------------------- */

static int
add_link (const struct host_root *root, int host_fd, const char *name, struct error *err)
{
  char target[PATH_MAX];
  ssize_t length = readlinkat (host_fd, name, target, sizeof target - 1);
  if (length < 0)
    return error_errno (err, errno, "/%s", name);
  target[length] = '\0';
  return symlinkat (target, root->fd, name) == 0 ? 0 : error_errno (err, errno, "/%s", name);
}

/* The host's entry NAME of / at its place in the new root. */
static int
add_host_entry (const struct host_root *root, int host_fd, const char *name, struct error *err)
{
  struct stat status;
  if (fstatat (host_fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
    return 0;
  if (S_ISLNK (status.st_mode))
    return add_link (root, host_fd, name, err);
  if (!S_ISDIR (status.st_mode))
    return 0;
  auto_free char *source = xasprintf ("/%s", name);
  auto_fd int place = open_place (root, source, true, err);
  return place < 0
             ? -1
             : bind_mount (source, place, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | root->access, err);
}

/* Devices are those that the host has in its /dev, terminals among them. */
static int
allow_devices (const struct host_root *root, struct error *err)
{
  static const char *const folders[] = { "/dev", "/dev/pts" };
  for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
    {
      const char *rest = NULL;
      auto_fd int fd = root_path_open (root->fd, folders[i], &rest, err);
      struct statx status;
      if (fd < 0 || statx (fd, "", AT_EMPTY_PATH, 0, &status) != 0)
        return fd < 0 ? -1 : error_errno (err, errno, "%s", folders[i]);
      if (rest[0] == '\0' && (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0
          && bind_allow_devices (fd, err) != 0)
        return -1;
    }
  return 0;
}

static int
add_host (const struct host_root *root, struct error *err)
{
  auto_dir DIR *dir = opendir ("/");
  if (dir == NULL)
    return error_errno (err, errno, "/");
  for (const struct dirent *entry = readdir (dir); entry != NULL; entry = readdir (dir))
    if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0
        && add_host_entry (root, dirfd (dir), entry->d_name, err) != 0)
      return -1;
  return 0;
}

/* The host's /sys shows the host's network interfaces. Where the kernel refuses another (in a user
 * namespace, when something is mounted over the host's) only their names are to be seen. */
static int
add_own_sys (const struct host_root *root, struct error *err)
{
  auto_fd int context = fsopen ("sysfs", FSOPEN_CLOEXEC);
  if (context < 0 || fsconfig (context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
    return 0;
  auto_fd int tree =
      fsmount (context, FSMOUNT_CLOEXEC,
               MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | root->access);
  auto_fd int place = open_place (root, "/sys", true, err);
  if (tree < 0 || place < 0)
    return place < 0 ? -1 : 0;
  if (move_mount (tree, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
    return error_errno (err, errno, "mounting /sys");
  auto_fd int inner = open_place (root, "/sys/fs", true, NULL);
  return inner < 0 ? 0
                   : bind_mount ("/sys/fs", inner,
                                 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | root->access, err);
}

/* ---- the job's -------------------------------------------------------------------------- */

/* Hands CONTEXT those of the OPTIONS that have a value; the others are flags of the mount. */
static int
set_options (int context, const struct strlist *options, struct error *err)
{
  for (size_t i = 0; i < options->count; i++)
    {
      const char *option = options->items[i];
      const char *value = strchr (option, '=');
      if (value == NULL)
        continue;
      auto_free char *name = xstrndup (option, (size_t) (value - option));
      if (fsconfig (context, FSCONFIG_SET_STRING, name, value + 1, 0) != 0)
        return error_errno (err, errno, "%s", option);
    }
  return 0;
}

/* A file system in memory that isn't at any place yet; -1 with ERR. */
static int
host_root_make_memory (const struct strlist *options, unsigned int flags, struct error *err)
{
  auto_fd int context = fsopen ("tmpfs", FSOPEN_CLOEXEC);
  if (context < 0 || set_options (context, options, err) != 0)
    return context < 0 ? error_errno (err, errno, "fsopen") : -1;
  if (fsconfig (context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
    return error_errno (err, errno, "making it");
  int tree = fsmount (context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | flags);
  return tree >= 0 ? tree : error_errno (err, errno, "mounting it");
}

static int
mount_tmpfs (const struct tmpfs *tmpfs, int place, struct error *err)
{
  auto_strlist struct strlist options = { 0 };
  tmpfs_options (tmpfs, &options);
  unsigned int flags = tmpfs->exec ? 0 : MOUNT_ATTR_NOEXEC;
  if (tmpfs->read_only)
    flags |= MOUNT_ATTR_RDONLY;
  auto_fd int tree = host_root_make_memory (&options, flags, err);
  return tree < 0 ? -1 : bind_attach (tree, place, "", err);
}

static int
host_root_add_tmpfs (const struct host_root *root, const char *text, struct error *err)
{
  auto_tmpfs struct tmpfs tmpfs = { 0 };
  if (tmpfs_parse (text, &tmpfs, err) != 0)
    return -1;
  auto_fd int place = open_place (root, tmpfs.path, true, err);
  return place < 0 ? -1 : mount_tmpfs (&tmpfs, place, err);
}

static int
host_root_add_mount (const struct host_root *root, const struct container_mount *mount,
                     struct error *err)
{
  auto_fd int source = identity_open (&mount->identity, mount->source, err);
  auto_fd int place =
      source < 0 ? -1 : open_place (root, mount->target, mount->identity.folder, err);
  if (place < 0)
    return -1;
  uint64_t access = mount->writable ? 0 : MOUNT_ATTR_RDONLY;
  auto_fd int tree =
      bind_clone (source, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | access, mount->source, err);
  return tree < 0 ? -1 : bind_attach (tree, place, "", err);
}

static int
add_jobs (const struct host_root *root, struct error *err)
{
  const struct container *container = root->container;
  for (size_t i = 0; i < container->job->tmpfs.count; i++)
    if (host_root_add_tmpfs (root, container->job->tmpfs.items[i], err) != 0)
      return error_wrap (err, "--runtime process: --tmpfs %s", container->job->tmpfs.items[i]);
  for (size_t i = 0; i < container->mount_count; i++)
    if (host_root_add_mount (root, &container->mounts[i], err) != 0)
      return error_wrap (err, "--runtime process: mount point %s", container->mounts[i].target);
  return 0;
}

/* A new root over the scratch folder: its descriptor, or -1. */
static int
host_root_mount_root (int scratch_fd, struct error *err)
{
  auto_strlist struct strlist options = { 0 };
  strlist_add (&options, "source=shoal");
  strlist_add (&options, "mode=755");
  auto_fd int tree = host_root_make_memory (&options, 0, err);
  if (tree < 0 || bind_attach (tree, scratch_fd, "", err) != 0)
    return error_wrap (err, "a root folder of its own");
  return take_fd (&tree);
}

/* What is the same for all jobs. */
static int
add_machine (const struct host_root *root, struct error *err)
{
  if (add_host (root, err) != 0 || allow_devices (root, err) != 0)
    return -1;
  return root->container->job->network == NETWORK_NONE ? add_own_sys (root, err) : 0;
}

static int
change_root (int fd, struct error *err)
{
  if (fchdir (fd) == 0 && syscall (SYS_pivot_root, ".", ".") == 0 && umount2 (".", MNT_DETACH) == 0
      && chdir ("/") == 0)
    return 0;
  return error_errno (err, errno, "changing the root folder");
}

int
host_root_enter (int scratch_fd, const struct container *container, struct error *err)
{
  auto_fd int fd = host_root_mount_root (scratch_fd, err);
  struct stat status = { 0 };
  if (fd < 0 || fstat (fd, &status) != 0)
    return error_blame_machine (err);
  const struct host_root root = { .container = container,
                                  .fd = fd,
                                  .device = status.st_dev,
                                  .access = container->job->read_only ? MOUNT_ATTR_RDONLY : 0 };
  if (add_machine (&root, err) != 0)
    return error_blame_machine (err);
  if (add_jobs (&root, err) != 0)
    return -1;
  if (bind_restrict (fd, root.access, err) != 0 || change_root (fd, err) != 0)
    return error_blame_machine (err);
  return 0;
}
