/* container_limits.h — a job's limits: they hold, its command sees them, and the slot isn't under
 * them: tried with every container runtime. */
#ifndef SHOAL_TESTS_LIB_CONTAINER_LIMITS_H
#define SHOAL_TESTS_LIB_CONTAINER_LIMITS_H

#include "tests/lib/container_conformance.h"

/* As container_conformance_run, of which it is a part. */
int container_limits_run (const struct container_conformance *subject);

#endif
