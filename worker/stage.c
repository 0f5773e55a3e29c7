#include "worker/stage.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/path.h"
#include "policy/policy_check.h"
#include "result/result.h"
#include "result/result_store.h"
#include "schemas/codec.h"
#include "storage/local_pin.h"
#include "worker/atoms.h"
#include "worker/reason.h"
#include "worker/stage_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* ---- volumes ---------------------------------------------------------------------------- */

static bool
is_whole (const struct stage *stage, const struct volume *volume)
{
  return volume->shared || stage->job->glob == NULL;
}

/* A volume that is sliced isn't there for the reduce container: it gets the shards' outputs
 * instead. */
static bool
is_used (const struct stage *stage, const struct volume *volume)
{
  return volume->shared || stage->shard->kind == SHARD_MAP;
}

static int
stage_check_followed (void *context, const char *place, struct error *err)
{
  return policy_check_location (context, POLICY_INPUT, place, err);
}

static int
stage_open_source (struct stage_source *source, const struct volume *volume,
                   const struct stage *stage, struct error *err)
{
  static const enum method first[] = {
    [STAGE_AUTO] = METHOD_LINK,
    [STAGE_LINK] = METHOD_LINK,
    [STAGE_COPY] = METHOD_COPY,
    [STAGE_BIND] = METHOD_BIND,
  };
  const struct policy *policy = stage->policy;
  source->path = volume->path;
  source->storage = policy_check_source (policy, volume->source, err) != 0
                        ? NULL
                        : storage_open_as (volume->source, stage->job->credentials, err);
  if (source->storage == NULL)
    return error_wrap (err, "volume %s", volume->path);
  storage_set_halt (source->storage, stage->halt);
  const struct storage_boundary boundary = { .context = (void *) policy,
                                             .check = stage_check_followed };
  storage_set_boundary (source->storage, boundary);
  source->local = storage_local_path (source->storage);
  /* What was opened counts, whatever the path has become since it was looked at. */
  if (source->local != NULL
      && policy_check_location (policy, POLICY_INPUT, source->local, err) != 0)
    return error_wrap (err, "volume %s", volume->path);
  source->method = source->local == NULL ? METHOD_FETCH : first[stage->job->stage];
  return 0;
}

static const char *
volume_url (const struct staging *staging, const struct stage_source *source)
{
  return staging->stage->job->volumes[source - staging->sources].source;
}

/* The folder PATH of a volume that isn't on this machine. */
static int
fetch_folder (struct staging *staging, struct stage_source *source, const char *path,
              struct error *err)
{
  if (stage_need_folder (staging, source, err) != 0)
    return -1;
  if (stage_fetch_folder (staging, source->storage, volume_url (staging, source),
                          source->place.target_fd, path, err)
      != 0)
    return error_wrap (err, "volume %s", source->path);
  return 0;
}

/* What the plan says of SOURCE, a volume of one file; NULL: nothing. */
static const char *
stage_pin (const struct staging *staging, const struct stage_source *source)
{
  return shard_volume_pin (staging->stage->shard, (size_t) (source - staging->sources));
}

/* Another process may put something else in a file's place meanwhile: what is opened here counts.
 */
static int
mount_file (struct staging *staging, const struct stage_source *source, struct error *err)
{
  struct stat status;
  auto_fd int file = stage_open_volume (source, err);
  if (file < 0)
    return error_wrap (err, "volume %s", source->path);
  if (fstat (file, &status) != 0)
    return error_errno (err, errno, "volume %s", source->path);
  if (!S_ISREG (status.st_mode))
    return error_set (err, ERROR_USER, "volume %s: %s isn't a file any more", source->path,
                      source->local);
  if (local_pin_check (stage_pin (staging, source), &status, source->local, NULL) != 0)
    return error_set (
        err, ERROR_USER,
        "volume %s: %s: changed since it was listed, and all shards of a job have the "
        "same one: put it back, or run the whole job anew",
        source->path, source->local);
  staging->bytes += status.st_size;
  return mounts_add (staging->mounts, file, xstrdup (source->path), false, false, err);
}

/* As a user of docker expects, links are the container's to follow; only who asks for what they
 * lead to here gets that. */
