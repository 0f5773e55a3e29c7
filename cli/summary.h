/* summary.h — how a job went, on one screen, and its exit code. */
#ifndef SHOAL_CLI_SUMMARY_H
#define SHOAL_CLI_SUMMARY_H

#include "cli/counters.h"
#include "cli/session.h"

#include <stdio.h>

/* State, counts, where the result stands, why shards failed, what can be done next. */
void summary_print (FILE *out, const struct session *session, const struct counters *counters,
                    const struct job_status *status);

/* The failed shards by reason, with the last line of the first one's stderr; at most a few
 * lines. */
void summary_failures (FILE *out, const struct session *session, const struct counters *counters);

/* What a command says when the job has ended as STATUS: all of it, or when QUIET only what went
 * wrong. Returns the exit code. */
int summary_tell (const struct session *session, const struct counters *counters,
                  const struct job_status *status, bool quiet);

/* The exit code that goes with a job's terminal STATUS. */
int summary_exit_code (const struct counters *counters, const struct job_status *status);

/* Reads all events of SESSION's job into zeroed COUNTERS. */
int summary_read (const struct session *session, struct counters *counters, struct error *err);

#endif
