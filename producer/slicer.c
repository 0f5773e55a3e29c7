#include "producer/slicer.h"

#include "common/clock.h"
#include "common/memory.h"
#include "common/path.h"
#include "common/units.h"
#include "producer/batcher.h"
#include "producer/no_match.h"
#include "producer/selector.h"
#include "producer/slicer_internal.h"
#include "schemas/job_paths.h"
#include "storage/local_pin.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* ---- checking -------------------------------------------------------------------------- */

/* Only what is asked of the volumes' own storages. */
static int
check_sources (const struct job *job, struct error *err)
{
  for (size_t i = 0; i < job->volume_count; i++)
    {
      auto_storage struct storage *storage = storage_open (job->volumes[i].source, err);
      if (storage != NULL && storage_is_file (storage) && job->glob != NULL
          && !job->volumes[i].shared)
        (void) error_set (err, ERROR_USER, "%s is a file, which can't be split: share the volume",
                          job->volumes[i].source);
      else if (storage != NULL)
        continue;
      return error_wrap (err, "volume %s", job->volumes[i].path);
    }
  return 0;
}

/* The deepest volume that volume INDEX lies in; NULL: none. */
static const struct volume *
slicer_outer_volume (const struct job *job, size_t index)
{
  const struct volume *inner = &job->volumes[index];
  const struct volume *outer = NULL;
  for (size_t i = 0; i < job->volume_count; i++)
    if (i != index && path_below (inner->path, job->volumes[i].path) != NULL
        && (outer == NULL || path_below (job->volumes[i].path, outer->path) != NULL))
      outer = &job->volumes[i];
  return outer;
}

/* A volume in another one that containers see as it is needs a place there: nothing is made in
 * inputs. */
static int
check_nested (const struct job *job, struct error *err)
{
  for (size_t i = 0; i < job->volume_count; i++)
    {
      const struct volume *outer = slicer_outer_volume (job, i);
      struct stat status;
      if (outer == NULL || outer->source[0] != '/' || (job->glob != NULL && !outer->shared)
          || job->symlinks == SYMLINKS_FOLLOW)
        continue;
      const char *rest = path_below (job->volumes[i].path, outer->path);
      auto_free char *place = path_join (outer->source, rest);
      if (lstat (place, &status) == 0 || (errno != ENOENT && errno != ENOTDIR))
        continue;
      return error_set (err, ERROR_USER,
                        "volume %s is to be mounted in volume %s, where there is no %s: create it "
                        "in %s",
                        job->volumes[i].path, outer->path, rest, outer->source);
    }
  return 0;
}

static int
check_patterns (const struct job *job, const char **field, struct error *err)
{
  auto_selection struct selection selection = { 0 };
  if (selection_compile (job, &selection, err) == 0)
    return 0;
  *field = selection.glob == NULL ? "glob" : "exclude";
  return -1;
}

int
slicer_check (struct job *job, const char **field, struct error *err)
{
  const char *ignored = NULL;
  field = field == NULL ? &ignored : field;
  if (job_check_slicing (job, field, err) != 0
      || (job->glob != NULL && check_patterns (job, field, err) != 0))
    return -1;
  *field = "volumes";
  if (check_sources (job, err) != 0 || check_nested (job, err) != 0)
    return -1;
  *field = NULL;
  return 0;
}

/* ---- slicing --------------------------------------------------------------------------- */

enum
{
  LIST_TIMEOUT_MS = 6 * 60 * 60 * 1000, /* a thousand million names take that long at most */
};

/* How long the listings of all passes may take: a server can go on for ever. */
struct deadline
{
  int64_t limit_ms;
  int64_t end; /* boot ms */
};

/* One pass over all volumes. */
struct pass
{
  const struct deadline *deadline;
  const struct job *job;
  const struct slicer_sources *sources;
  const struct slicer_sink *sink; /* for progress */
  const struct selection *selection;
  const struct strlist *pins;
  struct batcher *batcher;
  bool counting; /* another pass follows */
  int64_t listed;
  int64_t atoms;
  int ending; /* what the sink returned while a server was waited for */
};

static int
on_atom (void *context, const struct atom *atom, int64_t bytes, struct error *err)
{
  struct pass *pass = context;
  pass->atoms++;
  return batcher_add (pass->batcher, atom, bytes, err);
}

/* 0 to go on, or what ends the pass. */
static int
pass_interrupted (const struct pass *pass, struct error *err)
{
  if (clock_boot_ms () >= pass->deadline->end)
    {
      char limit[UNITS_TEXT_SIZE];
      return error_set (err, ERROR_USER,
                        "listing the inputs took longer than %s (SHOAL_LIST_TIMEOUT_MS is the "
                        "limit), %lld paths so far",
                        units_format_duration (pass->deadline->limit_ms, limit),
                        (long long) pass->listed);
    }
  return pass->sink->alive == NULL ? 0 : pass->sink->alive (pass->sink->context, err);
}

static int
on_tick (void *context, int64_t listed, struct error *err)
{
  struct pass *pass = context;
  pass->listed += listed;
  if (pass->sink->progress != NULL)
    pass->sink->progress (pass->sink->context, pass->listed, pass->atoms);
  return pass_interrupted (pass, err);
}

/* While a server is waited for, to which anything but 0 is an error: the sink's own word is kept.
 */
static int
on_wait (void *context, struct error *err)
{
  struct pass *pass = context;
  pass->ending = pass_interrupted (pass, err);
  return pass->ending == 0 ? 0 : -1;
}

