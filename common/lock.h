/* lock.h — files that processes of one user lock (flock, fcntl), and nobody else.
 *
 * Whoever can open a file can lock it, and so keep us waiting: a lock's file is 0600.
 */
#ifndef SHOAL_COMMON_LOCK_H
#define SHOAL_COMMON_LOCK_H

#include "common/error.h"

#include <sys/types.h>

/* Opens the file NAME in DIRFD for reading and writing, made where it is absent; one of ours that
 * others may open is closed to them. A symbolic link isn't followed. The descriptor, or -1. */
int lock_open (int dirfd, const char *name, struct error *err);

/* The process that holds NAME in the folder DIRFD by flock(2), exclusively: 0 when none does, 1
 * when its number isn't known here. Disturbs nobody, and needs no right to open the file. */
pid_t lock_holder (int dirfd, const char *name);

#endif
