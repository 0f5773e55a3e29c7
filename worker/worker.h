/* worker.h — the service that runs shards: slots that each run one container at a time.
 *
 *     worker process:  bus ◄─ take / keep / settle ─► slot table
 *                                                       │ socket pair each
 *     slot process:    stage in → container → collect ──┘ report
 *
 * In: shards from the bus. Out: a whole attempt folder in the result, then STARTED and FINISHED
 * events. State: none that matters: what a killed worker was running is delivered again, what it
 * left in .shoal/tmp is garbage.
 */
#ifndef SHOAL_WORKER_WORKER_H
#define SHOAL_WORKER_WORKER_H

#include "common/error.h"
#include "common/health.h"
#include "common/strlist.h"
#include "policy/policy.h"
#include "worker/pod.h"
#include "worker/pod_cost.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct worker_options
{
  const char *bus_url;
  const struct strlist *bus_properties; /* bus.h; NULL: none */
  const struct strlist *queues; /* whose shards it runs, the preferred first; NULL: "default" */
  const char *job_id;           /* only this job, return when it is terminal; NULL: all, for ever */
  int slots;                    /* 0: the processors that may be used (cpus.h) */
  int64_t prefetch_bytes; /* inputs of next shards that are fetched while others run; 0: none */
  const struct policy *policy;   /* what jobs may ask for; NULL: anything */
  const char *images;            /* the image store's folder; NULL: image_store_default */
  const char *oci_program;       /* "crun", "runc"; NULL: crun, else runc */
  const char *userns;            /* as userns_choose takes it (userns.h) */
  const char *cdi;               /* folders of CDI specifications (cdi.h); NULL: the usual ones */
  const struct pod_options *pod; /* pod.h: where jobs' containers run instead; NULL: here */
  const struct pod_cost_options *pod_cost; /* pod_cost.h; NULL: no API server is asked */
  const char *scratch; /* folder for root file systems and staging; NULL: beside the result */
  int64_t lease_ms;    /* 0: default */
  int64_t drain_ms;    /* after the first stop; -1: as long as it takes */
  int64_t idle_ms;     /* ends when there was nothing to do for so long; 0: never */
  int64_t max_shards;  /* ends when it has run so many; 0: any */
  int32_t max_lost;    /* a shard that lost its worker this often is given up; 0: 3 */
  int32_t max_infra;   /* infra failures of a shard before it is given up; 0: 5 */
  int64_t backoff_ms;  /* first retry's delay, doubled each time with jitter, up to 1 min; 0: 1 s */
  struct health *health; /* what is said of it while it runs; NULL: nobody asks */
  /* bytes of inputs that came for shards that haven't ended, for others to read; NULL */
  int64_t *coming;
  volatile sig_atomic_t *stop; /* 1: take no more, run out; 2: stop containers and release */
};

int worker_run (const struct worker_options *options, struct error *err);

/* Removes the control groups that killed slots of this machine left: for who had a worker that may
 * have been killed. */
void worker_sweep (void);

/* The slot process: started by worker_run as `shoal slot` without arguments, speaks with its worker
 * on descriptor FD (3). Its worker tells it all it needs in the first frame: OPTIONS may be empty.
 * Returns the exit code. */
int slot_main (int fd, const struct worker_options *options);

#endif
