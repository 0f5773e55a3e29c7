/* submit.h — giving a job to a fleet. */
#ifndef SHOAL_CLI_SUBMIT_H
#define SHOAL_CLI_SUBMIT_H

#include "cli/job_options.h"
#include "cli/session.h"

extern const struct option_spec
    fleet_options[]; /* --upload, --fetch; their context is a struct job_args */

/* Submits the job of ARGS: as bus_submit. An id of our own making that is taken means another
 * id. */
int job_args_submit (struct job_args *args, struct bus *bus, struct error *err);

/* Makes the inputs of ARGS ones that workers see (upload.h; SAY: tells of it), submits its job and
 * opens it in SESSION (SESSION_INIT, the caller releases). A job of that id that is there already
 * is opened; ERROR_USER when it is another one. 0; BUS_UNREAD when it was taken but can't be read
 * yet, which is printed; or -1. */
int submit_job (struct session *session, struct job_args *args, const struct bus_args *bus,
                bool say, struct error *err);

/* The error of a command that would wait for a job that can't be read yet. -1 with ERR. */
int submit_unread (const struct session *session, struct error *err);

/* What --fetch asks for, behind watch_job of the job ID, which gave CODE: its result is copied when
 * it counts as done. CODE, or -1. */
int submit_fetch (const struct job_args *args, const struct bus_args *bus, const char *id, int code,
                  bool quiet, struct error *err);

#endif
