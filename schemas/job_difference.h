/* job_difference.h — whether two jobs are the same one, sent twice. */
#ifndef SHOAL_SCHEMAS_JOB_DIFFERENCE_H
#define SHOAL_SCHEMAS_JOB_DIFFERENCE_H

#include "schemas/messages.h"

/* The name of the first option in which the two jobs differ ("--batch-size"), NULL when they ask
 * for the same; id, time of submission and the result's place don't count. */
const char *job_difference (const struct job *a, const struct job *b);

#endif
