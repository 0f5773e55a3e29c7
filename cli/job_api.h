/* job_api.h — jobs by HTTP, for services that hold no client of the bus: what `shoal submit`,
 * `status`, `list` and `cancel` do.
 *
 *     POST   /v1/jobs       a job (job_json.h): 201, or 200 when it was there already; 409 when
 *                           that is another one, 422 what is wrong
 *     GET    /v1/jobs       jobs, oldest first: ?limit=N (100) &after=ID &state=failed,partial;
 *                           `next` is where it goes on
 *     GET    /v1/jobs/ID    one
 *     DELETE /v1/jobs/ID    cancels it: 202; ended already: 409
 *
 * Owns a bus handle, opened by the first request that needs it. All routes are guarded and slow:
 * one thread handles them.
 */
#ifndef SHOAL_CLI_JOB_API_H
#define SHOAL_CLI_JOB_API_H

#include "cli/bus_options.h"
#include "cli/job_options.h"
#include "httpd/httpd.h"

enum
{
  INTAKE_ROUTES = 5,
};

struct job_api;

/* BUS outlives it. RESULTS: the folder that results without an absolute place stand in. */
struct job_api *job_api_new (const struct bus_args *bus, const char *results,
                             const struct policy *policy);
void job_api_free (struct job_api *api);

void job_api_routes (struct job_api *api, struct http_route routes[static INTAKE_ROUTES]);

/* What POST makes of BODY: a checked job in ARGS (job_args_init was called, RESULTS outlives it).
 * TRACE: the traceparent header, or NULL. 0, or -1 with ERR and *FIELD, the member that is wrong;
 * NULL: BODY is no JSON object. The caller frees. */
int job_api_read_job (struct bytes body, const char *trace, const char *results,
                      const struct policy *policy, struct job_args *args, char **field,
                      struct error *err);

#endif
