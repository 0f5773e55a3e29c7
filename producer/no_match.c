#include "producer/no_match.h"

#include "common/memory.h"
#include "common/path.h"
#include "producer/glob.h"
#include "producer/selector.h"

#include <string.h>

enum
{
  FILES_MAX = 10000, /* that are looked at */
  ENOUGH = 1,        /* ends a listing */
};

struct guess
{
  const struct job *job;
  const struct halt *halt;
  struct glob *exact;
  struct glob *folded; /* whatever the case */
  struct glob *deeper; /* below any folder */
  size_t volume;
  int64_t files;
  char *example; /* the first path, as the pattern sees it */
  char *cause;   /* the first that was found */
};

static void
guess_release (struct guess *guess)
{
  glob_free (guess->exact);
  glob_free (guess->folded);
  glob_free (guess->deeper);
  free (guess->example);
  free (guess->cause);
}

static bool
matches (const struct glob *glob, const char *path)
{
  return glob != NULL && glob_match (glob, path, strlen (path));
}

/* Whether the pattern matches PATH behind some of the last folders of PREFIX, which it repeats;
 * what it repeats, the caller frees, else NULL. */
static char *
repeated (const struct guess *guess, const char *prefix, const char *path)
{
  for (const char *at = prefix + strlen (prefix); at > prefix; at--)
    {
      if (at[-1] != '/' || *at == '\0')
        continue;
      auto_free char *whole = xasprintf ("%s/%s", at, path);
      if (matches (guess->exact, whole))
        return xstrdup (at);
    }
  return NULL;
}

/* What is likely wrong when the pattern was meant for PATH, which lies at VOLUME_PATH below the
 * volume's source; NULL: it wasn't. */
static char *
guess_cause (const struct guess *guess, const char *path, const char *volume_path)
{
  const struct job *job = guess->job;
  if (matches (guess->exact, path))
    return xasprintf ("'%s' matches, and --exclude leaves it out", path);
  if (matches (guess->folded, path))
    return xasprintf ("'%s' differs in upper and lower case: --glob-ignore-case", path);
  auto_free char *base = repeated (guess, job->base_path, path);
  if (base != NULL)
    return xasprintf ("the pattern repeats '%s' of the base path, to which it is relative", base);
  auto_free char *source = repeated (guess, job->volumes[guess->volume].source, volume_path);
  if (source != NULL)
    return xasprintf ("the pattern repeats '%s' of the volume's source; it sees '%s'", source,
                      path);
  if (matches (guess->deeper, path))
    return xasprintf ("'%s' lies deeper: '**/' before the pattern matches below any folder", path);
  return NULL;
}

static int
guess_on_atom (void *context, const struct atom *atom, int64_t bytes, struct error *err)
{
  struct guess *guess = context;
  (void) bytes;
  (void) err;
  auto_free char *inside = path_join (guess->job->volumes[guess->volume].path, atom->path);
  const char *below = path_below (inside, guess->job->base_path);
  if (below == NULL)
    return 0;
  if (guess->example == NULL)
    guess->example = xstrdup (below);
  guess->cause = guess_cause (guess, below, atom->path);
  return guess->cause != NULL || ++guess->files == FILES_MAX ? ENOUGH : 0;
}

static int
guess_on_tick (void *context, int64_t listed, struct error *err)
{
  const struct guess *guess = context;
  (void) listed;
  return guess->halt->ask (guess->halt->context, err);
}

/* A pattern that names a volume which isn't split. */
static char *
guess_shared (const struct job *job)
{
  auto_free char *absolute = xasprintf ("/%s", job->glob + strspn (job->glob, "/"));
  for (size_t i = 0; i < job->volume_count; i++)
    {
      const char *path = job->volumes[i].path;
      size_t size = strlen (path);
      if (job->volumes[i].shared && strncmp (absolute, path, size) == 0
          && (absolute[size] == '/' || absolute[size] == '\0'))
        return xasprintf ("%s is a shared volume, which every shard sees whole: -v splits one",
                          path);
    }
  return NULL;
}

/* All files of all volumes, until one says what is wrong. */
static int
guess_list (struct guess *guess, const struct slicer_sources *sources)
{
  const struct job *job = guess->job;
  auto_selection struct selection all = { .glob = glob_compile ("**", NULL) };
  const struct selector_sink sink = { .context = guess,
                                      .atom = guess_on_atom,
                                      .tick = guess_on_tick };
  auto_job struct job unsized = { 0 };
  job_copy (&unsized, job);
  unsized.batch_bytes = -1;
  unsized.order = ORDER_INDEX;
  for (guess->volume = 0; guess->volume < job->volume_count; guess->volume++)
    {
      if (job->volumes[guess->volume].shared)
        continue;
      auto_storage struct storage *storage =
          sources->open (sources->context, job, guess->volume, NULL);
      if (storage == NULL)
        return -1;
      storage_set_halt (storage, guess->halt);
      int result = selector_run (&unsized, guess->volume, &all, storage, &sink, NULL);
      if (result != 0)
        return result;
    }
  return 0;
}

char *
no_match_explain (const struct job *job, const struct slicer_sources *sources,
                  const struct halt *halt)
{
  struct guess guess = { .job = job, .halt = halt };
  auto_free char *deeper = xasprintf ("**/%s", job->glob);
  guess.exact = glob_compile_as (job->glob, job->glob_ignore_case, NULL);
  guess.folded = job->glob_ignore_case ? NULL : glob_compile_as (job->glob, true, NULL);
  guess.deeper = glob_compile_as (deeper, job->glob_ignore_case, NULL);
  guess.cause = guess_shared (job);
  int listed = guess.cause != NULL ? ENOUGH : guess_list (&guess, sources);
  char *text = guess.cause != NULL ? xasprintf (": %s", guess.cause)
               : guess.example != NULL
                   ? xasprintf ("; the pattern is compared with paths like '%s'", guess.example)
               : listed == 0 ? xstrdup (": there is no file")
                             : xstrdup ("");
  guess_release (&guess);
  return text;
}
