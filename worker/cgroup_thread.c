#include "worker/cgroup_thread.h"

#include "common/memory.h"
#include "common/thread.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

struct cgroup_thread
{
  pthread_t id;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  void (*function) (void *context); /* to be called; NULL: nothing */
  void *context;
  bool ends;
};

static void *
cgroup_thread_main (void *context)
{
  struct cgroup_thread *thread = context;
  (void) pthread_mutex_lock (&thread->lock);
  while (!thread->ends)
    {
      if (thread->function != NULL)
        {
          thread->function (thread->context);
          thread->function = NULL;
          (void) pthread_cond_broadcast (&thread->changed);
        }
      else
        (void) pthread_cond_wait (&thread->changed, &thread->lock);
    }
  (void) pthread_mutex_unlock (&thread->lock);
  return NULL;
}

static void
cgroup_thread_release (struct cgroup_thread *thread)
{
  (void) pthread_cond_destroy (&thread->changed);
  (void) pthread_mutex_destroy (&thread->lock);
  free (thread);
}

struct cgroup_thread *
cgroup_thread_start (void)
{
  struct cgroup_thread *thread = xcalloc (1, sizeof *thread);
  (void) pthread_mutex_init (&thread->lock, NULL);
  (void) pthread_cond_init (&thread->changed, NULL);
  int code = thread_start (&thread->id, cgroup_thread_main, thread);
  if (code == 0)
    return thread;
  cgroup_thread_release (thread);
  errno = code;
  return NULL;
}

void
cgroup_thread_call (struct cgroup_thread *thread, void (*function) (void *context), void *context)
{
  (void) pthread_mutex_lock (&thread->lock);
  thread->function = function;
  thread->context = context;
  (void) pthread_cond_broadcast (&thread->changed);
  while (thread->function != NULL)
    (void) pthread_cond_wait (&thread->changed, &thread->lock);
  (void) pthread_mutex_unlock (&thread->lock);
}

void
cgroup_thread_end (struct cgroup_thread *thread)
{
  if (thread == NULL)
    return;
  (void) pthread_mutex_lock (&thread->lock);
  thread->ends = true;
  (void) pthread_cond_broadcast (&thread->changed);
  (void) pthread_mutex_unlock (&thread->lock);
  (void) pthread_join (thread->id, NULL);
  cgroup_thread_release (thread);
}
