/* listening.h — what a service serves by HTTP beside its work: /metrics, /healthz, /readyz; a
 * producer takes jobs as well. */
#ifndef SHOAL_CLI_LISTENING_H
#define SHOAL_CLI_LISTENING_H

#include "cli/bus_options.h"
#include "common/auto.h"
#include "common/health.h"
#include "policy/policy.h"

struct listening_args
{
  const char *address; /* NULL: doesn't listen */
  bool has_per_address;
  int per_address;        /* connections from one address at once; 0: any */
  const char *token_file; /* NULL: SHOAL_TOKEN, or none: then no jobs are taken */
  /* folder of results without an absolute place; NULL: where the service was started */
  const char *results;
};

struct listening
{
  struct health *health; /* NULL when it doesn't listen */
  struct httpd *httpd;
  struct job_api *api;
  struct queue_api *queues;
  bool takes_jobs; /* by whoever knows the token */
};

extern const struct option_spec listen_options[];
extern const struct option_spec job_api_options[]; /* a producer's */

/* Starts to listen where ARGS say; with BUS (outlives it, NULL: none) jobs are taken for it, as
 * POLICY lets them be (outlives it): what `results` names is added to where it lets results stand.
 * LISTENING is zeroed. -1 with ERR. */
int listening_start (struct listening *listening, const struct listening_args *args,
                     const struct bus_args *bus, struct policy *policy, struct error *err);
void listening_close (struct listening *listening);
#define auto_listening AUTO (listening_close)

#endif
