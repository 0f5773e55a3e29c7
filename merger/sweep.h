/* sweep.h — removes what doesn't count any more: trees of dead mergers, attempts that lost. */
#ifndef SHOAL_MERGER_SWEEP_H
#define SHOAL_MERGER_SWEEP_H

#include "merger/fold.h"
#include "merger/heartbeat.h"

/* Removes the build folders in FOLDER_FD/.shoal that nobody holds a lock on. */
int sweep_builds (int folder_fd, struct error *err);

/* Removes the attempts that FOLD doesn't count. */
int sweep_attempts (int folder_fd, const struct fold *fold, struct error *err);

/* Does the same, with uploads that were left, where JOB's result is kept behind a URL; what can't
 * be removed is only logged. OLDER_STANDS: an older manifest does, and what it counts stays; with
 * SHOAL_KEEP_ATTEMPTS, for those who want to look at them, attempts that lost stay too. HEARTBEAT
 * (may be NULL) is renewed meanwhile. */
void sweep_store (const struct job *job, struct fold *fold, bool older_stands,
                  const struct heartbeat *heartbeat);

/* Whether FOLD counts the attempt NAME; what isn't an attempt's name counts. */
bool sweep_counts (const struct fold *fold, const char *name);

#endif
