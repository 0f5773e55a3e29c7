/* devices.h — what a container has because its job asks for devices (asked_devices.h): nodes of
 * this machine, and what CDI specifications (cdi.h) say goes with them.
 *
 * A node is shown as a mount of its own that can't be written to: the device can, but not the
 * node's mode and owner, which are the machine's. So it is the same with and without a user
 * namespace.
 */
#ifndef SHOAL_WORKER_DEVICES_H
#define SHOAL_WORKER_DEVICES_H

#include "common/auto.h"
#include "common/error.h"
#include "schemas/messages.h"
#include "worker/cgroup.h"
#include "worker/container.h"
#include "worker/device_rule.h"
#include "worker/identity.h"
#include "worker/image_user.h"

#include <stddef.h>
#include <sys/types.h>

struct device_node
{
  char *source; /* of this machine, absolute, without links */
  char *target; /* in the container, normal, below /dev */
  struct identity identity;
  struct device_access access;
};

struct devices
{
  struct device_node *nodes;
  size_t node_count;
  struct container_mount *mounts; /* read-only */
  size_t mount_count;
  struct strlist env;
  size_t env_size; /* bytes of them all */
  gid_t *groups;   /* that the command is in as well */
  size_t group_count;
  struct container_mount *all_mounts; /* of devices_extend; they own none of their texts */
  struct strlist all_env;
};

void devices_release (struct devices *devices);
#define auto_devices AUTO (devices_release)

/* CONTAINER with the mounts and variables of DEVICES as well, into VIEW, which is good as long as
 * both. ERROR_USER where a mount or a node would hide what the job mounts. */
int devices_extend (struct devices *devices, const struct container *container,
                    struct container *view, struct error *err);

/* Lets what is in GROUP (NULL: none) open DEVICES, as far as a rule for them is in FORCE there; a
 * node of which less than all may be done needs that. */
int devices_allow (const struct devices *devices, struct cgroup *group, bool force,
                   struct error *err);

/* Puts USER in the groups of DEVICES as well; they can't be where containers have groups of their
 * own (MAPPED), as in a user namespace. */
int devices_add_groups (const struct devices *devices, struct image_user *user, bool mapped,
                        struct error *err);

/* For cdi.h: adds the node at SOURCE as TARGET, or what is at SOURCE, read-only, at TARGET. What is
 * there already is taken as it is. ERROR_USER. */
int devices_add_node (struct devices *devices, const char *source, const char *target, bool read,
                      bool written, struct error *err);
int devices_add_mount (struct devices *devices, const char *source, const char *target,
                       struct error *err);
void devices_add_group (struct devices *devices, gid_t gid);

#endif
