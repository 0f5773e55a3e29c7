#include "producer/slicer.h"

#include "common/memory.h"
#include "common/path.h"
#include "producer/batcher.h"
#include "producer/selector.h"
#include "producer/slicer_internal.h"

#include <string.h>

/* ---- checking -------------------------------------------------------------------------- */

static int
make_normal (char **path, const char *what, struct error *err)
{
  char *normal = path_normal (*path, err);
  if (normal == NULL)
    return error_wrap (err, "%s", what);
  free (*path);
  *path = normal;
  return 0;
}

static int
check_volumes (struct job *job, struct error *err)
{
  for (size_t i = 0; i < job->volume_count; i++)
    {
      struct volume *volume = &job->volumes[i];
      if (make_normal (&volume->path, "volume", err) != 0)
        return -1;
      for (size_t j = 0; j < i; j++)
        if (strcmp (job->volumes[j].path, volume->path) == 0)
          {
            auto_free char *one = storage_shown (job->volumes[j].source);
            auto_free char *other = storage_shown (volume->source);
            return error_set (err, ERROR_USER, "two volumes on one path %s: %s and %s",
                              volume->path, one, other);
          }
      auto_storage struct storage *storage = storage_open (volume->source, err);
      if (storage == NULL)
        return error_wrap (err, "volume %s", volume->path);
    }
  return 0;
}

static int
check_outputs (struct job *job, struct error *err)
{
  for (size_t i = 0; i < job->output_count; i++)
    {
      struct output *output = &job->outputs[i];
      if (make_normal (&output->path, "output", err) != 0)
        return -1;
      for (size_t j = 0; j < job->volume_count; j++)
        if (path_below (output->path, job->volumes[j].path) != NULL)
          return error_set (err, ERROR_USER,
                            "the output %s:%s lies inside the input volume %s, which is read-only",
                            output->name, output->path, job->volumes[j].path);
    }
  return 0;
}

static int
check_base_path (struct job *job, struct error *err)
{
  auto_free char *common = NULL;
  for (size_t i = 0; i < job->volume_count; i++)
    if (!job->volumes[i].shared)
      {
        char *wider = common == NULL ? xstrdup (job->volumes[i].path)
                                     : path_common (common, job->volumes[i].path);
        free (common);
        common = wider;
      }
  if (common == NULL)
    return error_set (err, ERROR_USER,
                      "the pattern '%s' needs a volume to choose from (-v SRC:PATH)", job->glob);
  if (job->base_path == NULL)
    {
      job->base_path = take (&common);
      return 0;
    }
  if (make_normal (&job->base_path, "base path", err) != 0)
    return -1;
  for (size_t i = 0; i < job->volume_count; i++)
    if (!job->volumes[i].shared && path_below (job->volumes[i].path, job->base_path) == NULL
        && path_below (job->base_path, job->volumes[i].path) == NULL)
      return error_set (err, ERROR_USER,
                        "the volume %s lies neither below nor above the base path %s (the deepest "
                        "path common to the volumes is %s)",
                        job->volumes[i].path, job->base_path, common);
  return 0;
}

static int
check_sizes (const struct job *job, const char **field, struct error *err)
{
  *field = "batch_size";
  if (job->batch_size < 1)
    return error_set (err, ERROR_USER, "batch size %lld: must be at least 1",
                      (long long) job->batch_size);
  *field = "batch_bytes";
  if (job->batch_bytes != -1 && job->batch_bytes < 1)
    return error_set (err, ERROR_USER, "batch bytes %lld: must be at least 1",
                      (long long) job->batch_bytes);
  *field = "shards";
  if (job->shards != -1 && (job->shards < 1 || job->shards > UINT32_MAX))
    return error_set (err, ERROR_USER, "%lld shards: must be from 1 to %u", (long long) job->shards,
                      UINT32_MAX);
  if (job->shards != -1 && (job->batch_bytes != -1 || job->batch_size != 1))
    return error_set (err, ERROR_USER,
                      "a fixed number of shards can't go with a batch size or batch bytes");
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
  if ((job->glob != NULL && check_patterns (job, field, err) != 0)
      || check_sizes (job, field, err) != 0)
    return -1;
  *field = "volumes";
  if (check_volumes (job, err) != 0)
    return -1;
  *field = "outputs";
  if (check_outputs (job, err) != 0)
    return -1;
  *field = job->base_path == NULL ? "volumes" : "base_path";
  if (job->glob != NULL && check_base_path (job, err) != 0)
    return -1;
  *field = NULL;
  return 0;
}

