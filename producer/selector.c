#include "producer/selector.h"

#include "common/memory.h"
#include "common/path.h"
#include "storage/listing.h"

#include <string.h>

enum
{
  TICK = 1024, /* paths between two ticks */
};

int
selection_compile (const struct job *job, struct selection *selection, struct error *err)
{
  selection->glob = glob_compile_as (job->glob, job->glob_ignore_case, err);
  if (selection->glob == NULL)
    return -1;
  selection->excludes = xcalloc (job->exclude.count + 1, sizeof (struct glob *));
  for (size_t i = 0; i < job->exclude.count; i++)
    {
      struct glob *exclude = glob_compile_as (job->exclude.items[i], job->glob_ignore_case, err);
      if (exclude == NULL)
        return error_wrap (err, "exclude");
      selection->excludes[selection->exclude_count++] = exclude;
    }
  return 0;
}

void
selection_release (struct selection *selection)
{
  glob_free (selection->glob);
  for (size_t i = 0; i < selection->exclude_count; i++)
    glob_free (selection->excludes[i]);
  free (selection->excludes);
  *selection = (struct selection){ 0 };
}

/* ---- where a path lies ----------------------------------------------------------------- */

struct pending_path
{
  size_t path_size; /* of `pending_path` */
  bool spoilt;      /* something in it has matched */
  int64_t bytes;
};

struct selector
{
  const struct selection *selection;
  const struct selector_sink *sink;
  const struct volume *volume;
  uint32_t index;
  bool sizes;
  bool follows; /* links to folders are entered */

  struct strlist hidden; /* where other volumes are mounted in this one */
  const char *inner;     /* the base path below the volume's root, "" when it isn't */
  struct buffer
      below_base; /* the volume's root below the base path and "/", then the path just seen */
  size_t root_size;

  struct pending_path *pending; /* each lies in the one before it */
  size_t pending_count;
  size_t pending_capacity;
  struct buffer pending_path; /* of the last one */

  bool may_clash;       /* a file and a folder may have one path, as keys and pages have it */
  struct strlist files; /* that are atoms, each the beginning of the next one and of the path just
                           seen */

  bool enter;     /* the answer for the folder just seen */
  int64_t listed; /* since the last tick */
};

/* A path as the patterns see it: relative to the base path. */
struct pattern_path
{
  enum
  {
    PATH_OUTSIDE,
    PATH_ABOVE, /* a folder on the way down to the base path */
    PATH_INSIDE,
  } where;
  const char *path;
  size_t size;
};

/* Whether PATH is FOLDER ("" the root) or lies in it. */
static bool
lies_in (const char *path, size_t size, const char *folder, size_t folder_size)
{
  if (folder_size == 0)
    return true;
  return size >= folder_size && memcmp (path, folder, folder_size) == 0
         && (size == folder_size || path[folder_size] == '/');
}

static struct pattern_path
selector_find_path (struct selector *selector, const char *path, size_t size)
{
  size_t inner = strlen (selector->inner);
  if (inner > 0)
    {
      if (lies_in (path, size, selector->inner, inner))
        {
          size_t skip = size == inner ? inner : inner + 1;
          return (struct pattern_path){ PATH_INSIDE, path + skip, size - skip };
        }
      bool above = lies_in (selector->inner, inner, path, size);
      return (struct pattern_path){ .where = above ? PATH_ABOVE : PATH_OUTSIDE };
    }
  if (selector->root_size == 0)
    return (struct pattern_path){ PATH_INSIDE, path, size };
  selector->below_base.size = selector->root_size;
  if (size == 0)
    return (struct pattern_path){ PATH_INSIDE, selector->below_base.data, selector->root_size - 1 };
  buffer_append (&selector->below_base, path, size);
  return (struct pattern_path){ PATH_INSIDE, selector->below_base.data, selector->below_base.size };
}

static bool
selector_is_hidden (const struct selector *selector, const char *path, size_t size)
{
  for (size_t i = 0; i < selector->hidden.count; i++)
    {
      const char *mount = selector->hidden.items[i];
      if (lies_in (path, size, mount, strlen (mount)))
        return true;
    }
  return false;
}

