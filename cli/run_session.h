/* run_session.h — running a result's job from where it is: what `run` and `resume` have in
 * common. */
#ifndef SHOAL_CLI_RUN_SESSION_H
#define SHOAL_CLI_RUN_SESSION_H

#include "cli/run_options.h"
#include "cli/session.h"

/* Runs the job of SESSION (locked) to its end and tells how it went; one that has ended is only
 * told of. An exit code, or -1. */
int run_session (struct session *session, const struct run_options *options, struct error *err);

#endif
