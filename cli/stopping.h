/* stopping.h — how long a worker's running shards may go on after SIGTERM: less than whoever stops
 * it waits before he kills. */
#ifndef SHOAL_CLI_STOPPING_H
#define SHOAL_CLI_STOPPING_H

#include "common/error.h"

#include <stdint.h>

#define STOPPING_UNLIMITED (-1)

/* A duration, or "unlimited", into *MS. */
int stopping_parse (const char *text, int64_t *ms, struct error *err);

/* What --drain-timeout is by default: SHOAL_STOP_GRACE without five seconds (of ten and less,
 * half of it), for giving back; 25 s where nothing is said, since 30 s is what Kubernetes waits.
 * -1 with ERR. */
int stopping_default (int64_t *ms, struct error *err);

#endif
