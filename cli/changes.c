#include "cli/changes.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/text.h"
#include "producer/slicer.h"
#include "schemas/codec.h"
#include "storage/listing.h"
#include "storage/local_pin.h"
#include "worker/atoms.h"

#include <string.h>

enum
{
  NAMED_MAX = 3,   /* paths of each kind */
  CLOCK_MS = 2000, /* file systems keep times as coarsely as this */
};

static void
release_list (struct change_list *list)
{
  strlist_release (&list->first);
}

void
changes_release (struct changes *changes)
{
  release_list (&changes->fresh);
  release_list (&changes->changed);
  release_list (&changes->gone);
  release_list (&changes->unknown);
  *changes = (struct changes){ 0 };
}

static void
changes_add (struct change_list *list, const char *path)
{
  if (list->count++ < NAMED_MAX)
    strlist_add (&list->first, path);
}

static void
add_atom (struct change_list *list, const struct job *job, const struct atom *atom)
{
  auto_free char *path = slicer_atom_path (job, atom);
  changes_add (list, path);
}

/* ---- the plan ----------------------------------------------------------------------------- */

struct planned
{
  const struct session *session;
  int64_t shards;
  int64_t next; /* shard to open */
  struct shard shard;
  struct buffer store;
  struct atom_cursor cursor;
  struct atom atom; /* the current one */
  bool ended;
};

static void
planned_release (struct planned *planned)
{
  atom_cursor_release (&planned->cursor);
  shard_release (&planned->shard);
  buffer_release (&planned->store);
}

static int
changes_open_shard (struct planned *planned, struct error *err)
{
  const struct session *session = planned->session;
  struct bytes list = { 0 };
  planned_release (planned);
  planned->shard = (struct shard){ 0 };
  planned->store = (struct buffer){ 0 };
  int found = bus_get_shard (session->bus, session->job.id, (uint32_t) planned->next++,
                             &planned->shard, err);
  if (found <= 0)
    return found < 0 ? -1 : error_set (err, ERROR_TRANSIENT, "a shard of the plan isn't there");
  if (atoms_load (&planned->shard, &session->job, session->folder_fd, NULL, &planned->store, &list,
                  err)
      != 0)
    return -1;
  planned->cursor = atom_cursor_start (list);
  return 0;
}

static int
changes_step (struct planned *planned, struct error *err)
{
  for (;;)
    {
      int got = atom_cursor_next (&planned->cursor, &planned->atom, err);
      if (got != 0)
        return got < 0 ? -1 : 0;
      planned->ended = planned->next == planned->shards;
      if (planned->ended)
        return 0;
      if (changes_open_shard (planned, err) != 0)
        return -1;
    }
}

/* ---- folders ------------------------------------------------------------------------------ */

/* What is younger than the job in a folder of this machine. */
struct youth
{
  struct storage *storage;
  int64_t since; /* ns */
  bool found;
};

static bool
enter_any (void *context, const char *path, size_t size)
{
  (void) path;
  (void) size;
  return !((const struct youth *) context)->found;
}

static int
changes_visit_entry (void *context, const struct storage_entry *entry, struct error *err)
{
  struct youth *youth = context;
  char pin[STORAGE_PIN_SIZE] = "";
  int64_t time = 0;
  if (entry->folder)
    {
      struct stat status;
      auto_fd int fd = storage_open_folder (youth->storage, entry->path, SYMLINKS_FOLLOW, err);
      if (fd < 0 || fstat (fd, &status) != 0)
        return -1;
      time = fs_mtime_ns (&status);
    }
  else
    {
      if (entry->pin == NULL || entry->pin (entry->pinner, pin, err) != 0)
        return -1;
      time = local_pin_time_ns (pin);
    }
  youth->found = youth->found || time >= youth->since;
  return youth->found;
}

/* Whether anything in FOLDER, which may be a file as well, is younger than JOB: 1, 0, or -1. */
static int
is_younger (const struct job *job, const char *folder, struct error *err)
{
  struct youth youth = { .since = (job->submitted - CLOCK_MS) * 1000 * 1000 };
  struct stat status;
  auto_storage struct storage *storage = storage_open (folder, err);
  youth.storage = storage;
  const struct storage_visitor visitor = {
    .context = &youth,
    .symlinks = job->symlinks == SYMLINKS_FOLLOW ? SYMLINKS_FOLLOW : SYMLINKS_SKIP,
    .enter = enter_any,
    .entry = changes_visit_entry,
  };
  if (storage != NULL && storage_is_file (storage))
    return stat (storage_local_path (storage), &status) == 0
               ? fs_mtime_ns (&status) >= youth.since
               : error_errno (err, errno, "%s", folder);
  auto_fd int root = storage == NULL ? -1 : storage_open_folder (storage, "", SYMLINKS_FOLLOW, err);
  if (root < 0)
    return -1;
  if (fstat (root, &status) == 0 && fs_mtime_ns (&status) >= youth.since)
    return 1;
  return storage_list (storage, &visitor, err);
}

