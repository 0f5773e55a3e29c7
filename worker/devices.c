#include "worker/devices.h"

#include "common/memory.h"
#include "common/path.h"
#include "worker/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static void
devices_free (const char *text)
{
  free ((char *) (uintptr_t) text);
}

void
devices_release (struct devices *devices)
{
  for (size_t i = 0; i < devices->node_count; i++)
    {
      free (devices->nodes[i].source);
      free (devices->nodes[i].target);
    }
  for (size_t i = 0; i < devices->mount_count; i++)
    {
      devices_free (devices->mounts[i].source);
      devices_free (devices->mounts[i].target);
    }
  free (devices->nodes);
  free (devices->mounts);
  free (devices->groups);
  free (devices->all_mounts);
  strlist_release (&devices->env);
  strlist_release (&devices->all_env);
  *devices = (struct devices){ 0 };
}

/* ---- parts ------------------------------------------------------------------------------ */

static bool
devices_is_same (const struct identity *a, const struct identity *b)
{
  return a->device == b->device && a->inode == b->inode;
}

/* What is at PATH when links are followed: where that is, and IDENTITY. The caller frees. */
static char *
devices_look (const char *path, struct identity *identity, struct stat *status, struct error *err)
{
  auto_fd int fd = open (path, O_PATH | O_CLOEXEC);
  if (fd < 0 || fstat (fd, status) != 0)
    {
      (void) error_errno (err, errno, "%s", path);
      return NULL;
    }
  return identity_take (identity, fd, err);
}

int
devices_add_node (struct devices *devices, const char *source, const char *target, bool read,
                  bool written, struct error *err)
{
  struct stat status;
  struct device_node node = { 0 };
  auto_free char *path = devices_look (source, &node.identity, &status, err);
  if (path == NULL)
    return -1;
  if (!S_ISCHR (status.st_mode) && !S_ISBLK (status.st_mode))
    return error_set (err, ERROR_USER, "%s isn't a device node%s", source,
                      S_ISDIR (status.st_mode) ? ": it is a folder, of which each node is named"
                                               : "");
  node.access = (struct device_access){ .block = S_ISBLK (status.st_mode),
                                        .major = (int) major (status.st_rdev),
                                        .minor = (int) minor (status.st_rdev),
                                        .read = read,
                                        .written = written };
  for (size_t i = 0; i < devices->node_count; i++)
    {
      struct device_node *there = &devices->nodes[i];
      if (strcmp (there->target, target) != 0)
        continue;
      if (!devices_is_same (&there->identity, &node.identity))
        return error_set (err, ERROR_USER, "%s would be two devices: %s and %s", target,
                          there->source, path);
      there->access.read |= read;
      there->access.written |= written;
      return 0;
    }
  node.source = take (&path);
  node.target = xstrdup (target);
  devices->nodes = xrealloc (devices->nodes, devices->node_count + 1, sizeof *devices->nodes);
  devices->nodes[devices->node_count++] = node;
  return 0;
}

int
devices_add_mount (struct devices *devices, const char *source, const char *target,
                   struct error *err)
{
  struct stat status;
  struct container_mount mount = { 0 };
  auto_free char *path = devices_look (source, &mount.identity, &status, err);
  if (path == NULL)
    return -1;
  for (size_t i = 0; i < devices->mount_count; i++)
    if (strcmp (devices->mounts[i].target, target) == 0)
      return devices_is_same (&devices->mounts[i].identity, &mount.identity)
                 ? 0
                 : error_set (err, ERROR_USER, "%s would be two things: %s and %s", target,
                              devices->mounts[i].source, path);
  mount.source = take (&path);
  mount.target = xstrdup (target);
  devices->mounts = xrealloc (devices->mounts, devices->mount_count + 1, sizeof *devices->mounts);
  devices->mounts[devices->mount_count++] = mount;
  return 0;
}

void
devices_add_group (struct devices *devices, gid_t gid)
{
  devices->groups = xrealloc (devices->groups, devices->group_count + 1, sizeof *devices->groups);
  devices->groups[devices->group_count++] = gid;
}

/* ---- all of it -------------------------------------------------------------------------- */

static int
devices_check_place (const struct container *container, const char *target, struct error *err)
{
  for (size_t i = 0; i < container->mount_count; i++)
    {
      const char *other = container->mounts[i].target;
      if (path_below (target, other) != NULL || path_below (other, target) != NULL)
        return error_set (err, ERROR_USER,
                          "a device of the job brings %s, and the job itself mounts %s", target,
                          other);
    }
  return 0;
}

int
devices_extend (struct devices *devices, const struct container *container, struct container *view,
                struct error *err)
{
  size_t own = container->mount_count;
  *view = *container;
  for (size_t i = 0; i < devices->mount_count; i++)
    if (devices_check_place (container, devices->mounts[i].target, err) != 0)
      return -1;
  for (size_t i = 0; i < devices->node_count; i++)
    if (devices_check_place (container, devices->nodes[i].target, err) != 0)
      return -1;
  if (devices->env.count > 0)
    {
      strlist_extend (&devices->all_env, &container->env);
      strlist_extend (&devices->all_env, &devices->env);
      view->env = devices->all_env;
    }
  if (devices->mount_count == 0)
    return 0;
  devices->all_mounts = xcalloc (own + devices->mount_count, sizeof *devices->all_mounts);
  for (size_t i = 0; i < own; i++)
    devices->all_mounts[i] = container->mounts[i];
  for (size_t i = 0; i < devices->mount_count; i++)
    devices->all_mounts[own + i] = devices->mounts[i];
  view->mounts = devices->all_mounts;
  view->mount_count = own + devices->mount_count;
  return 0;
}

int
devices_add_groups (const struct devices *devices, struct image_user *user, bool mapped,
                    struct error *err)
{
  if (mapped && devices->group_count > 0)
    {
      (void) error_set (err, ERROR_USER,
                        "--device: additionalGids of the specification need a worker that runs as "
                        "root, with --userns none");
      return error_blame_machine (err);
    }
  for (size_t i = 0; i < devices->group_count; i++)
    if (image_user_add_group (user, devices->groups[i], err) != 0)
      return error_wrap (err, "--device: additionalGids");
  return 0;
}

int
devices_allow (const struct devices *devices, struct cgroup *group, bool force, struct error *err)
{
  auto_free struct device_access *more = xcalloc (devices->node_count + 1, sizeof *more);
  for (size_t i = 0; i < devices->node_count; i++)
    {
      more[i] = devices->nodes[i].access;
      if (force || (more[i].read && more[i].written))
        continue;
      (void) error_set (err, ERROR_USER,
                        "--device %s: this machine can't keep a container from %s it: only "
                        "control groups of root can",
                        devices->nodes[i].source, more[i].read ? "writing to" : "reading");
      return error_blame_machine (err);
    }
  return group == NULL || !force ? 0 : cgroup_allow_devices (group, more, devices->node_count, err);
}
