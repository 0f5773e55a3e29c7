/* watch.h — following a job that others run, until it has ended. */
#ifndef SHOAL_CLI_WATCH_H
#define SHOAL_CLI_WATCH_H

#include "cli/run_options.h"
#include "cli/session.h"

/* Shows progress until the job has ended and says how: its exit code; EXIT_INTERRUPTED after
 * Ctrl-C, which the job doesn't notice; or -1. */
int watch_job (struct session *session, enum progress_kind progress, bool quiet, struct error *err);

/* --progress and -q, for commands that watch; the context is a struct watch_args. */
struct watch_args
{
  enum progress_kind progress;
  bool quiet;
  bool wait; /* --wait, where a command has it */
};

extern const struct option_spec watch_options[]; /* without --wait */
extern const struct option_spec wait_options[];  /* with it */

#endif
