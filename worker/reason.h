/* reason.h — why an attempt ended as it did, as one line for people. */
#ifndef SHOAL_WORKER_REASON_H
#define SHOAL_WORKER_REASON_H

#include "worker/container.h"

/* TEXT as people are shown it (common/text.h), cut at some 2,000 bytes. The caller frees. */
char *reason_line (const char *text);

/* "exit code 3", "killed by signal 11 (Segmentation fault)". The caller frees. */
char *reason_of_exit (const struct container_exit *exit);

#endif
