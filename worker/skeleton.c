#include "worker/skeleton.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/path.h"
#include "common/strlist.h"
#include "common/sys.h"
#include "schemas/tmpfs.h"
#include "worker/oci_config.h"
#include "worker/root_path.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

struct skeleton_tree
{
  int skeleton_fd;
  int rootfs_fd;
  struct strlist *places; /* of the mounts so far, in the image; those in other mounts aren't */
};

/* Gives the skeleton's folder PATH the mode and owner that the image's has. */
static void
copy_look (const struct skeleton_tree *tree, const char *path)
{
  struct stat status;
  if (fstatat (tree->rootfs_fd, path, &status, AT_SYMLINK_NOFOLLOW) != 0
      || !S_ISDIR (status.st_mode))
    return;
  (void) fchownat (tree->skeleton_fd, path, status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW);
  (void) fchmodat (tree->skeleton_fd, path, status.st_mode & 07777, 0);
}

/* Makes folder PATH (relative) and those above it, which look as the image's. */
static int
make_folders (const struct skeleton_tree *tree, const char *path, struct error *err)
{
  if (fs_make_folders (tree->skeleton_fd, path, 0755, err) != 0)
    return -1;
  auto_free char *part = xstrdup (path);
  for (char *slash = strchr (part, '/'); slash != NULL; slash = strchr (slash + 1, '/'))
    {
      *slash = '\0';
      copy_look (tree, part);
      *slash = '/';
    }
  return 0;
}

static int
make_file (const struct skeleton_tree *tree, const char *path, struct error *err)
{
  const char *slash = strrchr (path, '/');
  auto_free char *above = xstrndup (path, slash == NULL ? 0 : (size_t) (slash - path));
  if (make_folders (tree, above, err) != 0)
    return -1;
  if (slash != NULL)
    copy_look (tree, above);
  auto_fd int fd = fs_open_beneath (tree->skeleton_fd, path, O_WRONLY | O_CREAT, 0644, err);
  return fd < 0 ? -1 : 0;
}

/* What PATH, which is normal, is called in the image when its links are followed, relative; the
 * caller frees. NULL where the image has something else there than a FOLDER, or else a file. *THERE
 * tells whether it has all of it. */
static char *
skeleton_find_place (const struct skeleton_tree *tree, const char *path, bool folder, bool *there,
                     struct error *err)
{
  const char *rest = NULL;
  struct stat status;
  auto_fd int fd = root_path_open (tree->rootfs_fd, path, &rest, err);
  if (fd < 0 || fstat (fd, &status) != 0)
    {
      (void) (fd < 0 ? error_wrap (err, "the image")
                     : error_errno (err, errno, "the image: %s", path));
      return NULL;
    }
  *there = rest[0] == '\0';
  bool is_folder = S_ISDIR (status.st_mode);
  if (is_folder != (folder || !*there))
    {
      (void) error_set (err, ERROR_USER, "%.*s is a %s in the image",
                        (int) (rest - path) - (*there ? 0 : 1), path,
                        is_folder ? "folder" : "file");
      return NULL;
    }
  auto_free char *above = root_path_name (tree->rootfs_fd, fd, err);
  if (above == NULL)
    return NULL;
  return above[0] == '\0' ? xstrdup (rest) : path_join (above, rest);
}

static int
make_place (const struct skeleton_tree *tree, const char *place, bool folder, struct error *err)
{
  return folder ? make_folders (tree, place, err) : make_file (tree, place, err);
}

/* Sees to it that PATH, which is normal, is a folder of the container, or else a file. What the
 * image has is left to it: a folder laid over one of its links would hide what is behind it. */
static int
add_place (const struct skeleton_tree *tree, const char *path, bool folder, struct error *err)
{
  bool there = false;
  auto_free char *place = skeleton_find_place (tree, path, folder, &there, err);
  if (place == NULL)
    return -1;
  return there ? 0 : make_place (tree, place, folder, err);
}

/* Whether an earlier mount is there already where mount INDEX goes: its mount point lies in
 * that. */
static bool
lies_in_another (const struct container *container, size_t index)
{
  for (size_t i = 0; i < index; i++)
    if (path_below (container->mounts[index].target, container->mounts[i].target) != NULL)
      return true;
  return false;
}

/* Two mounts that meet by a link of the image would hide one another, and an output's files would
 * be another's. */
