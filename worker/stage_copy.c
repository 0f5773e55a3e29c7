/* Files that can't be linked, cloned or mounted: copied by a few threads, which have ended before a
 * container starts. */
#include "worker/stage_internal.h"

#include "common/memory.h"
#include "schemas/codec.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum
{
  COPY_THREADS = 4,
  WATCH_MS = 100, /* between two looks whether it is to go on */
  COPY_RUN = 32,  /* neighbouring atoms that one thread copies: they mostly share a folder */
};

/* What the copiers and who waits for them share. */
struct copy_threads
{
  pthread_mutex_t lock;
  pthread_cond_t ended;
  unsigned int working;
  atomic_bool failed; /* one of them, or they are to stop */
};

struct copier
{
  const struct staging *staging;
  struct copy_threads *shared;
  struct halt halt;     /* asked by this thread: that one has failed */
  struct place *places; /* this thread's own, one per source */
  unsigned int turn;    /* which of COPY_THREADS this is */
  int64_t bytes;
  struct error err;
};

static bool
is_left_to_copy (const struct staging *staging, const struct atom *atom, int64_t number)
{
  if (atom->folder || atom->volume >= staging->stage->job->volume_count)
    return false;
  const struct stage_source *source = &staging->sources[atom->volume];
  return source->copy_from >= 0 && number >= source->copy_from;
}

static int
copy_share (struct copier *copier)
{
  const struct staging *staging = copier->staging;
  auto_atom_cursor struct atom_cursor cursor = atom_cursor_start (staging->atoms);
  struct atom atom;
  for (int64_t number = 0;; number++)
    {
      int got = atom_cursor_next (&cursor, &atom, &copier->err);
      if (got <= 0)
        return got;
      if ((number / COPY_RUN) % COPY_THREADS != copier->turn
          || !is_left_to_copy (staging, &atom, number))
        continue;
      if (atomic_load (&copier->shared->failed))
        return 0;
      struct place *place = &copier->places[atom.volume];
      const struct place *shared = &staging->sources[atom.volume].place;
      place->storage = shared->storage;
      place->symlinks = shared->symlinks;
      place->source_fd = shared->source_fd;
      place->target_fd = shared->target_fd;
      place->halt = &copier->halt;
      place->pin = atom.version;
      if (place_file (place, atom.path, PLACE_COPY, &copier->bytes, &copier->err) != 0)
        return error_wrap (&copier->err, "%s", staging->sources[atom.volume].path);
    }
}

/* Of a copier that works while another one failed: that one says why. */
static int
copy_threads_stopped (void *context, struct error *err)
{
  struct copy_threads *shared = context;
  return atomic_load (&shared->failed) ? error_set (err, ERROR_NONE, "%s", "") : 0;
}

static void *
copier_main (void *context)
{
  struct copier *copier = context;
  struct copy_threads *shared = copier->shared;
  int result = copy_share (copier);
  (void) pthread_mutex_lock (&shared->lock);
  if (result != 0)
    atomic_store (&shared->failed, true);
  shared->working--;
  (void) pthread_cond_signal (&shared->ended);
  (void) pthread_mutex_unlock (&shared->lock);
  return NULL;
}

/* Asks the stage's halt until all have ended; only this thread may. */
static int
stage_copy_watch (const struct staging *staging, struct copy_threads *shared, struct error *err)
{
  int result = 0;
  (void) pthread_mutex_lock (&shared->lock);
  while (shared->working > 0)
    {
      struct timespec until;
      (void) clock_gettime (CLOCK_MONOTONIC, &until);
      until.tv_nsec += WATCH_MS * 1000000L;
      until.tv_sec += until.tv_nsec / 1000000000L;
      until.tv_nsec %= 1000000000L;
      (void) pthread_cond_timedwait (&shared->ended, &shared->lock, &until);
      if (result == 0 && halt_check (staging->stage->halt, err) != 0)
        {
          atomic_store (&shared->failed, true);
          result = -1;
        }
    }
  (void) pthread_mutex_unlock (&shared->lock);
  return result;
}

static void
open_threads (struct copy_threads *shared)
{
  pthread_condattr_t clock;
  (void) pthread_condattr_init (&clock);
  (void) pthread_condattr_setclock (&clock, CLOCK_MONOTONIC);
  (void) pthread_mutex_init (&shared->lock, NULL);
  (void) pthread_cond_init (&shared->ended, &clock);
  (void) pthread_condattr_destroy (&clock);
}

static void
open_copier (struct copier *copier, const struct staging *staging, struct copy_threads *shared,
             unsigned int turn)
{
  *copier = (struct copier){ .staging = staging,
                             .shared = shared,
                             .halt = { .ask = copy_threads_stopped, .context = shared },
                             .turn = turn };
  copier->places = xcalloc (staging->source_count, sizeof *copier->places);
  for (size_t i = 0; i < staging->source_count; i++)
    copier->places[i] = (struct place) PLACE_INIT;
}

static void
close_copier (struct copier *copier)
{
  for (size_t i = 0; i < copier->staging->source_count; i++)
    place_release (&copier->places[i]);
  free (copier->places);
}

int
stage_copy (struct staging *staging, struct error *err)
{
  struct copy_threads shared = { .working = COPY_THREADS };
  struct copier copiers[COPY_THREADS] = { 0 };
  pthread_t threads[COPY_THREADS];
  bool started[COPY_THREADS] = { false };
  open_threads (&shared);
  for (unsigned int i = 0; i < COPY_THREADS; i++)
    {
      open_copier (&copiers[i], staging, &shared, i);
      started[i] = pthread_create (&threads[i], NULL, copier_main, &copiers[i]) == 0;
    }
  for (unsigned int i = 0; i < COPY_THREADS; i++)
    if (!started[i]) /* no more threads to be had: do its share here */
      {
        if (staging->stage->halt != NULL)
          copiers[i].halt = *staging->stage->halt;
        (void) copier_main (&copiers[i]);
      }
  int result = stage_copy_watch (staging, &shared, err);
  for (unsigned int i = 0; i < COPY_THREADS; i++)
    {
      if (started[i])
        (void) pthread_join (threads[i], NULL);
      staging->bytes += copiers[i].bytes;
      close_copier (&copiers[i]);
    }
  for (unsigned int i = 0; result == 0 && i < COPY_THREADS; i++)
    if (error_is_set (&copiers[i].err))
      {
        *err = copiers[i].err;
        result = -1;
      }
  (void) pthread_cond_destroy (&shared.ended);
  (void) pthread_mutex_destroy (&shared.lock);
  return result;
}
