/* merger.h — the service that follows the events and makes the result.
 *
 * In: events from the bus, attempt folders in the result. Out: the assembled tree, manifest.json,
 * report.html, the job's status on the bus; the CANCELLED event when a job's limits are passed.
 * State: a fold over the events, rebuilt by reading; the tree in the making belongs to this process
 * alone, and appears by one rename.
 */
#ifndef SHOAL_MERGER_MERGER_H
#define SHOAL_MERGER_MERGER_H

#include "common/error.h"
#include "common/health.h"
#include "common/strlist.h"
#include "policy/policy.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct merger_options
{
  const char *bus_url;
  const struct strlist *bus_properties; /* bus.h; NULL: none */
  int64_t lease_ms;                     /* 0: default */
  const struct policy *policy;          /* what jobs may ask for; NULL: anything */
  const char *settings;  /* what all mergers should have in common, for people; NULL: nothing */
  const char *job_id;    /* only this job, return when it is terminal; NULL: all, for ever */
  bool webhook_private;  /* jobs' webhooks may be at special addresses (webhook.h) */
  struct health *health; /* what is said of it while it runs; NULL: nobody asks */
  volatile sig_atomic_t *stop;
};

int merger_run (const struct merger_options *options, struct error *err);

#endif
