/* pod_check.h — whether a job asks for nothing but what the worker's pod has. */
#ifndef SHOAL_WORKER_POD_CHECK_H
#define SHOAL_WORKER_POD_CHECK_H

#include "common/error.h"
#include "worker/agent/protocol.h"
#include "worker/container.h"
#include "worker/pod.h"

/* ERROR_TRANSIENT names what the pod of OPTIONS, whose agent is ME, doesn't have of what CONTAINER
 * is to have, but for its mounts. */
int pod_check (const struct pod_options *options, const struct agent_answer *me,
               const struct container *container, struct error *err);

/* The digest that REF ends in, or NULL. */
const char *pod_check_digest (const char *ref);

#endif
