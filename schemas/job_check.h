/* job_check.h — what must hold of any job, by whichever door it came: command line, HTTP, another
 * program's Avro, a result's folder; asked again by the worker.
 *
 * What a job's members may be is said here and in job_bounds.h, and nowhere else: the command
 * line's options only turn text into numbers. Asks nothing of the machine: whether a folder or an
 * image is there is for others to say.
 */
#ifndef SHOAL_SCHEMAS_JOB_CHECK_H
#define SHOAL_SCHEMAS_JOB_CHECK_H

#include "common/error.h"
#include "schemas/messages.h"

/* An id is part of file names, keys and URLs: 1 to 128 letters, digits, '.', '_' or '-', the first
 * no '.' or '-'. ERROR_USER. */
int job_check_id (const char *id, struct error *err);

/* The name of an output is a folder's. ERROR_USER. */
int job_check_output_name (const char *name, struct error *err);

/* A queue is part of topics' names: 1 to 64 of a-z, 0-9, '_', '-'. ERROR_USER. */
int job_check_queue (const char *queue, struct error *err);

/* The name of credentials is a file's: 1 to 63 of a-z, 0-9, '-', the first no '-'. ERROR_USER. */
int job_check_credentials (const char *name, struct error *err);

/* An image's id: "sha256:" and 64 digits 0-9, a-f. ERROR_USER. */
int job_check_image_id (const char *id, struct error *err);

/* http:// or https://, without a user's name or password. ERROR_USER. */
int job_check_webhook (const char *url, struct error *err);

/* Whether JOB can be run as it is, as far as can be said without looking at its inputs and reading
 * its patterns: 0, or -1 with ERROR_USER and *FIELD (may be NULL), the member of Job.avsc that is
 * wrong. The job's paths are normal afterwards (path.h), and it has a base path when it has a
 * pattern. */
int job_check (struct job *job, const char **field, struct error *err);

#endif
