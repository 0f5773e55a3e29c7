/* clerk.h — a thread that does what may take long, one task after the other. */
#ifndef SHOAL_COMMON_HTTPD_CLERK_H
#define SHOAL_COMMON_HTTPD_CLERK_H

#include "common/error.h"

#include <stdbool.h>

struct clerk;

/* WORK is called with each task in the clerk's thread, in the order in which they were put; with
 * DROP those that were still waiting when it was stopped. NULL with ERR. */
struct clerk *clerk_start (void (*work) (void *task), void (*drop) (void *task), struct error *err);

/* False when too many wait already or the clerk was stopped; the task is still the caller's then.
 * From any thread. */
bool clerk_put (struct clerk *clerk, void *task);

/* Ends the task at hand, drops the others; the thread is gone when it returns. Twice is once. */
void clerk_stop (struct clerk *clerk);
void clerk_free (struct clerk *clerk);

#endif