static int
skeleton_check_apart (const struct skeleton_tree *tree, const char *place, struct error *err)
{
  for (size_t i = 0; i < tree->places->count; i++)
    {
      const char *other = tree->places->items[i];
      if (path_below (place, other) != NULL || path_below (other, place) != NULL)
        return error_set (err, ERROR_USER,
                          "by a symbolic link of the image it is /%s, and /%s is mounted as well: "
                          "use paths without links for both",
                          place, other);
    }
  return 0;
}

static int
skeleton_add_mount (const struct skeleton_tree *tree, const struct container *container,
                    size_t index, struct error *err)
{
  const struct container_mount *mount = &container->mounts[index];
  if (lies_in_another (container, index))
    return 0;
  bool folder = mount->identity.folder;
  bool there = false;
  auto_free char *place = skeleton_find_place (tree, mount->target, folder, &there, err);
  if (place == NULL || skeleton_check_apart (tree, place, err) != 0
      || (!there && make_place (tree, place, folder, err) != 0))
    return error_wrap (err, "mount point %s", mount->target);
  strlist_add (tree->places, place);
  return 0;
}

/* runc gives the memory the mode of the folder that it is mounted on. */
static int
skeleton_add_tmpfs (const struct skeleton_tree *tree, const char *text, struct error *err)
{
  auto_tmpfs struct tmpfs tmpfs = { 0 };
  bool there = false;
  auto_free char *place = NULL;
  if (tmpfs_parse (text, &tmpfs, err) != 0
      || (place = skeleton_find_place (tree, tmpfs.path, true, &there, err)) == NULL
      || make_folders (tree, place, err) != 0)
    return error_wrap (err, "--tmpfs %s", text);
  if (fchmodat (tree->skeleton_fd, place[0] == '\0' ? "." : place, (mode_t) tmpfs.mode, 0) != 0)
    return error_errno (err, errno, "--tmpfs %s", text);
  return 0;
}

/* The container's own /etc/hosts, as docker makes one, which it may change. */
static int
add_hosts (const struct skeleton_tree *tree, const struct job *job, struct error *err)
{
  bool there = false;
  auto_free char *place = skeleton_find_place (tree, "/etc/hosts", false, &there, err);
  if (place == NULL || make_file (tree, place, err) != 0)
    return -1;
  auto_free char *text = xasprintf ("127.0.0.1\tlocalhost %s\n"
                                    "::1\tlocalhost ip6-localhost ip6-loopback\n",
                                    oci_config_hostname (job));
  auto_fd int fd = fs_open_beneath (tree->skeleton_fd, place, O_WRONLY, 0, err);
  return fd < 0 ? -1 : fs_write_all (fd, text, strlen (text), "hosts", err);
}

static int
add_all (const struct skeleton_tree *tree, const struct container *container, const char *cwd,
         struct error *err)
{
  /* Folders of ours whatever the image has there: runtimes set /dev up by its path, and a link
   * would lead them astray. */
  static const char *const system[] = { "proc", "dev", "sys" };
  for (size_t i = 0; i < sizeof system / sizeof system[0]; i++)
    {
      if (sys_mkdir (tree->skeleton_fd, system[i], 0755) != 0)
        return error_errno (err, errno, "mount point /%s", system[i]);
      copy_look (tree, system[i]);
    }
  if (container->job->network == NETWORK_NONE && add_hosts (tree, container->job, err) != 0)
    return error_wrap (err, "/etc/hosts");
  if (container->job->network == NETWORK_HOST
      && (add_place (tree, "/etc/resolv.conf", false, err) != 0
          || add_place (tree, "/etc/hosts", false, err) != 0))
    return -1;
  for (size_t i = 0; i < container->job->tmpfs.count; i++)
    if (skeleton_add_tmpfs (tree, container->job->tmpfs.items[i], err) != 0)
      return -1;
  for (size_t i = 0; i < container->mount_count; i++)
    if (skeleton_add_mount (tree, container, i, err) != 0)
      return -1;
  for (size_t i = 0; i < container->mount_count; i++)
    if (path_below (cwd, container->mounts[i].target) != NULL)
      return 0;
  if (strcmp (cwd, "/") != 0 && add_place (tree, cwd, true, err) != 0)
    return error_wrap (err, "working folder %s", cwd);
  return 0;
}

int
skeleton_make (int skeleton_fd, int rootfs_fd, const struct container *container, const char *cwd,
               struct error *err)
{
  auto_strlist struct strlist places = { 0 };
  const struct skeleton_tree tree = { .skeleton_fd = skeleton_fd,
                                      .rootfs_fd = rootfs_fd,
                                      .places = &places };
  /* The overlay's top layer gives the root folder its look. */
  copy_look (&tree, ".");
  return add_all (&tree, container, cwd, err);
}