static int
mount_whole (struct staging *staging, struct stage_source *source, struct error *err)
{
  if (source->local == NULL)
    return fetch_folder (staging, source, "", err);
  if (storage_is_file (source->storage))
    return mount_file (staging, source, err);
  if (stage_pin (staging, source) != NULL)
    return error_set (err, ERROR_USER, "volume %s: %s isn't a file any more", source->path,
                      source->local);
  if (staging->stage->job->symlinks == SYMLINKS_FOLLOW)
    return stage_local_folder (staging, source, "", err);
  auto_fd int folder = stage_open_volume (source, err);
  if (folder < 0)
    return error_wrap (err, "volume %s", source->path);
  return mounts_add (staging->mounts, folder, xstrdup (source->path), false, false, err);
}

static int
open_sources (struct staging *staging, struct error *err)
{
  const struct job *job = staging->stage->job;
  for (size_t i = 0; i < job->volume_count; i++)
    {
      const struct volume *volume = &job->volumes[i];
      struct stage_source *source = &staging->sources[i];
      if (!is_used (staging->stage, volume))
        continue;
      if (stage_open_source (source, volume, staging->stage, err) != 0)
        return -1;
      if (is_whole (staging->stage, volume) && mount_whole (staging, source, err) != 0)
        return -1;
    }
  staging->sources[job->volume_count].path = STAGE_SHARDS_FOLDER;
  return 0;
}

static void
stage_release (struct staging *staging)
{
  for (size_t i = 0; i < staging->source_count; i++)
    {
      struct stage_source *source = &staging->sources[i];
      auto_fd_ (&source->place.source_fd);
      auto_fd_ (&source->place.target_fd);
      place_release (&source->place);
      storage_close (source->storage);
    }
  free (staging->sources);
  buffer_release (&staging->paths);
}

/* ---- files ------------------------------------------------------------------------------ */

static int
bind_file (struct staging *staging, const struct stage_source *source, const struct atom *atom,
           struct error *err)
{
  auto_fd int file =
      storage_open_file (source->storage, atom->path, staging->stage->job->symlinks, err);
  if (file < 0)
    return -1;
  struct stat status;
  if (fstat (file, &status) != 0)
    return error_errno (err, errno, "%s", atom->path);
  if (local_pin_check (atom->version, &status, atom->path, err) != 0)
    return -1;
  staging->bytes += status.st_size;
  return mounts_add (staging->mounts, file, path_join (source->path, atom->path), false, false,
                     err);
}

static int
cannot_link (const struct stage_source *source, const struct atom *atom, struct error *err)
{
  return error_set (
      err, ERROR_USER,
      "%s/%s: can't be hard-linked from %s (another file system or owner); use --stage auto",
      source->path, atom->path, source->local);
}

/* Tries SOURCE's method, and goes over to the next one for it and all later files where it doesn't
 * work. */
static int
stage_file (struct staging *staging, struct stage_source *source, const struct atom *atom,
            int64_t number, struct error *err)
{
  if (stage_need_folder (staging, source, err) != 0)
    return -1;
  const struct stage *stage = staging->stage;
  for (;;)
    {
      enum place_how how = source->method == METHOD_LINK ? PLACE_LINK : PLACE_CLONE;
      int placed = 0;
      switch (source->method)
        {
        case METHOD_LINK:
        case METHOD_CLONE:
          source->place.pin = atom->version;
          placed = place_file (&source->place, atom->path, how, &staging->bytes, err);
          source->place.pin = NULL;
          if (placed != 1)
            return placed;
          if (stage->job->stage == STAGE_LINK)
            return cannot_link (source, atom, err);
          if (source->method == METHOD_LINK)
            source->method = METHOD_CLONE;
          else
            source->method =
                stage->shard->atom_count <= STAGE_BINDS_MAX ? METHOD_BIND : METHOD_COPY;
          break;
        case METHOD_BIND:
          if (stage->shard->atom_count > STAGE_BINDS_MAX)
            return error_set (
                err, ERROR_USER,
                "--stage bind takes at most %d input files per shard, this one has %lld",
                STAGE_BINDS_MAX, (long long) stage->shard->atom_count);
          return bind_file (staging, source, atom, err);
        case METHOD_COPY:
          if (source->copy_from < 0)
            source->copy_from = number;
          return 0;
        case METHOD_FETCH:
          source->fetching = true;
          return 0;
        }
    }
}

/* ---- folders ---------------------------------------------------------------------------- */

