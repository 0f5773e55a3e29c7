#include "worker/oci_root.h"

#include "common/fs.h"
#include "common/memory.h"
#include "worker/bind.h"
#include "worker/cgroup_v2.h"
#include "worker/init.h"
#include "worker/overlay.h"
#include "worker/skeleton.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define COVERED "/run"
#define NAME_IN_COVERED "shoal"

enum
{
  SPARE_DESCRIPTORS = 64, /* beside those of the mounts */
};

static const char *const host_files[] = { "resolv.conf", "hosts" };

enum
{
  HOST_FILES = sizeof host_files / sizeof host_files[0],
};

/* What was opened before the host's /run is covered: anything may lie in there. */
struct oci_root_parts
{
  int scratch_fd; /* -1: nothing is written */
  int rootfs_fd;
  int host_fds[HOST_FILES];    /* mounts that aren't at a place yet, as TREES; -1: not needed */
  int views[CGROUP_VIEWS_MAX]; /* as HOST_FDS */
  int *trees;                  /* one for each mount of the container … */
  size_t tree_count;
  int *nodes; /* … and for each of its devices */
  size_t node_count;
};

static void
oci_root_parts_release (struct oci_root_parts *parts)
{
  auto_fd_ (&parts->scratch_fd);
  auto_fd_ (&parts->rootfs_fd);
  for (size_t i = 0; i < HOST_FILES; i++)
    auto_fd_ (&parts->host_fds[i]);
  for (size_t i = 0; i < CGROUP_VIEWS_MAX; i++)
    auto_fd_ (&parts->views[i]);
  for (size_t i = 0; i < parts->tree_count; i++)
    auto_fd_ (&parts->trees[i]);
  free (parts->trees);
  for (size_t i = 0; i < parts->node_count; i++)
    auto_fd_ (&parts->nodes[i]);
  free (parts->nodes);
}
#define auto_parts AUTO (oci_root_parts_release)

/* ---- parts ------------------------------------------------------------------------------ */

/* A mount that the runtime will find, or -1. It is restricted here already; the runtime, which is
 * told to, does it again. */
static int
clone_mount (const struct container_mount *mount, struct error *err)
{
  uint64_t access = mount->writable ? 0 : MOUNT_ATTR_RDONLY;
  auto_fd int source = identity_open (&mount->identity, mount->source, err);
  return source < 0 ? -1
                    : bind_clone (source, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | access,
                                  mount->source, err);
}

static int
open_mounts (const struct container *container, struct oci_root_parts *parts, struct error *err)
{
  parts->trees = xcalloc (container->mount_count + 1, sizeof *parts->trees);
  for (size_t i = 0; i < container->mount_count; i++)
    {
      int tree = clone_mount (&container->mounts[i], err);
      if (tree < 0)
        return error_wrap (err, "mount point %s", container->mounts[i].target);
      parts->trees[parts->tree_count++] = tree;
    }
  return 0;
}

/* The only mounts on which a device can be opened. */
static int
open_nodes (const struct devices *devices, struct oci_root_parts *parts, struct error *err)
{
  parts->nodes = xcalloc (devices->node_count + 1, sizeof *parts->nodes);
  for (size_t i = 0; i < devices->node_count; i++)
    {
      const struct device_node *node = &devices->nodes[i];
      auto_fd int source = identity_open (&node->identity, node->source, err);
      int tree = source < 0 ? -1
                            : bind_clone (source,
                                          MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY,
                                          node->source, err);
      if (tree < 0)
        return error_wrap (err, "--device");
      parts->nodes[parts->node_count++] = tree;
    }
  return 0;
}

/* What is at PATH, as a mount that isn't at a place yet; -1 with ERR. */
static int
clone_host_path (const char *path, struct error *err)
{
  auto_fd int fd = open (path, O_PATH | O_CLOEXEC);
  if (fd < 0)
    return error_errno (err, errno, "%s", path);
  return bind_clone (fd, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY, path, err);
}

/* They may be links, to /run for instance. */
static int
open_host_files (struct oci_root_parts *parts, struct error *err)
{
  for (size_t i = 0; i < HOST_FILES; i++)
    {
      auto_free char *path = xasprintf ("/etc/%s", host_files[i]);
      if ((parts->host_fds[i] = clone_host_path (path, err)) < 0)
        return -1;
    }
  return 0;
}

static int
open_views (const struct cgroup *group, struct oci_root_parts *parts, struct error *err)
{
  struct cgroup_view views[CGROUP_VIEWS_MAX];
  size_t count = group == NULL ? 0 : cgroup_views (group, views);
  for (size_t i = 0; i < count; i++)
    if ((parts->views[i] = clone_host_path (views[i].path, err)) < 0)
      return -1;
  return 0;
}

