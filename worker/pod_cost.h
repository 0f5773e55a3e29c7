/* pod_cost.h — tells Kubernetes whether this pod is busy, by its annotation
 * controller.kubernetes.io/pod-deletion-cost: a ReplicaSet that removes pods takes those of lower
 * cost first, and so the idle ones.
 *
 * A thread of its own asks the API server, so that one that is away holds nothing up. Busy is told
 * at once, idle only when it has lasted; between two requests are ten seconds, more after such as
 * failed. That they fail is a warning in the log once, and again when they fail otherwise.
 */
#ifndef SHOAL_WORKER_POD_COST_H
#define SHOAL_WORKER_POD_COST_H

#include "common/auto.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

struct pod_cost_options
{
  char *url;           /* of the pod's status, "https://10.96.0.1:443/api/v1/…/status" */
  const char *account; /* the folder of its service account: token, ca.crt */
};

/* What is to be told when. Times are boot ms. */
struct pod_cost_plan
{
  bool busy;
  int64_t since; /* it is that */
  int told;      /* what the server knows: 1 busy, 0 idle, -1 can't be said */
  int64_t asked; /* the last request; 0: there was none */
  int failures;  /* of requests, in a row */
};

/* When the next request is due; INT64_MAX: none is. */
int64_t pod_cost_plan_due (const struct pod_cost_plan *plan);

struct pod_cost;

/* Begins with an idle pod. OPTIONS outlive it. NULL with ERR. */
struct pod_cost *pod_cost_start (const struct pod_cost_options *options, struct error *err);

/* Whether the pod is BUSY now; cheap where nothing has changed. COST may be NULL. */
void pod_cost_set (struct pod_cost *cost, bool busy);

void pod_cost_end (struct pod_cost *cost);

static inline void
auto_pod_cost_ (struct pod_cost **cost)
{
  pod_cost_end (*cost);
}
#define auto_pod_cost AUTO (auto_pod_cost_)

#endif
