/* pod_options.h — where a worker's containers run: made by it, or the one beside it in its pod; and
 * whom its pod's cost is told. */
#ifndef SHOAL_CLI_POD_OPTIONS_H
#define SHOAL_CLI_POD_OPTIONS_H

#include "cli/options.h"
#include "worker/worker.h"

struct pod_args
{
  bool pod;   /* --runtime pod */
  bool given; /* any of the others */
  struct pod_options options;
  char *scratch;     /* where none is named */
  const char *named; /* --deletion-cost NAMESPACE/POD */
  struct pod_cost_options cost;
};

void pod_args_release (struct pod_args *args);

extern const struct option_spec pod_option_specs[];

/* Fills what isn't given from the environment and by default, and has WORKER use it, where a pod is
 * wanted; ARGS outlives WORKER. ERROR_USER. */
int pod_args_finish (struct pod_args *args, struct worker_options *worker, struct error *err);

#endif