/* Whether FILE, a volume, isn't what PIN was taken of: 1, 0 or -1. */
static int
is_another (const char *file, const char *pin, struct error *err)
{
  char now[LOCAL_PIN_SIZE];
  auto_storage struct storage *storage = storage_open (file, err);
  if (storage == NULL)
    return -1;
  if (!storage_is_file (storage))
    return 1;
  return local_pin_take (storage_local_path (storage), now, err) != 0 ? -1 : strcmp (now, pin) != 0;
}

/* ---- both ----------------------------------------------------------------------------------- */

struct comparison
{
  const struct job *job;
  struct planned planned;
  struct changes *changes;
};

/* By place in the order of all listings: a folder's name as if it ended in "/". */
static int
compare_atoms (const struct atom *a, const struct atom *b)
{
  if (a->volume != b->volume)
    return a->volume < b->volume ? -1 : 1;
  size_t common = a->path_size < b->path_size ? a->path_size : b->path_size;
  int order = memcmp (a->path, b->path, common);
  if (order != 0)
    return order;
  unsigned char behind_a = a->path_size > common ? (unsigned char) a->path[common]
                           : a->folder           ? '/'
                                                 : '\0';
  unsigned char behind_b = b->path_size > common ? (unsigned char) b->path[common]
                           : b->folder           ? '/'
                                                 : '\0';
  if (behind_a != behind_b)
    return behind_a < behind_b ? -1 : 1;
  return a->path_size < b->path_size ? -1 : a->path_size > b->path_size;
}

/* The same place in both lists. */
static int
compare_same (struct comparison *comparison, const struct atom *now, struct error *err)
{
  const struct atom *then = &comparison->planned.atom;
  const char *source = comparison->job->volumes[now->volume].source;
  struct changes *changes = comparison->changes;
  if (!now->folder)
    {
      if (!text_same (then->version, now->version) || !text_same (then->source, now->source)
          || (then->size >= 0 && now->size >= 0 && then->size != now->size))
        add_atom (&changes->changed, comparison->job, now);
      return 0;
    }
  if (storage_is_elsewhere (source))
    {
      add_atom (&changes->unknown, comparison->job, now);
      return 0;
    }
  auto_free char *folder = xasprintf ("%s/%s", source, now->path);
  int younger = is_younger (comparison->job, folder, err);
  if (younger > 0)
    add_atom (&changes->changed, comparison->job, now);
  return younger < 0 ? -1 : 0;
}

static int
comparison_add_atom (struct comparison *comparison, const struct atom *now, struct error *err)
{
  struct planned *planned = &comparison->planned;
  while (!planned->ended && compare_atoms (&planned->atom, now) < 0)
    {
      add_atom (&comparison->changes->gone, comparison->job, &planned->atom);
      if (changes_step (planned, err) != 0)
        return -1;
    }
  if (planned->ended || compare_atoms (&planned->atom, now) != 0)
    {
      auto_free char *path = slicer_atom_path (comparison->job, now);
      if (!strlist_has (&comparison->job->quarantined, path))
        changes_add (&comparison->changes->fresh, path);
      return 0;
    }
  return compare_same (comparison, now, err) != 0 ? -1 : changes_step (planned, err);
}

static int
changes_on_shard (void *context, const struct shard *shard, struct error *err)
{
  struct comparison *comparison = context;
  auto_atom_cursor struct atom_cursor cursor = atom_cursor_start (buffer_bytes (&shard->atoms));
  for (;;)
    {
      struct atom atom = { 0 };
      int got = atom_cursor_next (&cursor, &atom, err);
      if (got <= 0)
        return got;
      if (comparison_add_atom (comparison, &atom, err) != 0)
        return -1;
    }
}

static int
compare_atom_lists (struct comparison *comparison, struct error *err)
{
  struct plan plan = { 0 };
  struct job job = { 0 };
  /* As small as possible: they are looked at one by one, and nothing is sliced. */
  job_copy (&job, comparison->job);
  job.shards = -1;
  job.needs_count = false;
  const struct slicer_sink sink = { .context = comparison,
                                    .shard = changes_on_shard,
                                    .plan_fd = -1 };
  int result = changes_step (&comparison->planned, err);
  if (result == 0)
    result = slicer_run (&job, &sink, &plan, err);
  while (result == 0 && !comparison->planned.ended)
    {
      add_atom (&comparison->changes->gone, comparison->job, &comparison->planned.atom);
      result = changes_step (&comparison->planned, err);
    }
  job_release (&job);
  return result == 0 ? 0 : -1;
}

