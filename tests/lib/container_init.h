/* container_init.h — who the first process of a container is, and what it does for the command:
 * tried with every container runtime. */
#ifndef SHOAL_TESTS_LIB_CONTAINER_INIT_H
#define SHOAL_TESTS_LIB_CONTAINER_INIT_H

#include "tests/lib/container_conformance.h"

/* As container_conformance_run, of which it is a part. */
int container_init_run (const struct container_conformance *subject);

#endif
