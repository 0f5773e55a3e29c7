/* job_check.h — what must hold of any job, by whichever door it came: command line, HTTP, another
 * program's Avro, a result's folder; asked again by the worker.
 *
 * What a job's members may be is said here and in job_bounds.h, and nowhere else: the command
 * line's options only turn text into numbers. Asks nothing of the machine: whether a folder or an
 * image is there is for others to say.
 */
#ifndef SHOAL_SCHEMAS_JOB_CHECK_H
#define SHOAL_SCHEMAS_JOB_CHECK_H

#include "schemas/job_names.h"
#include "schemas/messages.h"

/* Whether JOB can be run as it is, as far as can be said without looking at its inputs and reading
 * its patterns: 0, or -1 with ERROR_USER and *FIELD (may be NULL), the member of Job.avsc that is
 * wrong. The job's paths are normal afterwards (path.h), and it has a base path when it has a
 * pattern. */
int job_check (struct job *job, const char **field, struct error *err);

#endif
