/* container_isolation.h — what a command must not see or do, tried from inside every container
 * runtime. */
#ifndef SHOAL_TESTS_LIB_CONTAINER_ISOLATION_H
#define SHOAL_TESTS_LIB_CONTAINER_ISOLATION_H

#include "tests/lib/container_conformance.h"

/* As container_conformance_run, of which it is a part. */
int container_isolation_run (const struct container_conformance *subject);

#endif
