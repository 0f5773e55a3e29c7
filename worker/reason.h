/* reason.h — why an attempt ended as it did, as one line for people. */
#ifndef SHOAL_WORKER_REASON_H
#define SHOAL_WORKER_REASON_H

#include "worker/container.h"

#define REASON_STAGE "stage in" /* what speaks of inputs begins with it */

/* TEXT as people are shown it (common/text.h), cut at some 2,000 bytes. The caller frees. */
char *reason_line (const char *text);

/* "exit code 3", "killed by signal 11 (Segmentation fault)". The caller frees. */
char *reason_of_exit (const struct container_exit *exit);

/* Whether REASON, of a command that never ran, speaks of the shard's own inputs: not of a volume
 * that all shards have, nor of the image or the command. */
bool reason_is_of_inputs (const char *reason);

#endif
