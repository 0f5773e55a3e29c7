/* Files of storages that aren't on this machine: those that the plan names, as they were when it
 * was made, and what is in its folders. */
#include "storage/listing.h"
#include "worker/stage_internal.h"

#include "common/fs.h"
#include "common/memory.h"
#include "policy/policy_check.h"
#include "schemas/codec.h"

#include <string.h>

/* ---- folders ---------------------------------------------------------------------------- */

struct fetch_listing
{
  int target_fd;
  const char *folder;
  size_t folder_size;
  int64_t found;
  struct buffer files; /* as atoms */
};

/* Whether PATH is in the folder that is wanted. */
static bool
is_inside (const struct fetch_listing *listing, const char *path, size_t size)
{
  size_t folder = listing->folder_size;
  return folder == 0
         || (size > folder && memcmp (path, listing->folder, folder) == 0 && path[folder] == '/');
}

/* On the way to it, it, or in it. */
static bool
stage_fetch_on_enter (void *context, const char *path, size_t size)
{
  const struct fetch_listing *listing = context;
  size_t folder = listing->folder_size;
  return size == 0 || is_inside (listing, path, size)
         || (size <= folder && memcmp (path, listing->folder, size) == 0
             && (size == folder || listing->folder[size] == '/'));
}

static bool
stage_fetch_on_wanted (void *context, const char *path, size_t size)
{
  return is_inside (context, path, size);
}

static int
stage_fetch_on_entry (void *context, const struct storage_entry *entry, struct error *err)
{
  struct fetch_listing *listing = context;
  bool itself = entry->folder && entry->path_size == listing->folder_size
                && memcmp (entry->path, listing->folder, listing->folder_size) == 0;
  if (!itself && !is_inside (listing, entry->path, entry->path_size))
    return 0;
  listing->found++;
  if (entry->folder)
    return fs_make_folders (listing->target_fd, entry->path, 0755, err);
  const struct atom atom = { .size = entry->size,
                             .path = entry->path,
                             .path_size = entry->path_size,
                             .source = entry->source,
                             .version = entry->version };
  atom_append (&listing->files, &atom);
  return 0;
}

/* ---- files ------------------------------------------------------------------------------ */

/* A batch: the files of one volume among atoms, one after the other. */
struct fetching
{
  struct staging *staging;
  enum storage_kind kind;
  const char *base; /* what the atoms' sources are relative to */
  uint32_t volume;
  struct atom_cursor cursor;
  struct atom atom;
};

/* Whoever wrote the list may have put anything into it: on the web it names URLs of its own,
 * elsewhere what is below the volume. */
static int
check_source (const struct fetching *fetching, const struct atom *atom, struct error *err)
{
  const struct policy *policy = fetching->staging->stage->policy;
  if (atom->source == NULL)
    return 0;
  if (fetching->kind == STORAGE_HTTP)
    return policy_check_link (policy, fetching->base, atom->source, err);
  for (const char *at = strstr (atom->source, ".."); at != NULL; at = strstr (at + 1, ".."))
    if ((at == atom->source || at[-1] == '/') && (at[2] == '/' || at[2] == '\0'))
      return error_set (err, ERROR_USER, "%s: not a name below the volume", atom->source);
  return 0;
}

static int
stage_fetch_next_item (void *context, struct storage_item *item, struct error *err)
{
  struct fetching *fetching = context;
  for (;;)
    {
      int got = atom_cursor_next (&fetching->cursor, &fetching->atom, err);
      if (got <= 0)
        return got;
      if (fetching->atom.volume != fetching->volume || fetching->atom.folder)
        continue;
      if (check_source (fetching, &fetching->atom, err) != 0)
        return error_wrap (err, "%s", fetching->atom.path);
      if (fetching->atom.size > 0)
        fetching->staging->bytes += fetching->atom.size;
      *item = (struct storage_item){ .path = fetching->atom.path,
                                     .version = fetching->atom.version,
                                     .source = fetching->atom.source,
                                     .size = fetching->atom.size };
      return 1;
    }
}

static bool
stage_fetch_is_stopped (void *context)
{
  return halt_check (((const struct fetching *) context)->staging->stage->halt, NULL) != 0;
}

static int
stage_fetch_listed (struct staging *staging, struct storage *storage, const char *base,
                    int target_fd, struct bytes atoms, uint32_t volume, struct error *err)
{
  struct fetching fetching = { .staging = staging,
                               .kind = storage_kind (storage),
                               .base = base,
                               .volume = volume,
                               .cursor = atom_cursor_start (atoms) };
  struct storage_totals *totals = staging->stage->totals;
  const struct storage_batch batch = { .context = &fetching,
                                       .next = stage_fetch_next_item,
                                       .stopped = stage_fetch_is_stopped,
                                       .folder_fd = target_fd,
                                       .totals = totals == NULL ? NULL
                                                                : &totals[storage_kind (storage)] };
  int result = storage_fetch (storage, &batch, err);
  atom_cursor_release (&fetching.cursor);
  return result;
}

int
stage_fetch (struct staging *staging, struct error *err)
{
  for (size_t i = 0; i < staging->source_count; i++)
    {
      const struct stage_source *source = &staging->sources[i];
      if (source->fetching
          && stage_fetch_listed (staging, source->storage, staging->stage->job->volumes[i].source,
                                 source->place.target_fd, staging->atoms, (uint32_t) i, err)
                 != 0)
        return error_wrap (err, "%s", source->path);
    }
  return 0;
}

int
stage_fetch_folder (struct staging *staging, struct storage *storage, const char *base,
                    int target_fd, const char *path, struct error *err)
{
  struct fetch_listing listing = { .target_fd = target_fd,
                                   .folder = path,
                                   .folder_size = strlen (path) };
  const struct storage_visitor visitor = { .context = &listing,
                                           .symlinks = staging->stage->job->symlinks,
                                           .prefix = path,
                                           .enter = stage_fetch_on_enter,
                                           .entry = stage_fetch_on_entry,
                                           .wanted = stage_fetch_on_wanted };
  int result = storage_list (storage, &visitor, err);
  if (result == 0 && listing.found == 0 && path[0] != '\0')
    result = error_set (err, ERROR_USER, "%s: no longer exists", path);
  if (result == 0)
    result = stage_fetch_listed (staging, storage, base, target_fd, buffer_bytes (&listing.files),
                                 0, err);
  buffer_release (&listing.files);
  return result;
}
