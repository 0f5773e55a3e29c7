/* admit.h — what is asked of a job at every door, before anything is made of it: command line,
 * HTTP, a bus, a result's folder. */
#ifndef SHOAL_PRODUCER_ADMIT_H
#define SHOAL_PRODUCER_ADMIT_H

#include "policy/policy.h"
#include "schemas/messages.h"

/* Whether JOB may be planned: job_check, then what POLICY (NULL: anything) says of it, then
 * slicer_check. Its paths are normal afterwards. 0, or -1 with *FIELD, the member of Job.avsc that
 * is wrong: the same field and the same reason wherever the job came in. ERROR_USER, or what a
 * volume's storage said. */
int admit_job (const struct policy *policy, struct job *job, const char **field, struct error *err);

#endif
