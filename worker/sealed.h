/* sealed.h — a program in memory that nothing can change any more.
 *
 * crun and runc must not run from their own file: a container that reaches it by /proc/PID/exe
 * could write to it (CVE-2019-5736). They copy and start themselves a second time at each start,
 * unless what runs is such a copy: memory with all seals. Making it once a slot saves that second
 * start, a fifth of the processor time of `crun run`.
 */
#ifndef SHOAL_WORKER_SEALED_H
#define SHOAL_WORKER_SEALED_H

#include "common/error.h"

#include <stddef.h>

/* The program NAME of PATH as sealed memory: a descriptor that the caller closes, close-on-exec. -1
 * with ERR: ERROR_USER when PATH has no such program, else ERROR_TRANSIENT. */
int sealed_program (const char *name, struct error *err);

/* The same of SIZE BYTES, which are a program. */
int sealed_bytes (const char *name, const void *bytes, size_t size, struct error *err);

#endif
