/* summary.h — how a job went, on one screen, and its exit code. */
#ifndef SHOAL_CLI_SUMMARY_H
#define SHOAL_CLI_SUMMARY_H

#include "cli/session.h"
#include "cli/tally.h"

#include <stdio.h>

/* State, counts, where the result stands, why shards failed, what can be done next. */
void summary_print (FILE *out, const struct session *session, const struct tally *tally,
                    const struct job_status *status);

/* The failed shards by reason, at most a few lines. */
void summary_failures (FILE *out, const struct tally *tally);

/* The exit code that goes with a job's terminal STATUS. */
int summary_exit_code (const struct tally *tally, const struct job_status *status);

/* Reads all events of SESSION's job into zeroed TALLY. */
int summary_read (const struct session *session, struct tally *tally, struct error *err);

#endif