static bool
is_excluded (const struct selector *selector, struct pattern_path seen)
{
  const struct selection *selection = selector->selection;
  for (size_t i = 0; i < selection->exclude_count; i++)
    if (glob_match (selection->excludes[i], seen.path, seen.size))
      return true;
  return false;
}

/* ---- files beside folders of their path ------------------------------------------------- */

/* The folder PATH, or the file PATH in its folders, is going to be an atom: an error if a file that
 * is one has the path of that folder, or of one of those. Only one of both can be staged. Paths
 * come in the order in which a folder's is behind all that begin with it. */
static int
selector_check_clash (struct selector *selector, const char *path, size_t size, bool folder,
                      struct error *err)
{
  struct strlist *files = &selector->files;
  if (!selector->may_clash)
    return 0;
  for (; files->count > 0; free (files->items[--files->count]))
    {
      const char *last = files->items[files->count - 1];
      size_t length = strlen (last);
      if (length > size || memcmp (path, last, length) != 0)
        continue;
      if (length < size ? path[length] != '/' : !folder)
        break;
      return error_set (err, ERROR_USER,
                        "%s/%s is a file and a folder, and the pattern matches both: only one of "
                        "them can be an input (--exclude leaves both out)",
                        selector->volume->path, last);
    }
  return 0;
}

/* ---- pending folders ------------------------------------------------------------------- */

/* The inside has won in all pending folders. One that is spoilt has only spoilt ones above it. */
static void
spoil (struct selector *selector)
{
  for (size_t i = selector->pending_count; i > 0 && !selector->pending[i - 1].spoilt; i--)
    selector->pending[i - 1].spoilt = true;
}

static void
push_pending (struct selector *selector, const char *path, size_t size)
{
  if (selector->pending_count == selector->pending_capacity)
    {
      selector->pending_capacity = selector->pending_capacity * 2 + 8;
      selector->pending =
          xrealloc (selector->pending, selector->pending_capacity, sizeof *selector->pending);
    }
  buffer_clear (&selector->pending_path);
  buffer_append (&selector->pending_path, path, size);
  selector->pending[selector->pending_count++] = (struct pending_path){
    .path_size = size, .spoilt = false, .bytes = selector->sizes ? 0 : -1
  };
}

static int
emit_folder (struct selector *selector, const char *path, size_t size, int64_t bytes,
             struct error *err)
{
  for (size_t i = 0; i < selector->hidden.count; i++)
    if (lies_in (selector->hidden.items[i], strlen (selector->hidden.items[i]), path, size))
      return error_set (err, ERROR_USER,
                        "the folder %s/%s matches the pattern as a whole, but another volume is "
                        "mounted in it at %s/%s",
                        selector->volume->path, path, selector->volume->path,
                        selector->hidden.items[i]);
  if (selector_check_clash (selector, path, size, true, err) != 0)
    return -1;
  spoil (selector);
  const struct atom atom = {
    .volume = selector->index,
    .folder = true,
    .size = -1,
    .path = path,
    .path_size = size,
  };
  return selector->sink->atom (selector->sink->context, &atom, bytes, err);
}

/* Decides the pending folders that PATH isn't in; NULL: all. */
static int
leave_folders (struct selector *selector, const char *path, size_t size, struct error *err)
{
  while (selector->pending_count > 0)
    {
      struct pending_path last = selector->pending[selector->pending_count - 1];
      selector->pending_path.size = last.path_size;
      if (path != NULL && lies_in (path, size, selector->pending_path.data, last.path_size))
        return 0;
      selector->pending_count--;
      if (last.spoilt)
        continue;
      const char *name = "";
      if (last.path_size > 0)
        {
          name = selector->pending_path.data;
          selector->pending_path.data[last.path_size] = '\0';
        }
      int result = emit_folder (selector, name, last.path_size, last.bytes, err);
      if (result != 0)
        return result;
    }
  return 0;
}

static bool
is_summing (const struct selector *selector)
{
  return selector->sizes && selector->pending_count > 0
         && !selector->pending[selector->pending_count - 1].spoilt;
}

/* ---- what the listing shows ------------------------------------------------------------ */

