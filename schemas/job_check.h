/* job_check.h — what must hold of any job, by whichever door it came: command line, HTTP, or another program's Avro. */
#ifndef SHOAL_SCHEMAS_JOB_CHECK_H
#define SHOAL_SCHEMAS_JOB_CHECK_H

#include "common/error.h"
#include "schemas/messages.h"

/* An id is part of file names, keys and URLs: 1 to 128 letters, digits, '.', '_' or '-', the first no '.' or '-'. ERROR_USER. */
int job_check_id (const char *id, struct error *err);

/* The name of an output is a folder's. ERROR_USER. */
int job_check_output_name (const char *name, struct error *err);

/* A queue is part of topics' names: 1 to 64 of a-z, 0-9, '_', '-'. ERROR_USER. */
int job_check_queue (const char *queue, struct error *err);

/* http:// or https://, without a user's name or password. ERROR_USER. */
int job_check_webhook (const char *url, struct error *err);

/* Whether JOB can be run as it is, as far as can be said without looking at its inputs: 0, or -1 with ERROR_USER and *FIELD (may be NULL), the
 * member of Job.avsc that is wrong. Paths in it needn't be normal. */
int job_check (const struct job *job, const char **field, struct error *err);

#endif
