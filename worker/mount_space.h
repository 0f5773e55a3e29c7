/* mount_space.h — the mount namespace that a slot runs OCI runtimes in. */
#ifndef SHOAL_WORKER_MOUNT_SPACE_H
#define SHOAL_WORKER_MOUNT_SPACE_H

#include "common/error.h"

/* Hides version 2 of the control groups where it is beside version 1, in this mount namespace. 0,
 * or -1 with errno. */
int mount_space_hide_unified (void);

/* Enters a mount namespace of this process's own; ERROR_USER where the host allows none. */
int mount_space_enter (struct error *err);

#endif
