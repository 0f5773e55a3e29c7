/* identity.h — which file or folder of this machine something is, for places where its descriptor
 * is of no use: in another mount namespace it is opened again, by its path, and is the same one or
 * none. */
#ifndef SHOAL_WORKER_IDENTITY_H
#define SHOAL_WORKER_IDENTITY_H

#include "common/error.h"

#include <stdbool.h>
#include <sys/types.h>

struct identity
{
  dev_t device;
  ino_t inode;
  bool folder;
};

/* Fills IDENTITY with what FD is open on, and returns where that is: absolute, without links. The
 * caller frees; NULL with ERR. */
char *identity_take (struct identity *identity, int fd, struct error *err);

/* Opens (O_PATH) what lies at PATH, following no link. -1 with ERR where that isn't IDENTITY:
 * ERROR_USER. */
int identity_open (const struct identity *identity, const char *path, struct error *err);

#endif
