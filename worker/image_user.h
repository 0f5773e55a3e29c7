/* image_user.h — who a container's command is: its user, groups and home, by the image's own
 * /etc/passwd and /etc/group, as `docker run` has it. */
#ifndef SHOAL_WORKER_IMAGE_USER_H
#define SHOAL_WORKER_IMAGE_USER_H

#include "common/auto.h"
#include "common/error.h"
#include "schemas/messages.h"
#include "worker/image_config.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum
{
  IMAGE_GROUPS_MAX = 1024,
};

struct image_user
{
  uid_t uid;
  gid_t gid;
  gid_t *groups; /* all of them, GID first */
  size_t group_count;
  char *home; /* of passwd, "/" for who isn't there */
};

/* Fills USER with who JOB's command is: JOB's user, else the image's, else root. Names are looked
 * up in /etc/passwd and /etc/group below ROOTFS; numbers need neither file. Without a group of its
 * own it has all those that /etc/group puts it in; the job's groups come on top. A name that isn't
 * there is ERROR_USER. To be released in either case. */
int image_config_user (const struct image_config *config, const struct job *job, const char *rootfs,
                       struct image_user *user, struct error *err);

/* Puts USER in the group GID too; ERROR_USER when it is in too many. */
int image_user_add_group (struct image_user *user, gid_t gid, struct error *err);

/* ERROR_USER where JOB asks for groups: somebody who isn't root can't give any to a container,
 * whose one user is they. Also unless USER is 0:0 or the one user may have ANY number: crun takes
 * any for a user namespace, runc takes root, and a command without a container has the host's
 * accounts. */
int image_user_check_rootless (const struct image_user *user, const struct job *job, bool any,
                               struct error *err);

void image_user_release (struct image_user *user);
#define auto_image_user AUTO (image_user_release)

#endif
