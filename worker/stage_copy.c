/* Files that can't be linked, cloned or mounted: copied by a few threads, which have ended before a container starts. */
#include "worker/stage_internal.h"

#include "common/memory.h"
#include "schemas/codec.h"

#include <pthread.h>
#include <stdatomic.h>

enum
{
  COPY_THREADS = 4,
  COPY_RUN = 32, /* neighbouring atoms that one thread copies: they mostly share a folder */
};

struct copier
{
  const struct staging *staging;
  struct place *places; /* this thread's own, one per source */
  unsigned int turn;    /* which of COPY_THREADS this is */
  atomic_bool *failed;
  int64_t bytes;
  struct error err;
};

static bool
is_left_to_copy (const struct staging *staging, const struct atom *atom, int64_t number)
{
  if (atom->folder || atom->volume >= staging->stage->job->volume_count)
    return false;
  const struct source *source = &staging->sources[atom->volume];
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
      if (atomic_load (copier->failed))
        return 0;
      struct place *place = &copier->places[atom.volume];
      const struct place *shared = &staging->sources[atom.volume].place;
      place->storage = shared->storage;
      place->symlinks = shared->symlinks;
      place->source_fd = shared->source_fd;
      place->target_fd = shared->target_fd;
      if (place_file (place, atom.path, PLACE_COPY, &copier->bytes, &copier->err) != 0)
        return error_wrap (&copier->err, "%s", staging->sources[atom.volume].path);
    }
}

static void *
copier_main (void *context)
{
  struct copier *copier = context;
  if (copy_share (copier) != 0)
    atomic_store (copier->failed, true);
  return NULL;
}

int
stage_copy (struct staging *staging, struct error *err)
{
  struct copier copiers[COPY_THREADS] = { 0 };
  pthread_t threads[COPY_THREADS];
  bool started[COPY_THREADS] = { false };
  atomic_bool failed = false;
  for (unsigned int i = 0; i < COPY_THREADS; i++)
    {
      copiers[i] = (struct copier){ .staging = staging, .turn = i, .failed = &failed };
      copiers[i].places = xcalloc (staging->source_count, sizeof *copiers[i].places);
      for (size_t k = 0; k < staging->source_count; k++)
        copiers[i].places[k] = (struct place) PLACE_INIT;
      started[i] = pthread_create (&threads[i], NULL, copier_main, &copiers[i]) == 0;
    }
  for (unsigned int i = 0; i < COPY_THREADS; i++)
    {
      if (started[i])
        (void) pthread_join (threads[i], NULL);
      else
        (void) copier_main (&copiers[i]); /* no more threads to be had: do its share here */
      staging->bytes += copiers[i].bytes;
      for (size_t k = 0; k < staging->source_count; k++)
        place_release (&copiers[i].places[k]);
      free (copiers[i].places);
    }
  for (unsigned int i = 0; i < COPY_THREADS; i++)
    if (error_is_set (&copiers[i].err))
      {
        *err = copiers[i].err;
        return -1;
      }
  return 0;
}
