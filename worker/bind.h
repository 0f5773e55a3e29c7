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

/* A mount of what SOURCE_FD (O_PATH) is open on, and of what is mounted below it, that isn't at any
 * place yet: a descriptor, or -1. ATTRIBUTES as above. WHAT is for the error. */
int bind_clone (int source_fd, uint64_t attributes, const char *what, struct error *err);

/* Puts TREE at NAME ("": itself) in the folder FOLDER_FD. */
int bind_attach (int tree, int folder_fd, const char *name, struct error *err);

/* Sets ATTRIBUTES on the one mount that the folder FD is the root of. */
int bind_restrict (int fd, uint64_t attributes, struct error *err);

/* Lets devices be opened on the one mount that the folder FD is the root of. */
int bind_allow_devices (int fd, struct error *err);

#endif
