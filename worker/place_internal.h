/* place_internal.h — what putting a folder in place shares with putting a file. The target folder
 * is the one that place_enter was told of. */
#ifndef SHOAL_WORKER_PLACE_INTERNAL_H
#define SHOAL_WORKER_PLACE_INTERNAL_H

#include "worker/place.h"

/* Makes the folder PATH below the target, and the current one. */
int place_enter (struct place *place, const char *path, struct error *err);

/* Links the file open at FD (O_PATH) under NAME: 0, 1 where that isn't possible, or -1. PATH is for
 * the error. */
int place_open_link (struct place *place, int fd, const char *path, const char *name,
                     int64_t *bytes, struct error *err);

/* The same as a copy. */
int place_open_copy (struct place *place, int fd, const char *path, const char *name,
                     int64_t *bytes, struct error *err);

/* The symbolic link NAME of the folder SOURCE_FD, as it is. */
int place_copy_link (const struct place *place, int source_fd, const char *path, const char *name,
                     struct error *err);

#endif
