/* limits.h — what the agent's container may have, by its control group (version 2, else 1) as it is
 * seen from inside. */
#ifndef SHOAL_WORKER_AGENT_LIMITS_H
#define SHOAL_WORKER_AGENT_LIMITS_H

#include <stdint.h>

/* Bytes, -1: no limit is known. */
int64_t limits_memory (void);

/* Thousandths of a processor, -1. */
int64_t limits_cpus (void);

/* Processes that were killed for memory so far, -1: not known. */
int64_t limits_oom_kills (void);

#endif
