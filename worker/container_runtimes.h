/* container_runtimes.h — the implementations behind container.h. */
#ifndef SHOAL_WORKER_CONTAINER_RUNTIMES_H
#define SHOAL_WORKER_CONTAINER_RUNTIMES_H

#include "worker/container.h"

struct container_runtime *oci_runtime_open (const struct container_runtime_options *options,
                                            struct error *err);
struct container_runtime *process_runtime_open (const struct container_runtime_options *options,
                                                struct error *err);
struct container_runtime *pod_runtime_open (const struct container_runtime_options *options,
                                            struct error *err);

#endif