static int
stage_folder (struct staging *staging, struct stage_source *source, const struct atom *atom,
              struct error *err)
{
  const struct stage *stage = staging->stage;
  bool root = atom->path[0] == '\0';
  if (source->local == NULL)
    return fetch_folder (staging, source, atom->path, err);
  if (!root && stage_need_folder (staging, source, err) != 0)
    return -1;
  if (!root && !stage_binds_folders (stage))
    return stage_place_whole (&source->place, atom->path, stage->job->stage, NULL, &staging->bytes,
                              err);
  return stage_local_folder (staging, source, atom->path, err);
}

/* The folder of what the attempt that SOURCE ends in made, below the result: the only one that a
 * list of another container's outputs may name. The caller frees; NULL with ERR. */
static char *
outputs_of (const char *source, struct error *err)
{
  static const char behind[] = "/outputs";
  const char *found = strstr (source, "/" RESULT_ATTEMPTS "/");
  for (const char *at = found; at != NULL; at = strstr (at + 1, "/" RESULT_ATTEMPTS "/"))
    found = at;
  const char *name = found == NULL ? "" : found + strlen ("/" RESULT_ATTEMPTS "/");
  size_t length = strcspn (name, "/");
  if (length > 0 && strspn (name, "0123456789gas.") == length && name[0] != '.'
      && strcmp (name + length, behind) == 0)
    return xstrdup (found + 1);
  (void) error_set (err, ERROR_USER, "%.300s: not an attempt of this job", source);
  return NULL;
}

/* The same from where results are kept. A shard that made nothing has nothing there. */
static int
stage_fetch_outputs (struct staging *staging, struct stage_source *shards, const struct atom *atom,
                     const char *folder, struct error *err)
{
  auto_free char *url = path_join (staging->stage->job->results, folder);
  if (fs_make_folders (shards->place.target_fd, atom->path, 0755, err) != 0)
    return -1;
  auto_fd int target =
      fs_open_beneath (shards->place.target_fd, atom->path, O_RDONLY | O_DIRECTORY, 0, err);
  auto_storage struct storage *storage =
      target < 0 ? NULL : storage_open_as (url, staging->stage->job->credentials, err);
  if (storage == NULL)
    return -1;
  storage_set_halt (storage, staging->stage->halt);
  return stage_fetch_folder (staging, storage, url, target, "", err);
}

static int
place_outputs (struct staging *staging, struct stage_source *shards, const struct atom *atom,
               int source, struct error *err)
{
  const struct stage *stage = staging->stage;
  if (fs_make_folders (shards->place.target_fd, atom->path, 0755, err) != 0)
    return -1;
  auto_fd int target = fs_open_beneath (shards->place.target_fd, atom->path, O_PATH, 0, err);
  if (target < 0)
    return -1;
  auto_place struct place place = PLACE_INIT;
  place.source_fd = source;
  place.target_fd = target;
  place.halt = stage->halt;
  return stage_place_whole (&place, "", stage->job->stage, NULL, &staging->bytes, err);
}

/* An atom that isn't of a volume: what another shard made, at /shards/NNNNN. Wherever its list says
 * that it is, it is taken from this job's own result. */
static int
stage_outputs (struct staging *staging, const struct atom *atom, struct error *err)
{
  const struct stage *stage = staging->stage;
  struct stage_source *shards = &staging->sources[staging->source_count - 1];
  auto_free char *folder = outputs_of (atom->source, err);
  if (folder == NULL || stage_need_folder (staging, shards, err) != 0)
    return -1;
  if (atom->path[0] == '\0')
    return error_set (err, ERROR_USER, "%s: no file name", folder);
  if (result_is_remote (stage->job->results))
    return stage_fetch_outputs (staging, shards, atom, folder, err);
  auto_fd int source = fs_open_beneath (stage->result_fd, folder, O_RDONLY | O_DIRECTORY, 0, err);
  if (source < 0)
    return error_wrap (err, "%s", atom->source);
  if (!stage_binds_folders (stage))
    return place_outputs (staging, shards, atom, source, err);
  return mounts_add (staging->mounts, source, path_join (shards->path, atom->path), false, false,
                     err);
}

/* ---- all of it -------------------------------------------------------------------------- */

