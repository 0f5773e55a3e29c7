/* privileges.h — what a command may do where it is root, in a container and without one. */
#ifndef SHOAL_WORKER_PRIVILEGES_H
#define SHOAL_WORKER_PRIVILEGES_H

#include "common/error.h"

#include <stddef.h>
#include <sys/types.h>

/* The capabilities that root keeps, "CAP_CHOWN" …; NULL behind the last. Other users have none. */
const char *privileges_capability (size_t index);

/* Becomes UID and GID, without other groups where the kernel allows it; UID -1 stays who it is.
 * Keeps the capabilities above where that is root, else none; neither this process nor what it
 * starts gets more by a set-id program. */
int privileges_drop (uid_t uid, gid_t gid, struct error *err);

#endif
