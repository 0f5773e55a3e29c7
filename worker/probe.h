/* probe.h — what this machine can run, found out by running it: each trial (trial.h) is in a slot
 * process of its own. */
#ifndef SHOAL_WORKER_PROBE_H
#define SHOAL_WORKER_PROBE_H

#include "schemas/messages.h"
#include "worker/worker.h"

/* Tries JOB's container: 0; or -1 with ERR, ERROR_USER where the job asks for what can't be.
 * *DESCRIPTION (may be NULL; the caller frees) is one line on the runtime, NULL where it can't be
 * opened. */
int probe_job (const struct worker_options *options, const struct job *job, char **description,
               struct error *err);

enum
{
  PROBE_RUNTIMES = 2, /* at most */
};

/* One runtime. */
struct runtime_probe
{
  const char *runtime;
  bool allowed;         /* by the policy */
  char *description;    /* "crun version 1.8.1 …"; NULL: it can't be opened */
  struct error failure; /* a command doesn't run … */
  struct error limits;  /* … or not with limits of memory, processors and processes … */
  struct error users;   /* … or not as a user who isn't root */
};

/* Whether the policy lets jobs have RUNTIME. */
bool probe_is_allowed (const struct worker_options *options, const char *runtime);

/* Tries RUNTIME without limits, as its default user. Fills PROBE. */
void probe_runtime (const struct worker_options *options, const char *runtime,
                    struct runtime_probe *probe);

/* Tries all runtimes, also with limits and users, which a pod has its own of. How many there are.
 */
size_t probe_all (const struct worker_options *options,
                  struct runtime_probe probes[static PROBE_RUNTIMES]);

bool probe_works (const struct runtime_probe *probe);
void probe_release (struct runtime_probe *probe);
#define auto_probe AUTO (probe_release)

/* The INDEX-th runtime of a worker with OPTIONS, the preferred first; NULL behind the last. */
const char *probe_name (const struct worker_options *options, size_t index);

#endif
