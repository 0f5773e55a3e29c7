/* attributes.h — what a file carries beside its bytes, owner and mode bits, where that could lend
 * rights: file capabilities, POSIX ACLs, trusted labels. */
#ifndef SHOAL_WORKER_ATTRIBUTES_H
#define SHOAL_WORKER_ATTRIBUTES_H

#include "common/error.h"

#include <sys/types.h>

/* Removes from the open file or folder FD all attributes security.* and trusted.*, its ACL, and a
 * folder's default ACL. What the host's own security module labels all files with (SELinux, Smack)
 * stays. 1 when something was removed, 0 when there was nothing, -1. *MODE, FD's mode, is then what
 * it means without the ACL: an ACL shows its mask as the group's bits. */
int attributes_drop (int fd, mode_t *mode, struct error *err);

#endif
