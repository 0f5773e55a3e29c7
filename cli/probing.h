/* probing.h — `worker --probe`, and a job's container tried before a run makes anything. */
#ifndef SHOAL_CLI_PROBING_H
#define SHOAL_CLI_PROBING_H

#include "cli/run_options.h"
#include "schemas/messages.h"
#include "worker/worker.h"

/* Prints what runs here and what doesn't, with JSON as one object. EXIT_DONE, or -1 with ERR when
 * no runtime that the policy allows works. */
int probing_print (const struct worker_options *options, bool json, struct error *err);

/* Tries JOB's container as a run with OPTIONS starts it, unless it asks for nothing that could fail
 * on a machine as most are; -1 with ERR. */
int probing_check_job (const struct job *job, const struct run_options *options, struct error *err);

#endif
