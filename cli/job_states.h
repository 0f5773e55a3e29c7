/* job_states.h — which jobs are meant, by how they stand: "running,failed". */
#ifndef SHOAL_CLI_JOB_STATES_H
#define SHOAL_CLI_JOB_STATES_H

#include "common/error.h"
#include "schemas/messages.h"

#include <stdbool.h>

/* A set of states; 0 is any. */
typedef unsigned int job_states;

/* Adds to STATES those that TEXT names, between commas. ERROR_USER names the one that is none. */
int job_states_read (const char *text, job_states *states, struct error *err);

static inline bool
job_states_have (job_states states, enum job_state state)
{
  return states == 0 || (states >> state & 1U) != 0;
}

#endif