static int
compare_volumes (struct comparison *comparison, const struct session *session, struct error *err)
{
  const struct job *job = comparison->job;
  auto_shard struct shard first = { 0 }; /* all of a plan have the same pins */
  if (bus_get_shard (session->bus, job->id, 0, &first, err) < 0)
    return -1;
  for (size_t i = 0; i < job->volume_count; i++)
    {
      const struct volume *volume = &job->volumes[i];
      if (!volume->shared && job->glob != NULL)
        continue;
      if (storage_is_elsewhere (volume->source))
        {
          if (strncmp (volume->source, "ipfs://", 7) != 0)
            changes_add (&comparison->changes->unknown, volume->path);
          continue;
        }
      const char *pin = shard_volume_pin (&first, i);
      int changed = pin != NULL ? is_another (volume->source, pin, err)
                                : is_younger (job, volume->source, err);
      if (changed < 0)
        return error_wrap (err, "volume %s", volume->path);
      if (changed > 0)
        changes_add (&comparison->changes->changed, volume->path);
    }
  return 0;
}

int
changes_find (const struct session *session, int64_t shards, struct changes *changes,
              struct error *err)
{
  struct comparison comparison = {
    .job = &session->job,
    .planned = { .session = session, .shards = shards },
    .changes = changes,
  };
  int result = compare_volumes (&comparison, session, err);
  if (result == 0 && session->job.glob != NULL)
    result = compare_atom_lists (&comparison, err);
  planned_release (&comparison.planned);
  return result;
}

int
changes_whole_volumes (const struct session *session, struct error *err)
{
  auto_changes struct changes changes = { 0 };
  struct comparison comparison = { .job = &session->job, .changes = &changes };
  if (compare_volumes (&comparison, session, err) != 0)
    return -1;
  return changes.changed.count + changes.unknown.count > 0;
}

int
changes_check_pins (const struct session *session, struct error *err)
{
  const struct job *job = &session->job;
  auto_shard struct shard first = { 0 };
  if (bus_get_shard (session->bus, job->id, 0, &first, err) < 0)
    return -1;
  for (size_t i = 0; i < job->volume_count; i++)
    {
      const struct volume *volume = &job->volumes[i];
      const char *pin = shard_volume_pin (&first, i);
      int changed = pin == NULL ? 0 : is_another (volume->source, pin, err);
      if (changed < 0)
        return error_wrap (err, "volume %s", volume->path);
      if (changed > 0)
        return error_set (err, ERROR_USER,
                          "volume %s: %s: changed since the job was planned, and all its shards "
                          "have the same one: put it back, or run the whole job anew",
                          volume->path, volume->source);
    }
  return 0;
}

int
changes_shard_stands (const struct session *session, const struct shard *shard, struct error *err)
{
  auto_buffer struct buffer store = { 0 };
  struct bytes list = { 0 };
  if (atoms_load (shard, &session->job, session->folder_fd, NULL, &store, &list, err) != 0)
    return -1;
  auto_atom_cursor struct atom_cursor cursor = atom_cursor_start (list);
  for (;;)
    {
      struct atom atom = { 0 };
      int got = atom_cursor_next (&cursor, &atom, err);
      if (got <= 0)
        return got < 0 ? -1 : 1;
      const char *source = session->job.volumes[atom.volume].source;
      if (!atom.folder && atom.version == NULL)
        return 0; /* nothing tells */
      if (!atom.folder)
        continue;
      if (storage_is_elsewhere (source))
        return 0;
      auto_free char *folder = xasprintf ("%s/%s", source, atom.path);
      struct error gone = ERROR_INIT;
      if (is_younger (&session->job, folder, &gone) != 0)
        return 0;
    }
}

/* ---- telling -------------------------------------------------------------------------------- */

bool
changes_any (const struct changes *changes)
{
  return changes->fresh.count + changes->changed.count + changes->gone.count > 0;
}

static void
print_list (FILE *out, const char *what, const struct change_list *list)
{
  if (list->count == 0)
    return;
  (void) fprintf (out, "  %-9s %lld: ", what, (long long) list->count);
  for (size_t i = 0; i < list->first.count; i++)
    {
      auto_free char *path = text_shown (list->first.items[i]);
      (void) fprintf (out, "%s%s", i == 0 ? "" : ", ", path);
    }
  (void) fputs (list->count > NAMED_MAX ? " …\n" : "\n", out);
}

void
changes_print (FILE *out, const struct changes *changes)
{
  print_list (out, "new", &changes->fresh);
  print_list (out, "changed", &changes->changed);
  print_list (out, "gone", &changes->gone);
  print_list (out, "unknown", &changes->unknown);
}
