/* userns.h — a user namespace for the containers of a worker that runs as root: root inside isn't
 * root outside.
 *
 * Users 0, 1, … of a container are users FIRST, FIRST + 1, … of the machine, whom nothing belongs
 * to. What it has mounted is mapped the other way (mount_setattr(2), MOUNT_ATTR_IDMAP), so that
 * files look inside, and outputs outside, as they do without one.
 */
#ifndef SHOAL_WORKER_USERNS_H
#define SHOAL_WORKER_USERNS_H

#include "common/auto.h"
#include "common/error.h"
#include "worker/image_user.h"

#include <stdbool.h>
#include <stdint.h>

enum
{
  USERNS_COUNT_MIN = 65536, /* users that an image may have */
};

struct userns_ids
{
  uint32_t first_uid;
  uint32_t first_gid;
  uint32_t count; /* 0: no namespace */
};

struct userns
{
  struct userns_ids ids;
  int fd; /* -1: none */
};

/* What CHOICE asks for: "none", "FIRST:COUNT", or "auto" (NULL is that, too): the range of the user
 * shoal in /etc/subuid and /etc/subgid, none where there is none. 0 with IDS, or -1: ERROR_USER. */
int userns_choose (const char *choice, struct userns_ids *ids, struct error *err);

/* Refuses (-1, ERROR_USER) a CHOICE that names a range where containers couldn't have it: "auto" is
 * content with none. */
int userns_check (const char *choice, bool rootless, bool crun, struct error *err);

/* As userns_choose's "auto", from these files. */
int userns_find (const char *uid_file, const char *gid_file, struct userns_ids *ids);

/* A descriptor of a namespace with IDS, which the caller closes. As root only; -1 with ERR. */
int userns_open (const struct userns_ids *ids, struct error *err);

/* A descriptor of the folder or file SOURCE_FD as a mount of its own in which users are those of
 * the namespace USERNS_FD. -1 with ERR: ERROR_TRANSIENT, names WHAT, where its file system can't
 * map. */
int userns_map (int userns_fd, int source_fd, const char *what, struct error *err);

/* 0 unless something is mounted below the folder SOURCE_FD: the runtime would leave that out
 * without a word. -1 with ERR: ERROR_TRANSIENT, names WHAT and the mount. */
int userns_check_alone (int source_fd, const char *what, struct error *err);

/* Gives all that lies in the folder FOLDER_FD, and itself, to root of the namespace, or whoever of
 * it the owner's number means. */
int userns_give (const struct userns_ids *ids, int folder_fd, struct error *err);

/* Whether USER and its groups are there in the namespace, if there is one; another worker's may be
 * larger. */
int userns_check_user (const struct userns *userns, const struct image_user *user,
                       struct error *err);

#endif