static int
stage_atom (struct staging *staging, const struct atom *atom, int64_t number, struct error *err)
{
  const struct job *job = staging->stage->job;
  if (place_check_path (atom->path, err) != 0)
    return -1;
  if (strlen (atom->path) != atom->path_size)
    return error_set (err, ERROR_USER, "%s: path with a NUL byte", atom->path);
  if (atom->volume == job->volume_count && atom->source != NULL)
    {
      auto_free char *path = path_join (STAGE_SHARDS_FOLDER, atom->path);
      buffer_append (&staging->paths, path, strlen (path) + 1);
      return stage_outputs (staging, atom, err);
    }
  if (atom->volume >= job->volume_count || staging->sources[atom->volume].storage == NULL
      || is_whole (staging->stage, &job->volumes[atom->volume]))
    return error_set (err, ERROR_USER, "%s: volume %u is not split into shards", atom->path,
                      atom->volume);
  struct stage_source *source = &staging->sources[atom->volume];
  auto_free char *path = path_join (source->path, atom->path);
  buffer_append (&staging->paths, path, strlen (path) + 1);
  int result = atom->folder ? stage_folder (staging, source, atom, err)
                            : stage_file (staging, source, atom, number, err);
  return result == 0 ? 0 : error_wrap (err, "%s", source->path);
}

static int
stage_atoms (struct staging *staging, struct error *err)
{
  auto_atom_cursor struct atom_cursor cursor = atom_cursor_start (staging->atoms);
  struct atom atom;
  int64_t number = 0;
  for (;; number++)
    {
      int got = atom_cursor_next (&cursor, &atom, err);
      if (got < 0)
        return -1;
      if (got == 0)
        break;
      if (halt_check (staging->stage->halt, err) != 0
          || stage_atom (staging, &atom, number, err) != 0)
        return -1;
    }
  for (size_t i = 0; i < staging->source_count; i++)
    if (staging->sources[i].copy_from >= 0)
      return stage_copy (staging, err);
  return 0;
}

/* A sliced volume that this shard has nothing of is an empty folder, not a missing one. */
static int
stage_empty (struct staging *staging, struct error *err)
{
  const struct stage *stage = staging->stage;
  for (size_t i = 0; i < stage->job->volume_count; i++)
    {
      struct stage_source *source = &staging->sources[i];
      if (source->storage != NULL && !is_whole (stage, &stage->job->volumes[i])
          && !source->root_bound && stage_need_folder (staging, source, err) != 0)
        return -1;
    }
  return 0;
}

static int
write_atoms_file (const struct staging *staging, int folder, struct error *err)
{
  auto_fd int fd = fs_open_beneath (folder, "atoms", O_WRONLY | O_CREAT | O_EXCL, 0644, err);
  if (fd >= 0
      && fs_write_all (fd, staging->paths.data, staging->paths.size, "the list of atoms", err) == 0)
    return 0;
  err->class = ERROR_TRANSIENT;
  return -1;
}

static int
add_atoms_file (const struct staging *staging, struct error *err)
{
  auto_fd int folder = stage_make_folder (staging->stage, "shoal", err);
  if (folder < 0 || write_atoms_file (staging, folder, err) != 0)
    return -1;
  return mounts_add (staging->mounts, folder, xstrdup (STAGE_ATOMS_FOLDER), false, false, err);
}

bool
stage_has_atoms (const struct job *job, const struct shard *shard)
{
  return job->glob != NULL || shard->kind == SHARD_REDUCE;
}

int
stage_in (const struct stage *stage, struct mounts *mounts, int64_t *bytes_in, struct error *err)
{
  struct error local = ERROR_INIT;
  struct error *reason = err != NULL ? err : &local;
  struct staging staging = { .stage = stage, .mounts = mounts };
  auto_buffer struct buffer plan = { 0 };
  staging.source_count = stage->job->volume_count + 1;
  staging.sources = xcalloc (staging.source_count, sizeof *staging.sources);
  for (size_t i = 0; i < staging.source_count; i++)
    {
      staging.sources[i].place = (struct place) PLACE_INIT;
      staging.sources[i].copy_from = -1;
    }
  int result = open_sources (&staging, reason);
  if (result == 0 && stage_has_atoms (stage->job, stage->shard))
    {
      result = atoms_load (stage->shard, stage->job, stage->result_fd, stage->halt, &plan,
                           &staging.atoms, reason);
      if (result == 0)
        result = stage_atoms (&staging, reason);
      if (result == 0)
        result = stage_empty (&staging, reason);
      if (result == 0)
        result = add_atoms_file (&staging, reason);
    }
  if (result == 0)
    result = stage_fetch (&staging, reason);
  *bytes_in = stage->shard->bytes >= 0 ? stage->shard->bytes : staging.bytes;
  stage_release (&staging);
  return result == 0 ? 0 : error_wrap (reason, REASON_STAGE);
}