static int
list_volumes (struct pass *pass, struct error *err)
{
  const struct slicer_sources *sources = pass->sources;
  const struct selector_sink sink = {
    .context = pass,
    .atom = on_atom,
    .tick = on_tick,
    .left_out = pass->counting ? NULL : pass->sink->left_out,
  };
  const struct halt halt = { .ask = on_wait, .context = pass };
  for (size_t i = 0; i < pass->job->volume_count; i++)
    {
      if (pass->job->volumes[i].shared)
        continue;
      auto_storage struct storage *storage = sources->open (sources->context, pass->job, i, err);
      if (storage == NULL)
        return error_wrap (err, "volume %s", pass->job->volumes[i].path);
      storage_set_halt (storage, &halt);
      int result = selector_run (pass->job, i, pass->selection, storage, &sink, err);
      if (result != 0)
        return pass->ending != 0 ? pass->ending : result;
    }
  return 0;
}

static int
no_match (struct pass *pass, struct error *err)
{
  const struct job *job = pass->job;
  const struct halt halt = { .ask = on_wait, .context = pass };
  auto_free char *why = no_match_explain (job, pass->sources, &halt);
  if (pass->ending != 0) /* while it was looked for */
    return pass->ending;
  return error_set (err, ERROR_USER,
                    "nothing below the base path %s matches the pattern '%s' (%lld path%s "
                    "scanned)%s",
                    job->base_path, job->glob, (long long) pass->listed,
                    pass->listed == 1 ? "" : "s", why);
}

/* Lists and slices once, into SINK or, when COUNTING, into nothing. */
static int
run_pass (const struct pass *setup, bool counting, const struct first_pass *first_pass,
          struct first_pass *found, struct plan *plan, struct error *err)
{
  struct pass pass = *setup;
  auto_batcher struct batcher *batcher =
      batcher_new (pass.job, counting ? NULL : pass.sink, first_pass, pass.pins);
  pass.batcher = batcher;
  pass.counting = counting;
  int result = list_volumes (&pass, err);
  if (result == 0 && pass.atoms == 0 && first_pass == NULL)
    result = no_match (&pass, err);
  if (result == 0)
    result = batcher_finish (batcher, plan, found, err);
  plan->listed = pass.listed;
  return result;
}

/* What volumes that are one file are now, by volume: all shards are to see the same. Folders that
 * aren't sliced, and what is behind a URL, aren't pinned. */
static int
slicer_pin_volumes (const struct job *job, const struct slicer_sources *sources,
                    struct strlist *pins, struct error *err)
{
  for (size_t i = 0; i < job->volume_count; i++)
    {
      const struct volume *volume = &job->volumes[i];
      char pin[LOCAL_PIN_SIZE];
      if ((!volume->shared && job->glob != NULL) || storage_is_elsewhere (volume->source))
        continue;
      auto_storage struct storage *storage = sources->open (sources->context, job, i, err);
      if (storage == NULL
          || (storage_is_file (storage)
              && local_pin_take (storage_local_path (storage), pin, err) != 0))
        return error_wrap (err, "volume %s", volume->path);
      if (!storage_is_file (storage))
        continue;
      while (pins->count < i)
        strlist_add (pins, "");
      strlist_add (pins, pin);
    }
  return 0;
}

/* A job that isn't sharded: one shard that sees everything. */
static int
run_whole (const struct job *job, const struct slicer_sink *sink, const struct strlist *pins,
           struct plan *plan, struct error *err)
{
  auto_batcher struct batcher *batcher = batcher_new (job, sink, NULL, pins);
  return batcher_finish (batcher, plan, NULL, err);
}

int
slicer_run_on (const struct job *job, const struct slicer_sources *sources,
               const struct slicer_sink *sink, struct plan *plan, struct error *err)
{
  *plan = (struct plan){ .bytes = -1 };
  auto_strlist struct strlist pins = { 0 };
  if (slicer_pin_volumes (job, sources, &pins, err) != 0)
    return -1;
  if (job->glob == NULL)
    return run_whole (job, sink, &pins, plan, err);
  auto_selection struct selection selection = { 0 };
  if (selection_compile (job, &selection, err) != 0)
    return -1;
  struct deadline deadline = { .limit_ms =
                                   units_from_env ("SHOAL_LIST_TIMEOUT_MS", LIST_TIMEOUT_MS) };
  deadline.end = clock_boot_ms () + deadline.limit_ms;
  const struct pass setup = {
    .deadline = &deadline,
    .job = job,
    .sources = sources,
    .sink = sink,
    .selection = &selection,
    .pins = &pins,
  };
  if (job->shards < 1 && !job->needs_count)
    return run_pass (&setup, false, NULL, NULL, plan, err);

  struct first_pass first_pass = { 0 };
  int result = run_pass (&setup, true, NULL, &first_pass, plan, err);
  if (result != 0)
    return result;
  if (job->shards > 0)
    first_pass.shards = first_pass.atoms < job->shards ? first_pass.atoms : job->shards;
  return run_pass (&setup, false, &first_pass, NULL, plan, err);
}

static struct storage *
slicer_open_source (void *context, const struct job *job, size_t index, struct error *err)
{
  (void) context;
  return storage_open_as (job->volumes[index].source, job->credentials, err);
}

int
slicer_run (const struct job *job, const struct slicer_sink *sink, struct plan *plan,
            struct error *err)
{
  const struct slicer_sources sources = { .open = slicer_open_source };
  return slicer_run_on (job, &sources, sink, plan, err);
}

char *
slicer_atom_path (const struct job *job, const struct atom *atom)
{
  return path_join (job->volumes[atom->volume].path, atom->path);
}
