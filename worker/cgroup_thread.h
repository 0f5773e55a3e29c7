/* cgroup_thread.h — a thread that version 1 lets be in a control group without the rest of its
 * process: what it clones is born there. */
#ifndef SHOAL_WORKER_CGROUP_THREAD_H
#define SHOAL_WORKER_CGROUP_THREAD_H

struct cgroup_thread;

/* Starts it, with all signals blocked. NULL with errno. It has our namespaces, root and working
 * folder as they are now. */
struct cgroup_thread *cgroup_thread_start (void);

/* Calls FUNCTION in it and returns when that has returned. */
void cgroup_thread_call (struct cgroup_thread *thread, void (*function) (void *context),
                         void *context);

/* Ends it; nothing to do for NULL. What it cloned ends as well, where that dies with its parent. */
void cgroup_thread_end (struct cgroup_thread *thread);

#endif
