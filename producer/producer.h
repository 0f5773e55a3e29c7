/* producer.h — the service that turns jobs into shards.
 *
 * In: jobs from the bus. Out: shards, then the PLANNED event (or FAILED) on the bus. State: none of
 * its own; a producer that is killed has its job taken by the next one, which publishes the same
 * shards again.
 */
#ifndef SHOAL_PRODUCER_PRODUCER_H
#define SHOAL_PRODUCER_PRODUCER_H

#include "common/error.h"
#include "common/health.h"
#include "common/strlist.h"
#include "policy/policy.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct producer_options
{
  const char *bus_url;
  const struct strlist *bus_properties; /* bus.h; NULL: none */
  int64_t lease_ms;                     /* 0: default */
  const struct policy *policy;          /* what jobs may ask for; NULL: anything */
  int64_t window;        /* shards of a job that are published and not settled; 0: all, but of a job
                            that limits how many run (window.h) */
  const char *job_id;    /* only this job, then return; NULL: all, for ever */
  bool takes_jobs;       /* a door beside it does (bus.h) */
  struct health *health; /* what is said of it while it runs; NULL: nobody asks */
  volatile sig_atomic_t *stop; /* becomes non-zero on SIGTERM: finish what can't wait and return */
};

/* Runs until stopped or until job_id is planned. 0, or -1: ERROR_FATAL, or with a job_id
 * ERROR_TRANSIENT of the bus; else that is waited for. A job that can't be planned is not an error
 * of the producer. */
int producer_run (const struct producer_options *options, struct error *err);

#endif
