/* slow_thread.h — a thread that does what may take long, one task after the other. */
#ifndef SHOAL_HTTPD_SLOW_THREAD_H
#define SHOAL_HTTPD_SLOW_THREAD_H

#include "common/error.h"

#include <stdbool.h>

struct slow_thread;

/* WORK is called with each task in the slow thread, in the order in which they were put; with
 * DROP those that were still waiting when it was stopped. NULL with ERR. */
struct slow_thread *slow_thread_start (void (*work) (void *task), void (*drop) (void *task),
                                       struct error *err);

/* False when too many wait already or the slow thread was stopped; the task is still the caller's
 * then. From any thread. */
bool slow_thread_put (struct slow_thread *slow_thread, void *task);

/* Ends the task at hand, drops the others; the thread is gone when it returns. Twice is once. */
void slow_thread_stop (struct slow_thread *slow_thread);
void slow_thread_free (struct slow_thread *slow_thread);

#endif
