/* container_options.h — what a container has as docker's have it, and the options for it: tried
 * with every container runtime. */
#ifndef SHOAL_TESTS_LIB_CONTAINER_OPTIONS_H
#define SHOAL_TESTS_LIB_CONTAINER_OPTIONS_H

#include "tests/lib/container_conformance.h"

/* As container_conformance_run, of which it is a part. */
int container_options_run (const struct container_conformance *subject);

#endif
