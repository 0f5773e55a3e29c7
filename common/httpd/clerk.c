#include "common/httpd/clerk.h"

#include "common/auto.h"
#include "common/memory.h"

#include <pthread.h>

enum
{
  TASKS_MAX = 64, /* as many as connections; more are refused */
};

struct clerk
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
next_task (struct clerk *clerk, bool *dropped)
{
  void *task = NULL;
  (void) pthread_mutex_lock (&clerk->lock);
  while (clerk->count == 0 && !clerk->stopped)
    (void) pthread_cond_wait (&clerk->news, &clerk->lock);
  if (clerk->count > 0)
    {
      task = clerk->tasks[clerk->first];
      clerk->first = (clerk->first + 1) % TASKS_MAX;
      clerk->count--;
    }
  *dropped = clerk->stopped;
  (void) pthread_mutex_unlock (&clerk->lock);
  return task;
}

static void *
run (void *context)
{
  struct clerk *clerk = context;
  bool dropped = false;
  for (void *task = next_task (clerk, &dropped); task != NULL; task = next_task (clerk, &dropped))
    (dropped ? clerk->drop : clerk->work) (task);
  return NULL;
}

struct clerk *
clerk_start (void (*work) (void *task), void (*drop) (void *task), struct error *err)
{
  struct clerk *clerk = xcalloc (1, sizeof *clerk);
  clerk->work = work;
  clerk->drop = drop;
  (void) pthread_mutex_init (&clerk->lock, NULL);
  (void) pthread_cond_init (&clerk->news, NULL);
  int failure = pthread_create (&clerk->thread, NULL, run, clerk);
  if (failure == 0)
    return clerk;
  (void) error_errno (err, failure, "a thread");
  clerk->joined = true;
  clerk_free (clerk);
  return NULL;
}

bool
clerk_put (struct clerk *clerk, void *task)
{
  (void) pthread_mutex_lock (&clerk->lock);
  bool taken = !clerk->stopped && clerk->count < TASKS_MAX;
  if (taken)
    {
      clerk->tasks[(clerk->first + clerk->count) % TASKS_MAX] = task;
      clerk->count++;
      (void) pthread_cond_signal (&clerk->news);
    }
  (void) pthread_mutex_unlock (&clerk->lock);
  return taken;
}

void
clerk_stop (struct clerk *clerk)
{
  if (clerk->joined)
    return;
  (void) pthread_mutex_lock (&clerk->lock);
  clerk->stopped = true;
  (void) pthread_cond_signal (&clerk->news);
  (void) pthread_mutex_unlock (&clerk->lock);
  (void) pthread_join (clerk->thread, NULL);
  clerk->joined = true;
}

void
clerk_free (struct clerk *clerk)
{
  if (clerk == NULL)
    return;
  clerk_stop (clerk);
  (void) pthread_cond_destroy (&clerk->news);
  (void) pthread_mutex_destroy (&clerk->lock);
  free (clerk);
}