static int
selector_visit_folder (struct selector *selector, const char *path, size_t size,
                       struct pattern_path seen, struct error *err)
{
  const struct glob *glob = selector->selection->glob;
  bool itself = glob_match_folder (glob, seen.path, seen.size);
  bool below = glob_may_match_below (glob, seen.path, seen.size);
  if ((itself || below) && is_excluded (selector, seen))
    {
      spoil (selector);
      selector->enter = false;
      return 0;
    }
  if (itself && !below && !selector->sizes)
    {
      selector->enter = false;
      return emit_folder (selector, path, size, -1, err);
    }
  if (itself)
    push_pending (selector, path, size);
  selector->enter = below || is_summing (selector);
  return 0;
}

static int
selector_visit_file (struct selector *selector, const struct storage_entry *entry,
                     struct pattern_path seen, struct error *err)
{
  if (selector->sizes && entry->size > 0)
    for (size_t i = 0; i < selector->pending_count; i++)
      selector->pending[i].bytes += entry->size;
  if (!glob_match (selector->selection->glob, seen.path, seen.size))
    return 0;
  spoil (selector);
  if (is_excluded (selector, seen))
    return 0;
  if (selector_check_clash (selector, entry->path, entry->path_size, false, err) != 0)
    return -1;
  if (selector->may_clash)
    strlist_add (&selector->files, entry->path);
  char pin[STORAGE_PIN_SIZE];
  bool pins = entry->version == NULL && entry->pin != NULL;
  if (pins && entry->pin (entry->pinner, pin, err) != 0)
    return -1;
  const struct atom atom = {
    .volume = selector->index,
    .size = entry->size,
    .path = entry->path,
    .path_size = entry->path_size,
    .source = entry->source,
    .version = pins ? pin : entry->version,
  };
  return selector->sink->atom (selector->sink->context, &atom, entry->size, err);
}

static int
selector_check_progress (struct selector *selector, struct error *err)
{
  int64_t listed = selector->listed;
  selector->listed = 0;
  return selector->sink->tick (selector->sink->context, listed, err);
}

static int
selector_on_entry (void *context, const struct storage_entry *entry, struct error *err)
{
  struct selector *selector = context;
  int result = ++selector->listed >= TICK ? selector_check_progress (selector, err) : 0;
  if (result == 0)
    result = leave_folders (selector, entry->path, entry->path_size, err);
  if (result != 0)
    return result;
  selector->enter = false;
  if (selector_is_hidden (selector, entry->path, entry->path_size))
    return 0;
  struct pattern_path seen = selector_find_path (selector, entry->path, entry->path_size);
  selector->enter = seen.where == PATH_ABOVE;
  if (seen.where != PATH_INSIDE || (seen.size == 0 && !entry->folder))
    return 0;
  if (entry->folder)
    return selector_visit_folder (selector, entry->path, entry->path_size, seen, err);
  return selector_visit_file (selector, entry, seen, err);
}

static bool
selector_on_enter (void *context, const char *path, size_t size)
{
  (void) path;
  (void) size;
  return ((const struct selector *) context)->enter;
}

/* A match at PATH, which no entry has told of, is excluded. */
static void
spoil_above (struct selector *selector, const char *path, size_t size)
{
  for (size_t i = 0; i < selector->pending_count; i++)
    if (lies_in (path, size, selector->pending_path.data, selector->pending[i].path_size))
      selector->pending[i].spoilt = true;
}

/* A link: as selector_visit_file, but before it is known what it leads to. */
static bool
selector_on_wanted (void *context, const char *path, size_t size)
{
  struct selector *selector = context;
  if (selector_is_hidden (selector, path, size))
    return false;
  struct pattern_path seen = selector_find_path (selector, path, size);
  if (seen.where != PATH_INSIDE || !glob_match (selector->selection->glob, seen.path, seen.size))
    return false;
  if (!is_excluded (selector, seen))
    return true;
  spoil_above (selector, path, size);
  return false;
}

/* The same of a link to a folder: as selector_visit_folder. */
static bool
on_holds (void *context, const char *path, size_t size)
{
  struct selector *selector = context;
  const struct glob *glob = selector->selection->glob;
  if (selector_is_hidden (selector, path, size))
    return false;
  struct pattern_path seen = selector_find_path (selector, path, size);
  if (seen.where != PATH_INSIDE)
    return seen.where == PATH_ABOVE;
  bool matters = glob_match_folder (glob, seen.path, seen.size)
                 || glob_may_match_below (glob, seen.path, seen.size);
  if (!matters || !is_excluded (selector, seen))
    return matters || (selector->follows && is_summing (selector));
  spoil_above (selector, path, size);
  return false;
}