static int
open_parts (const struct oci_root *root, struct oci_root_parts *parts, struct error *err)
{
  const struct job *job = root->container->job;
  parts->rootfs_fd = fs_open_folder (AT_FDCWD, root->rootfs, err);
  if (parts->rootfs_fd < 0)
    return -1;
  if (!job->read_only
      && (parts->scratch_fd = identity_open (&root->identity, root->scratch, err)) < 0)
    return -1;
  return (job->network == NETWORK_HOST && open_host_files (parts, err) != 0)
                 || open_views (root->group, parts, err) != 0
                 || open_nodes (root->devices, parts, err) != 0
             ? -1
             : 0;
}

/* Each mount takes a descriptor for a moment. Whether there must be more than BEFORE for COUNT of
 * them. */
static bool
allow_descriptors (rlim_t count, struct rlimit *before)
{
  if (getrlimit (RLIMIT_NOFILE, before) != 0 || before->rlim_cur >= count)
    return false;
  struct rlimit more = *before;
  more.rlim_cur = count < before->rlim_max ? count : before->rlim_max;
  return setrlimit (RLIMIT_NOFILE, &more) == 0;
}

/* ---- memory ----------------------------------------------------------------------------- */

/* Gives the folder NAME to root of the container's user namespace. */
static int
give_folder (const struct oci_root *root, int folder_fd, const char *name, struct error *err)
{
  if (root->userns->fd < 0)
    return 0;
  auto_fd int fd = fs_open_folder (folder_fd, name, err);
  return fd < 0 ? -1 : userns_give (&root->userns->ids, fd, err);
}