/* ---- slicing --------------------------------------------------------------------------- */

/* One pass over all volumes. */
struct pass
{
  const struct job *job;
  const struct slicer_sources *sources;
  const struct slicer_sink *sink; /* for progress */
  const struct selection *selection;
  struct batcher *batcher;
  int64_t listed;
  int64_t atoms;
};

static int
on_atom (void *context, const struct atom *atom, int64_t bytes, struct error *err)
{
  struct pass *pass = context;
  pass->atoms++;
  return batcher_add (pass->batcher, atom, bytes, err);
}

static int
on_tick (void *context, int64_t listed, struct error *err)
{
  struct pass *pass = context;
  pass->listed += listed;
  if (pass->sink->progress != NULL)
    pass->sink->progress (pass->sink->context, pass->listed, pass->atoms);
  return pass->sink->alive == NULL ? 0 : pass->sink->alive (pass->sink->context, err);
}

static int
list_volumes (struct pass *pass, struct error *err)
{
  const struct slicer_sources *sources = pass->sources;
  const struct selector_sink sink = { .context = pass, .atom = on_atom, .tick = on_tick };
  for (size_t i = 0; i < pass->job->volume_count; i++)
    {
      if (pass->job->volumes[i].shared)
        continue;
      auto_storage struct storage *storage = sources->open (sources->context, pass->job, i, err);
      if (storage == NULL)
        return error_wrap (err, "volume %s", pass->job->volumes[i].path);
      int result = selector_run (pass->job, i, pass->selection, storage, &sink, err);
      if (result != 0)
        return result;
    }
  return 0;
}

static int
no_match (const struct pass *pass, struct error *err)
{
  const struct job *job = pass->job;
  const char *excluded = job->exclude.count > 0 ? ", or what does is excluded" : "";
  return error_set (
      err, ERROR_USER,
      "nothing below the base path %s matches the pattern '%s'%s (%lld paths looked at)",
      job->base_path, job->glob, excluded, (long long) pass->listed);
}

/* Lists and slices once, into SINK or, when COUNTING, into nothing. */
static int
run_pass (const struct pass *setup, bool counting, const struct census *census,
          struct census *found, struct plan *plan, struct error *err)
{
  struct pass pass = *setup;
  auto_batcher struct batcher *batcher =
      batcher_new (pass.job, counting ? NULL : pass.sink, census);
  pass.batcher = batcher;
  int result = list_volumes (&pass, err);
  if (result == 0 && pass.atoms == 0 && census == NULL)
    result = no_match (&pass, err);
  if (result == 0)
    result = batcher_finish (batcher, plan, found, err);
  plan->listed = pass.listed;
  return result;
}

/* A job that isn't sharded: one shard that sees everything. */
static int
run_whole (const struct job *job, const struct slicer_sink *sink, struct plan *plan,
           struct error *err)
{
  auto_batcher struct batcher *batcher = batcher_new (job, sink, NULL);
  return batcher_finish (batcher, plan, NULL, err);
}

int
slicer_run_on (const struct job *job, const struct slicer_sources *sources,
               const struct slicer_sink *sink, struct plan *plan, struct error *err)
{
  *plan = (struct plan){ .bytes = -1 };
  if (job->glob == NULL)
    return run_whole (job, sink, plan, err);
  auto_selection struct selection selection = { 0 };
  if (selection_compile (job, &selection, err) != 0)
    return -1;
  const struct pass setup = {
    .job = job, .sources = sources, .sink = sink, .selection = &selection
  };
  if (job->shards < 1 && !job->needs_count)
    return run_pass (&setup, false, NULL, NULL, plan, err);

  struct census census = { 0 };
  int result = run_pass (&setup, true, NULL, &census, plan, err);
  if (result != 0)
    return result;
  if (job->shards > 0)
    census.shards = census.atoms < job->shards ? census.atoms : job->shards;
  return run_pass (&setup, false, &census, NULL, plan, err);
}

static struct storage *
open_source (void *context, const struct job *job, size_t index, struct error *err)
{
  (void) context;
  return storage_open (job->volumes[index].source, err);
}

int
slicer_run (const struct job *job, const struct slicer_sink *sink, struct plan *plan,
            struct error *err)
{
  const struct slicer_sources sources = { .open = open_source };
  return slicer_run_on (job, &sources, sink, plan, err);
}

char *
slicer_atom_path (const struct job *job, const struct atom *atom)
{
  return path_join (job->volumes[atom->volume].path, atom->path);
}
