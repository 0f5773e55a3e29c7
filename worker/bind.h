/* bind.h — folders and files of the host, mounted at another place with all that is mounted below
 * them. */
#ifndef SHOAL_WORKER_BIND_H
#define SHOAL_WORKER_BIND_H

#include "common/error.h"

#include <stdint.h>

/* 0 when this kernel can say of a mount and all below it that nothing is to be written; else -1 and
 * ERROR_USER. */
int bind_check_kernel (struct error *err);

/* Mounts SOURCE at the folder or file TARGET_FD. ATTRIBUTES (MOUNT_ATTR_…) are set on it and on
 * what is mounted below it. */
int bind_mount (const char *source, int target_fd, uint64_t attributes, struct error *err);

/* Sets ATTRIBUTES on the one mount that the folder FD is the root of. */
int bind_restrict (int fd, uint64_t attributes, struct error *err);

/* Lets devices be opened on the one mount that the folder FD is the root of. */
int bind_allow_devices (int fd, struct error *err);

#endif
