/* merge.h — a job that has ended is assembled again. */
#ifndef SHOAL_CLI_MERGE_H
#define SHOAL_CLI_MERGE_H

#include "cli/session.h"

/* Has SESSION's job, which ended as STATUS, assembled again by POLICY; a merger has still to do
 * it. */
int merge_reopen (struct session *session, enum on_conflict policy, struct job_status *status,
                  struct error *err);

#endif
