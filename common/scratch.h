/* scratch.h — folders that belong to a living process: locked as long as it lives, anybody's to
 * remove afterwards. */
#ifndef SHOAL_COMMON_SCRATCH_H
#define SHOAL_COMMON_SCRATCH_H

#include "common/error.h"

#include <stdbool.h>
#include <sys/types.h>

/* Makes the folder NAME in DIRFD, empty, in the place of a dead one's. Its descriptor, which holds
 * the lock (the caller closes it), or -1 with ERR. */
int scratch_make (int dirfd, const char *name, mode_t mode, struct error *err);

/* Opens the folder NAME in DIRFD and locks it: its descriptor, which holds the lock, or -1 when it
 * isn't there or somebody living holds it. */
int scratch_lock (int dirfd, const char *name);

/* Removes NAME, whoever's it is; a failure is only logged. */
void scratch_remove (int dirfd, const char *name);

/* Removes the folders in DIRFD whose names start with PREFIX, end in SUFFIX and that nobody living
 * holds; hidden ones are left. How many. */
int scratch_sweep (int dirfd, const char *prefix, const char *suffix);

/* The same for names that IS_OURS says are: where the user chose the folder, others may be in
 * it. */
int scratch_sweep_ours (int dirfd, bool (*is_ours) (const char *name));

#endif
