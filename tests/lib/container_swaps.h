/* container_swaps.h — folders that are exchanged for others, or for links, between staging and the
 * start of a command: tried with every container runtime. */
#ifndef SHOAL_TESTS_LIB_CONTAINER_SWAPS_H
#define SHOAL_TESTS_LIB_CONTAINER_SWAPS_H

#include "tests/lib/container_conformance.h"

/* As container_conformance_run, of which it is a part. */
int container_swaps_run (const struct container_conformance *subject);

#endif
