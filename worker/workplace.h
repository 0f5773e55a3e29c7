/* workplace.h — the two folders in which one attempt is made: what is kept of it, and what is
 * thrown away.
 *
 *     RESULT/.shoal/tmp/NAME           becomes RESULT/.shoal/attempts/NAME by one rename when the
 *                                      attempt is whole
 *     RESULT/.shoal/tmp/NAME.scratch   staging, root file system; or SCRATCH/shoal-PID-NAME
 *
 * Both are locked (flock on the folder) by the process that works in them, so that what a dead one
 * left can be told from what a living one needs.
 */
#ifndef SHOAL_WORKER_WORKPLACE_H
#define SHOAL_WORKER_WORKPLACE_H

#include "common/auto.h"
#include "common/error.h"
#include "schemas/messages.h"

struct workplace
{
  char *name; /* result_attempt_name */
  int result_fd;
  int folder_fd;      /* tmp/NAME */
  char *folder;       /* the same as an absolute path */
  int scratch_parent; /* the folder that scratch is in */
  int scratch_fd;
  char *scratch_name;
  char *scratch; /* absolute path */
};

#define WORKPLACE_INIT                                                                             \
  {                                                                                                \
    .result_fd = -1, .folder_fd = -1, .scratch_parent = -1, .scratch_fd = -1                       \
  }

/* Makes both folders, for the attempt NAME of the result that stands at LOCATION. SCRATCH NULL:
 * beside the result. Errors are never ERROR_USER. What was made is removed by workplace_discard. */
int workplace_make (struct workplace *workplace, const char *location, const char *scratch,
                    const char *name, struct error *err);

/* Removes the scratch folder and moves the other to RESULT/.shoal/attempts/NAME. */
int workplace_keep (struct workplace *workplace, struct error *err);

/* Removes both. */
void workplace_discard (struct workplace *workplace);

void workplace_release (struct workplace *workplace);
#define auto_workplace AUTO (workplace_release)

/* Removes what dead processes left of the result at LOCATION, and in SCRATCH (may be NULL). Returns
 * how many folders. */
int workplace_sweep (const char *location, const char *scratch);

/* The same behind a slot that was killed in the attempt NAME: what it had started may hold the
 * folders for some milliseconds longer than it lived, so they are waited for, a second at most. */
void workplace_sweep_behind (const char *location, const char *scratch, const char *name);

/* Removes the finished attempt NAME of the result at LOCATION: it will never count. */
void workplace_forget (const struct job *job, const char *name);

#endif