/* Covers /run with memory and makes the folder of ours in it: its descriptor, or -1. */
static int
oci_root_make_memory (struct error *err)
{
  static const char *const folders[] = { "skeleton", "root", "image", "sources", "state" };
  if (mount ("tmpfs", COVERED, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") != 0)
    return error_errno (err, errno, "memory for the runtime at " COVERED);
  if (mkdir (OCI_ROOT_BUNDLE, 0755) != 0)
    return error_errno (err, errno, OCI_ROOT_BUNDLE);
  auto_fd int memory_fd = fs_open_folder (AT_FDCWD, OCI_ROOT_BUNDLE, err);
  if (memory_fd < 0)
    return -1;
  for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
    if (mkdirat (memory_fd, folders[i], 0755) != 0)
      return error_errno (err, errno, "%s/%s", OCI_ROOT_BUNDLE, folders[i]);
  return take_fd (&memory_fd);
}

static int
write_config (const struct oci_root *root, int memory_fd, struct error *err)
{
  auto_fd int fd = openat (memory_fd, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    return error_errno (err, errno, "config.json");
  return fs_write_all (fd, root->config.data, root->config.size, "config.json", err);
}

static int
write_init (int sources_fd, struct error *err)
{
  auto_fd int fd = openat (sources_fd, "init", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0555);
  if (fd < 0)
    return error_errno (err, errno, "init");
  return fs_write_all (fd, init_program, init_program_size, "init", err);
}

/* Puts TREE at NAME, a new FOLDER or file. */
static int
place_source (int sources_fd, const char *name, bool folder, int tree, struct error *err)
{
  int made = folder ? mkdirat (sources_fd, name, 0755) : mknodat (sources_fd, name, S_IFREG, 0);
  return made != 0 ? error_errno (err, errno, "%s", name)
                   : bind_attach (tree, sources_fd, name, err);
}

/* Each lies beside the folder that has a place for it: in a user namespace crun leaves out what is
 * mounted below another mount. */
static int
place_views (const struct cgroup *group, const struct oci_root_parts *parts, int sources_fd,
             struct error *err)
{
  struct cgroup_view views[CGROUP_VIEWS_MAX];
  size_t count = group == NULL ? 0 : cgroup_views (group, views);
  for (size_t i = 0; i < count; i++)
    {
      auto_free char *source = xasprintf (OCI_ROOT_GROUPS ".%s", views[i].name);
      auto_free char *folder = xasprintf (OCI_ROOT_GROUPS "/%s", views[i].name);
      if (fs_make_folders (sources_fd, folder, 0755, err) != 0
          || place_source (sources_fd, source, true, parts->views[i], err) != 0)
        return -1;
    }
  return 0;
}

static int
place_sources (const struct oci_root *root, const struct oci_root_parts *parts, int memory_fd,
               struct error *err)
{
  auto_fd int sources_fd = fs_open_folder (memory_fd, "sources", err);
  if (sources_fd < 0 || (root->container->job->init && write_init (sources_fd, err) != 0))
    return -1;
  for (size_t i = 0; i < HOST_FILES; i++)
    if (parts->host_fds[i] >= 0
        && place_source (sources_fd, host_files[i], false, parts->host_fds[i], err) != 0)
      return -1;
  if (place_views (root->group, parts, sources_fd, err) != 0)
    return -1;
  for (size_t i = 0; i < parts->node_count; i++)
    {
      char name[32];
      (void) snprintf (name, sizeof name, OCI_ROOT_DEVICE "%zu", i);
      if (place_source (sources_fd, name, false, parts->nodes[i], err) != 0)
        return -1;
    }
  for (size_t i = 0; i < parts->tree_count; i++)
    {
      char name[32];
      (void) snprintf (name, sizeof name, "%zu", i);
      if (place_source (sources_fd, name, root->container->mounts[i].identity.folder,
                        parts->trees[i], err)
          != 0)
        return -1;
    }
  return 0;
}

/* ---- the root file system --------------------------------------------------------------- */

static int
make_layers (const struct oci_root *root, int folder_fd, struct error *err)
{
  if (fs_make_folders (folder_fd, "upper", 0755, err) != 0
      || fs_make_folders (folder_fd, "work", 0755, err) != 0)
    return -1;
  return give_folder (root, folder_fd, "upper", err);
}

int
oci_root_check_mounts (const struct userns *userns, const struct container *container,
                       struct error *err)
{
  for (size_t i = 0; userns->fd >= 0 && i < container->mount_count; i++)
    {
      const struct container_mount *mount = &container->mounts[i];
      auto_fd int source = identity_open (&mount->identity, mount->source, err);
      if (source < 0)
        return -1;
      auto_fd int mapped = userns_map (userns->fd, source, mount->target, err);
      if (mapped < 0 || userns_check_alone (source, mount->target, err) != 0)
        return -1;
    }
  return 0;
}

int
oci_root_make (struct oci_root *root, struct error *err)
{
  const struct container *container = root->container;
  if (container->job->read_only)
    return 0;
  root->scratch = identity_take (&root->identity, container->scratch_fd, err);
  return root->scratch == NULL ? -1 : make_layers (root, container->scratch_fd, err);
}

void
oci_root_release (struct oci_root *root)
{
  buffer_release (&root->config);
  free (root->scratch);
}

/* The writable layer lies in the scratch folder; where its file system can't hold one (NFS, another
 * overlay): in memory. */
static int
mount_writable (const struct oci_root *root, struct overlay *overlay, int memory_fd, int target_fd,
                struct error *err)
{
  if (overlay_mount (overlay, target_fd, NULL) == 0)
    return 0;
  overlay->writable_fd = memory_fd;
  return make_layers (root, memory_fd, err) != 0 ? -1 : overlay_mount (overlay, target_fd, err);
}

static int
oci_root_mount_root (const struct oci_root *root, const struct oci_root_parts *parts, int memory_fd,
                     struct error *err)
{
  auto_fd int mapped_fd = -1;
  auto_fd int top_fd = fs_open_folder (memory_fd, "skeleton", err);
  auto_fd int target_fd = top_fd < 0 ? -1 : fs_open_folder (memory_fd, "root", err);
  if (target_fd < 0)
    return -1;
  /* A user namespace is shown the image's files as they were packed. Before Linux 6.15 only a mount
   * that is at a place can be a layer. */
  if (root->userns->fd >= 0
      && ((mapped_fd = userns_map (root->userns->fd, parts->rootfs_fd, root->rootfs, err)) < 0
          || bind_attach (mapped_fd, memory_fd, "image", err) != 0))
    return -1;
  struct overlay overlay = { .top_fd = top_fd,
                             .image_fd = mapped_fd >= 0 ? mapped_fd : parts->rootfs_fd,
                             .writable_fd = parts->scratch_fd,
                             .rootless = root->rootless };
  if (root->container->job->read_only)
    return overlay_mount (&overlay, target_fd, err);
  return mount_writable (root, &overlay, memory_fd, target_fd, err);
}

static int
mount_parts (const struct oci_root *root, const struct oci_root_parts *parts, struct error *err)
{
  auto_fd int memory_fd = oci_root_make_memory (err);
  auto_fd int skeleton_fd = memory_fd < 0 ? -1 : fs_open_folder (memory_fd, "skeleton", err);
  if (skeleton_fd < 0 || write_config (root, memory_fd, err) != 0
      || place_sources (root, parts, memory_fd, err) != 0)
    return error_blame_machine (err);
  if (skeleton_make (skeleton_fd, parts->rootfs_fd, root->container, root->cwd, err) != 0)
    return -1;
  /* Where no /sys is mounted that has a place for them. */
  if (root->rootless && root->group != NULL
      && fs_make_folders (skeleton_fd, &CGROUP_ROOT[1], 0755, err) != 0)
    return error_blame_machine (err);
  if (give_folder (root, memory_fd, "skeleton", err) != 0
      || oci_root_mount_root (root, parts, memory_fd, err) != 0)
    return error_blame_machine (err);
  return 0;
}

int
oci_root_mount (const struct oci_root *root, struct error *err)
{
  auto_parts struct oci_root_parts parts = {
    .scratch_fd = -1, .rootfs_fd = -1, .host_fds = { -1, -1 }, .views = { -1, -1, -1, -1 }
  };
  struct rlimit before = { 0 };
  bool more = allow_descriptors (
      root->container->mount_count + root->devices->node_count + SPARE_DESCRIPTORS, &before);
  if (open_parts (root, &parts, err) != 0)
    return error_blame_machine (err);
  int result =
      open_mounts (root->container, &parts, err) != 0 ? -1 : mount_parts (root, &parts, err);
  if (more)
    (void) setrlimit (RLIMIT_NOFILE, &before);
  return result;
}
