#include "httpd/slow_thread.h"

#include "common/auto.h"
#include "common/memory.h"

#include <pthread.h>

enum
{
  TASKS_MAX = 64, /* as many as connections; more are refused */
};

struct slow_thread
{
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t news;
  void *tasks[TASKS_MAX]; /* a ring */
  size_t first;
  size_t count;
  bool stopped;
  bool joined;
  void (*work) (void *task);
  void (*drop) (void *task);
};

/* The next task; *DROPPED when it isn't to be done any more. NULL at the end. */
static void *
next_task (struct slow_thread *slow_thread, bool *dropped)
{
  void *task = NULL;
  (void) pthread_mutex_lock (&slow_thread->lock);
  while (slow_thread->count == 0 && !slow_thread->stopped)
    (void) pthread_cond_wait (&slow_thread->news, &slow_thread->lock);
  if (slow_thread->count > 0)
    {
      task = slow_thread->tasks[slow_thread->first];
      slow_thread->first = (slow_thread->first + 1) % TASKS_MAX;
      slow_thread->count--;
    }
  *dropped = slow_thread->stopped;
  (void) pthread_mutex_unlock (&slow_thread->lock);
  return task;
}

static void *
slow_thread_run (void *context)
{
  struct slow_thread *slow_thread = context;
  bool dropped = false;
  for (void *task = next_task (slow_thread, &dropped); task != NULL;
       task = next_task (slow_thread, &dropped))
    (dropped ? slow_thread->drop : slow_thread->work) (task);
  return NULL;
}

struct slow_thread *
slow_thread_start (void (*work) (void *task), void (*drop) (void *task), struct error *err)
{
  struct slow_thread *slow_thread = xcalloc (1, sizeof *slow_thread);
  slow_thread->work = work;
  slow_thread->drop = drop;
  (void) pthread_mutex_init (&slow_thread->lock, NULL);
  (void) pthread_cond_init (&slow_thread->news, NULL);
  int failure = pthread_create (&slow_thread->thread, NULL, slow_thread_run, slow_thread);
  if (failure == 0)
    return slow_thread;
  (void) error_errno (err, failure, "a thread");
  slow_thread->joined = true;
  slow_thread_free (slow_thread);
  return NULL;
}

bool
slow_thread_put (struct slow_thread *slow_thread, void *task)
{
  (void) pthread_mutex_lock (&slow_thread->lock);
  bool taken = !slow_thread->stopped && slow_thread->count < TASKS_MAX;
  if (taken)
    {
      slow_thread->tasks[(slow_thread->first + slow_thread->count) % TASKS_MAX] = task;
      slow_thread->count++;
      (void) pthread_cond_signal (&slow_thread->news);
    }
  (void) pthread_mutex_unlock (&slow_thread->lock);
  return taken;
}

void
slow_thread_stop (struct slow_thread *slow_thread)
{
  if (slow_thread->joined)
    return;
  (void) pthread_mutex_lock (&slow_thread->lock);
  slow_thread->stopped = true;
  (void) pthread_cond_signal (&slow_thread->news);
  (void) pthread_mutex_unlock (&slow_thread->lock);
  (void) pthread_join (slow_thread->thread, NULL);
  slow_thread->joined = true;
}

void
slow_thread_free (struct slow_thread *slow_thread)
{
  if (slow_thread == NULL)
    return;
  slow_thread_stop (slow_thread);
  (void) pthread_cond_destroy (&slow_thread->news);
  (void) pthread_mutex_destroy (&slow_thread->lock);
  free (slow_thread);
}
