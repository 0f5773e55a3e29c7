/* Folders of this machine, for staging: mounted whole, or made anew where links in them lead to
 * what their container doesn't see. */
#include "worker/stage_internal.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/path.h"

#include <fcntl.h>

int
stage_open_volume (const struct stage_source *source, struct error *err)
{
  int kind = storage_is_file (source->storage) ? O_NONBLOCK : O_DIRECTORY;
  auto_fd int root = fs_open_folder (AT_FDCWD, "/", err);
  return root < 0 ? -1
                  : fs_open_beneath (root, source->local[1] == '\0' ? "." : source->local + 1,
                                     O_RDONLY | kind, 0, err);
}

int
stage_make_folder (const struct stage *stage, const char *path, struct error *err)
{
  int fd = fs_make_folders (stage->scratch_fd, path, 0755, err) != 0
               ? -1
               : fs_open_beneath (stage->scratch_fd, path, O_RDONLY | O_DIRECTORY, 0, err);
  if (fd < 0)
    err->class = ERROR_TRANSIENT;
  return fd;
}

int
stage_need_folder (struct staging *staging, struct stage_source *source, struct error *err)
{
  if (source->has_folder)
    return 0;
  auto_free char *folder = xasprintf ("in/%zu", (size_t) (source - staging->sources));
  source->place.target_fd = stage_make_folder (staging->stage, folder, err);
  if (source->place.target_fd < 0)
    return -1;
  source->place.storage = source->storage;
  source->place.halt = staging->stage->halt;
  source->place.symlinks = staging->stage->job->symlinks;
  if (source->local != NULL)
    {
      source->place.source_fd = stage_open_volume (source, err);
      if (source->place.source_fd < 0)
        return error_wrap (err, "volume %s", source->path);
    }
  if (mounts_add (staging->mounts, source->place.target_fd, xstrdup (source->path), false, true,
                  err)
      != 0)
    return -1;
  source->has_folder = true;
  return 0;
}

bool
stage_binds_folders (const struct stage *stage)
{
  return stage->job->stage == STAGE_BIND
         || (stage->job->stage == STAGE_AUTO && stage->shard->atom_count <= STAGE_BINDS_MAX);
}

int
stage_place_whole (struct place *place, const char *path, enum stage_mode mode,
                   const struct place_binding *binding, int64_t *bytes, struct error *err)
{
  static const enum place_how how[] = {
    [STAGE_AUTO] = PLACE_LINK_OR_COPY,
    [STAGE_LINK] = PLACE_LINK,
    [STAGE_COPY] = PLACE_COPY,
    [STAGE_BIND] = PLACE_LINK_OR_COPY,
  };
  int placed = place_folder (place, path, how[mode], binding, bytes, err);
  if (placed == 1)
    return error_set (err, ERROR_USER, "%s: can't be hard-linked; use --stage auto", path);
  return placed;
}

struct binder
{
  struct staging *staging;
  const struct stage_source *source;
};

static bool
may_bind (void *context)
{
  const struct binder *binder = context;
  return binder->staging->mounts->count < STAGE_BINDS_MAX;
}

static int
bind_open (void *context, const char *path, int fd, struct error *err)
{
  const struct binder *binder = context;
  return mounts_add (binder->staging->mounts, fd, path_join (binder->source->path, path), false,
                     false, err);
}

static int
open_found (const struct stage_source *source, const char *path, enum symlinks symlinks,
            struct error *err)
{
  if (symlinks == SYMLINKS_FOLLOW)
    return storage_open_folder (source->storage, path, symlinks, err);
  auto_fd int volume = stage_open_volume (source, err);
  return volume < 0 ? -1 : fs_open_beneath (volume, path, O_PATH | O_DIRECTORY, 0, err);
}

int
stage_local_folder (struct staging *staging, struct stage_source *source, const char *path,
                    struct error *err)
{
  const struct job *job = staging->stage->job;
  struct binder binder = { .staging = staging, .source = source };
  const struct place_binding binding = { .context = &binder, .may = may_bind, .bind = bind_open };
  struct place look = { .storage = source->storage, .symlinks = job->symlinks };
  look.halt = staging->stage->halt;
  auto_fd int found = open_found (source, path, job->symlinks, err);
  if (found < 0)
    return -1;
  int out = place_leads_out (&look, found, path, err);
  if (out < 0)
    return -1;
  if (out == 0)
    {
      source->root_bound |= path[0] == '\0';
      return bind_open (&binder, path, found, err);
    }
  if (stage_need_folder (staging, source, err) != 0)
    return -1;
  return stage_place_whole (&source->place, path, STAGE_BIND, &binding, &staging->bytes, err);
}
