/* unchanged.h — whether a file of an attempt is still what the attempt wrote. */
#ifndef SHOAL_MERGER_UNCHANGED_H
#define SHOAL_MERGER_UNCHANGED_H

#include "common/error.h"
#include "merger/heartbeat.h"
#include "merger/lines.h"

/* Compares the file NAME in the folder FOLDER_FD with LINE, which tells of it: 1, 0 or -1 with ERR.
 * Size and time tell as a rule; a file with another time (a copy of a result has others) is summed,
 * and HEARTBEAT (may be NULL) is renewed meanwhile. A line without a time is taken as it is. */
int unchanged_file (int folder_fd, const char *name, const struct line *line,
                    const struct heartbeat *heartbeat, struct error *err);

/* Compares all files that LINES, which was just opened, tells of the attempt FOLDER_FD/ATTEMPT. 1;
 * 0 with the first that isn't the same in LINES; or -1 with ERR. */
int unchanged_attempt (int folder_fd, const char *attempt, struct lines *lines,
                       const struct heartbeat *heartbeat, struct error *err);

#endif