static void
on_left_out (void *context, const char *path, size_t size, enum storage_left_out why)
{
  const struct selector *selector = context;
  bool link = why == STORAGE_LEFT_ELSEWHERE; /* as a page has it, not a path below the volume */
  auto_free char *shown = link ? xstrdup (path) : path_join (selector->volume->path, path);
  (void) size;
  left_out_add (selector->sink->left_out, shown, why);
}

/* ---- a volume -------------------------------------------------------------------------- */

/* Where the volume's root and the base path lie to each other, and what other volumes hide. */
static int
lay_out (struct selector *selector, const struct job *job, struct error *err)
{
  const char *path = selector->volume->path;
  const char *root = path_below (path, job->base_path);
  selector->inner = path_below (job->base_path, path);
  if (root == NULL && selector->inner == NULL)
    return error_set (err, ERROR_USER, "the volume %s is neither below nor above the base path %s",
                      path, job->base_path);
  if (selector->inner == NULL)
    selector->inner = "";
  if (root != NULL && root[0] != '\0')
    buffer_printf (&selector->below_base, "%s/", root);
  selector->root_size = selector->below_base.size;
  for (size_t i = 0; i < job->volume_count; i++)
    {
      const char *below = path_below (job->volumes[i].path, path);
      if (i != selector->index && below != NULL)
        strlist_add (&selector->hidden, below);
    }
  return 0;
}

/* What the volume's paths that matter begin with: the glob's own words, seen from the volume's
 * root. The caller frees. */
static char *
prefix_of (const struct selector *selector)
{
  auto_buffer struct buffer glob = { 0 };
  glob_prefix (selector->selection->glob, &glob);
  const char *text = glob.size == 0 ? "" : glob.data;
  if (selector->inner[0] != '\0')
    return text[0] == '\0' ? xstrdup (selector->inner) : path_join (selector->inner, text);
  size_t root = selector->root_size;
  if (root == 0)
    return xstrdup (text);
  bool beyond = glob.size >= root && memcmp (text, selector->below_base.data, root) == 0;
  return xstrdup (beyond ? text + root : "");
}

static int
select_all (struct selector *selector, const struct job *job, struct storage *storage,
            struct error *err)
{
  if (lay_out (selector, job, err) != 0)
    return -1;
  auto_free char *prefix = prefix_of (selector);
  const struct storage_visitor visitor = {
    .context = selector,
    .want_sizes = selector->sizes,
    .symlinks = job->symlinks,
    .prefix = prefix,
    .enter = selector_on_enter,
    .entry = selector_on_entry,
    .wanted = selector_on_wanted,
    .holds = on_holds,
    .left_out = selector->sink->left_out == NULL ? NULL : on_left_out,
  };
  selector->enter = true;
  struct pattern_path seen = selector_find_path (selector, "", 0);
  int result = 0;
  if (seen.where == PATH_INSIDE)
    result = selector_visit_folder (selector, "", 0, seen, err);
  if (result == 0)
    result = storage_list (storage, &visitor, err);
  if (result == 0)
    result = leave_folders (selector, NULL, 0, err);
  return result != 0 ? result : selector_check_progress (selector, err);
}

int
selector_run (const struct job *job, size_t index, const struct selection *selection,
              struct storage *storage, const struct selector_sink *sink, struct error *err)
{
  struct selector selector = {
    .selection = selection,
    .sink = sink,
    .volume = &job->volumes[index],
    .index = (uint32_t) index,
    .sizes = job_wants_sizes (job),
    .follows = job->symlinks == SYMLINKS_FOLLOW,
    .may_clash = job->volumes[index].source[0] != '/',
  };
  int result = select_all (&selector, job, storage, err);
  strlist_release (&selector.hidden);
  buffer_release (&selector.below_base);
  buffer_release (&selector.pending_path);
  strlist_release (&selector.files);
  free (selector.pending);
  return result;
}
