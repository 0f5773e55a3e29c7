/* queue_api.h — the queues by HTTP, for autoscalers: what waits and what runs in the whole fleet.
 *
 *     GET /v1/queues         all of them: {"queues": [...]}
 *     GET /v1/queues/NAME    one; 404: the bus has no such queue
 *        ?slots=N            N shards run in a worker at once: `desired` is in workers
 *
 *     server thread ─ first request ─► thread: bus, queue_counts ─► numbers, since when ─► answers
 *
 * The thread starts with the first request, so that who isn't asked reads no events. A number is
 * told for as long as it is known: until all events are read, and when the bus doesn't answer, the
 * answer is 503. Both routes are guarded and quick.
 */
#ifndef SHOAL_CLI_QUEUE_API_H
#define SHOAL_CLI_QUEUE_API_H

#include "cli/bus_options.h"
#include "httpd/httpd.h"
#include "policy/policy.h"

enum
{
  QUEUE_ROUTES = 2,
};

struct queue_api;

/* BUS and POLICY outlive it. */
struct queue_api *queue_api_new (const struct bus_args *bus, const struct policy *policy);

/* Waits for the thread, for as long as a question to the bus may take. */
void queue_api_free (struct queue_api *api);

void queue_api_routes (struct queue_api *api, struct http_route routes[static QUEUE_ROUTES]);

#endif
