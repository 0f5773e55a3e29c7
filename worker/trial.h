/* trial.h — whether a container can be run here: a real one, of a command that needs nothing. In a
 * slot process, as a shard's.
 */
#ifndef SHOAL_WORKER_TRIAL_H
#define SHOAL_WORKER_TRIAL_H

#include "schemas/messages.h"
#include "worker/container.h"

/* An image of ours in the job's place: an empty root file system. */
#define TRIAL_IMAGE ""

struct trial
{
  struct container_runtime_options runtime; /* slot_name is this process's own */
  const char *scratch;                      /* folder; NULL: one for temporary files */
};

/* Runs the trial of JOB's container: its runtime, image, user and limits. 0, or -1 with ERR.
 * *DESCRIPTION (NULL before) is set once the runtime is open; the caller frees. */
int trial_run (const struct trial *trial, const struct job *job, char **description,
               struct error *err);

/* Removes what trials whose processes were killed left in SCRATCH (NULL: where they would have put
 * it), waiting for up to WAIT_MS for processes that still die; those that run keep theirs. */
void trial_sweep (const char *scratch, int wait_ms);

#endif
