/* report_job.h — what a report says of the job itself: its command, inputs and limits. */
#ifndef SHOAL_MERGER_REPORT_JOB_H
#define SHOAL_MERGER_REPORT_JOB_H

#include "common/buffer.h"
#include "schemas/messages.h"

/* Appends JOB's command as a shell reads it back, and a table of what it reads and may use. Values
 * of variables and passwords in URLs aren't told. */
void report_put_job (const struct job *job, struct buffer *out);

#endif
