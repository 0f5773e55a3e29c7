/* verdict.h — whether a job counts as done, and whether it should give up: pure functions of its counts. */
#ifndef SHOAL_MERGER_VERDICT_H
#define SHOAL_MERGER_VERDICT_H

#include "merger/fold.h"

/* Why JOB gives up early, the caller frees; NULL: it goes on. */
char *verdict_give_up (const struct job *job, const struct job_status *counts);

/* The state of a job that is settled (fold_settled), conflicts aside; REASON (the caller frees) says why it isn't
 * SUCCEEDED, else NULL. */
enum job_state verdict_state (const struct job *job, const struct fold *fold, char **reason);

#endif
