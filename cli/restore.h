/* restore.h — a job has ended, and somebody removed its result since, or a part of it: seen, and
 * made again.
 *
 *     the manifest (of a folder: or outputs/) is gone    attempts that are there are merged, the
 *                                                        shards of others run again
 *     behind a URL all of it is gone                     what this machine knows of the job is
 *                                                        void, as a removed folder is
 */
#ifndef SHOAL_CLI_RESTORE_H
#define SHOAL_CLI_RESTORE_H

#include "cli/session.h"

/* Whether it is still noted where SESSION's result is kept that it is there: 1, 0 or -1. */
int restore_is_left (const struct session *session, struct error *err);

/* ERROR_USER when nothing is left. */
int restore_check_left (const struct session *session, struct error *err);

/* Whether the result of SESSION's job, which ended as STATUS, stands: 1, also where none was
 * promised; 0 or -1. */
int restore_stands (const struct session *session, const struct job_status *status,
                    struct error *err);

/* ERROR_USER when SESSION's job, a fleet's, has ended long ago and its result, behind a URL,
 * doesn't stand; where that can't be seen it is said. */
int restore_check_stands (const struct session *session, struct error *err);

/* Opens the job, which is locked and ended as STATUS, again: 1 when it has only to be merged, 0
 * when shards have to run, or -1. */
int restore_reopen (struct session *session, struct job_status *status, struct error *err);

#endif
