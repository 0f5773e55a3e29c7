/* reason.h — why an attempt ended as it did, as one line for people. */
#ifndef SHOAL_WORKER_REASON_H
#define SHOAL_WORKER_REASON_H

#include "worker/container.h"

/* TEXT as one line of valid UTF-8: control bytes and what isn't UTF-8 become \xNN. The caller frees. */
char *reason_line (const char *text);

/* "exit code 3", "killed by signal 11 (Segmentation fault)". The caller frees. */
char *reason_of_exit (const struct container_exit *exit);

#endif
