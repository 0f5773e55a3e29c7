/* amend.h — other limits and variables for a job that is run again: the options of `retry` and
 * `resume`. */
#ifndef SHOAL_CLI_AMEND_H
#define SHOAL_CLI_AMEND_H

#include "cli/job_options.h"
#include "cli/session.h"

/* What was asked for: members that weren't named have the values of amend_init. */
void amend_init (struct job_args *args);

/* The job of SESSION with what ARGS say into zeroed AMENDED: 1; 0 where they say nothing; or -1:
 * ERROR_USER for what can't be, and for a job of a fleet. The images that it needs then are in the
 * store IMAGES (NULL: the default one), with its ids. */
int amend_make (const struct session *session, const struct job_args *args, const char *images,
                struct job *amended, struct error *err);

/* Has AMENDED take the place of the job of SESSION, which is ours, on its bus as well. 0 or -1. */
int amend_keep (struct session *session, const struct job *amended, struct error *err);

#endif
