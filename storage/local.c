/* local.c — a folder of this machine as a storage, or a file. */
#include "common/fs.h"
#include "common/memory.h"
#include "storage/folder.h"
#include "storage/listing.h"
#include "storage/local_links.h"
#include "storage/local_pin.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum
{
  DEPTH_MAX = 4096, /* folders within folders; a tree deeper than this is refused */
  OPEN_MAX = 64,    /* of them open at a time; others are opened again when needed */
  KEPT_MAX = 4096,  /* entries of a folder that was left whose memory is kept for the next */
};

/* ---- listing --------------------------------------------------------------------------- */

/* One folder on the way down to where the walk is. */
struct walk_level
{
  int fd;           /* -1: closed meanwhile */
  size_t path_size; /* of its path, with the "/" behind it; 0 for the root */
  size_t next;      /* entry to look at */
  bool linked;      /* reached by a link */
  dev_t device;     /* which folder it is, where links are followed */
  ino_t inode;
  struct folder folder;
};

struct local_walk
{
  const struct local *local;
  const struct storage_visitor *visitor;
  struct walk_level
      *levels; /* [0] is the root; memory of levels above the depth is kept for later */
  size_t depth;
  size_t capacity;
  size_t open_from;   /* levels above the root and below this one are closed */
  struct buffer path; /* of the current entry */
  void *chunk;
  const char *name;   /* of the current file */
  struct stat status; /* what it is, once known */
  bool has_status;
  bool visitor_ended; /* the visitor's error speaks for itself */
};

static const char *
local_walk_path (const struct local_walk *walk)
{
  return walk->path.data == NULL ? "" : walk->path.data;
}

/* Name of the folder LEVEL in the one above it. */
static const char *
level_name (const struct local_walk *walk, size_t level)
{
  const struct walk_level *above = &walk->levels[level - 1];
  return folder_name (&above->folder, &above->folder.entries[above->next - 1]);
}

static int
local_open_below (int parent, const char *name)
{
  return openat (parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool
is_follower (const struct local_walk *walk)
{
  return walk->visitor->symlinks == SYMLINKS_FOLLOW;
}

/* Opens the folder LEVEL again in the one above it, which is open at PARENT. One that a link led to
 * must be the same one still. */
static int
open_again (const struct local_walk *walk, int parent, size_t level, struct error *err)
{
  const struct walk_level *folder = &walk->levels[level];
  const char *name = level_name (walk, level);
  struct stat status;
  auto_fd int target = -1;
  if (folder->linked)
    target = local_resolve_link (walk->local, parent, name, walk->path.data, SYMLINKS_FOLLOW,
                                 &status, err);
  if (folder->linked && target < 0)
    return -1;
  auto_fd int fd =
      folder->linked ? local_open_below (target, ".") : local_open_below (parent, name);
  if (fd >= 0 && folder->linked
      && (status.st_dev != folder->device || status.st_ino != folder->inode))
    {
      (void) close (take_fd (&fd));
      errno = ENOENT;
    }
  if (fd < 0)
    return error_errno (err, errno, "%s: opening its folder again",
                        local_shown (local_walk_path (walk)));
  return take_fd (&fd);
}

/* Descriptor of the deepest level, opened again from the root down when it was closed. */
static int
current_fd (struct local_walk *walk, struct error *err)
{
  struct walk_level *current = &walk->levels[walk->depth - 1];
  size_t from = walk->depth - 1;
  while (walk->levels[from].fd < 0)
    from--;
  int at = walk->levels[from].fd;
  for (size_t level = from + 1; level < walk->depth; level++)
    {
      int below = open_again (walk, at, level, err);
      if (level > from + 1)
        (void) close (at);
      if (below < 0)
        return -1;
      at = below;
    }
  if (current->fd < 0)
    {
      current->fd = at;
      walk->open_from = walk->depth - 1;
    }
  return current->fd;
}

/* Goes down into the folder open at FD, whose path is the current one. */
static int
local_push_level (struct local_walk *walk, int fd, bool linked, struct error *err)
{
  struct stat status = { 0 };
  if (is_follower (walk) && fstat (fd, &status) != 0)
    {
      (void) error_errno (err, errno, "%s", local_shown (local_walk_path (walk)));
      (void) close (fd);
      return -1;
    }
  if (walk->depth > DEPTH_MAX)
    {
      (void) close (fd);
      return error_set (err, ERROR_USER, "%s: folders are nested deeper than %d",
                        local_shown (local_walk_path (walk)), DEPTH_MAX);
    }
  if (walk->depth == walk->capacity)
    {
      size_t more = walk->capacity == 0 ? 16 : walk->capacity * 2;
      walk->levels = xrealloc (walk->levels, more, sizeof *walk->levels);
      memset (walk->levels + walk->capacity, 0, (more - walk->capacity) * sizeof *walk->levels);
      walk->capacity = more;
    }
  if (walk->open_from == 0 || walk->open_from > walk->depth)
    walk->open_from = 1;
  if (walk->depth >= walk->open_from + OPEN_MAX)
    {
      struct walk_level *oldest = &walk->levels[walk->open_from++];
      (void) close (oldest->fd);
      oldest->fd = -1;
    }
  struct walk_level *level = &walk->levels[walk->depth++];
  level->fd = fd;
  level->next = 0;
  level->linked = linked;
  level->device = status.st_dev;
  level->inode = status.st_ino;
  if (walk->path.size > 0)
    buffer_putc (&walk->path, '/');
  level->path_size = walk->path.size;
  if (folder_read (&level->folder, fd, is_follower (walk), walk->chunk, err) == 0)
    return 0;
  return walk->path.size == 0 ? -1 : error_wrap (err, "%s", local_shown (local_walk_path (walk)));
}

static void
pop (struct local_walk *walk)
{
  struct walk_level *level = &walk->levels[--walk->depth];
  if (level->fd >= 0)
    (void) close (level->fd);
  level->fd = -1;
  if (level->folder.capacity > KEPT_MAX)
    folder_release (&level->folder);
}

/* Looks the current file's status up, once. */
static int
local_need_status (struct local_walk *walk, struct error *err)
{
  if (walk->has_status)
    return 0;
  int parent = current_fd (walk, err);
  if (parent < 0)
    return -1;
  if (fstatat (parent, walk->name, &walk->status, AT_SYMLINK_NOFOLLOW) != 0)
    return error_errno (err, errno, "%s", local_shown (local_walk_path (walk)));
  walk->has_status = true;
  return 0;
}

static int
pin_current (void *pinner, char *pin, struct error *err)
{
  struct local_walk *walk = pinner;
  if (local_need_status (walk, err) != 0)
    return error_wrap (err, "%s", walk->local->path);
  (void) local_pin_format (&walk->status, pin);
  return 0;
}

static int
local_visit (struct local_walk *walk, bool folder, int64_t size, struct error *err)
{
  const struct storage_entry entry = {
    .path = walk->path.data,
    .path_size = walk->path.size,
    .folder = folder,
    .size = size,
    .pin = folder ? NULL : pin_current,
    .pinner = walk,
  };
  int result = walk->visitor->entry (walk->visitor->context, &entry, err);
  walk->visitor_ended = result != 0;
  return result;
}

static int
local_visit_folder (struct local_walk *walk, const char *name, struct error *err)
{
  const struct storage_visitor *visitor = walk->visitor;
  int result = local_visit (walk, true, -1, err);
  if (result != 0)
    return result;
  if (!visitor->enter (visitor->context, walk->path.data, walk->path.size))
    return 0;
  int parent = current_fd (walk, err);
  if (parent < 0)
    return -1;
  int fd = local_open_below (parent, name);
  if (fd < 0)
    return error_errno (err, errno, "%s", local_shown (local_walk_path (walk)));
  return local_push_level (walk, fd, false, err);
}

static int
local_visit_file (struct local_walk *walk, const char *name, struct error *err)
{
  walk->name = name;
  walk->has_status = false;
  if (!walk->visitor->want_sizes)
    return local_visit (walk, false, -1, err);
  if (local_need_status (walk, err) != 0)
    return -1;
  return local_visit (walk, false, walk->status.st_size, err);
}

static void
leave_out (const struct local_walk *walk, enum storage_left_out why)
{
  const struct storage_visitor *visitor = walk->visitor;
  if (visitor->left_out != NULL)
    visitor->left_out (visitor->context, walk->path.data, walk->path.size, why);
}

/* Whether the link at the walk's path matters were it a folder. */
static bool
is_holding (const struct local_walk *walk)
{
  const struct storage_visitor *visitor = walk->visitor;
  return visitor->holds == NULL
         || visitor->holds (visitor->context, walk->path.data, walk->path.size);
}

/* A link that isn't a folder's where those are followed. */
static int
visit_link (struct local_walk *walk, const char *name, struct error *err)
{
  const struct storage_visitor *visitor = walk->visitor;
  if (visitor->symlinks == SYMLINKS_SKIP)
    return 0;
  bool wanted = visitor->wanted == NULL
                || visitor->wanted (visitor->context, walk->path.data, walk->path.size);
  bool holds = !is_follower (walk) && visitor->left_out != NULL && is_holding (walk);
  if (!wanted && !holds)
    return 0;
  struct stat status;
  int parent = current_fd (walk, err);
  if (parent < 0)
    return -1;
  if (holds && fstatat (parent, name, &status, 0) == 0 && S_ISDIR (status.st_mode))
    {
      leave_out (walk, STORAGE_LEFT_FOLDER_LINK);
      return 0;
    }
  if (!wanted)
    return 0;
  auto_fd int fd = local_resolve_link (walk->local, parent, name, walk->path.data,
                                       visitor->symlinks, &status, err);
  if (fd < 0)
    return -1;
  if (!S_ISREG (status.st_mode))
    return 0;
  walk->status = status;
  walk->has_status = true;
  return local_visit (walk, false, visitor->want_sizes ? status.st_size : -1, err);
}

/* Whether the folder of STATUS is one that the walk is in. */
static bool
local_is_above (const struct local_walk *walk, const struct stat *status)
{
  for (size_t i = 0; i < walk->depth; i++)
    if (walk->levels[i].device == status->st_dev && walk->levels[i].inode == status->st_ino)
      return true;
  return false;
}

/* A link to a folder, which is followed. */
static int
visit_linked_folder (struct local_walk *walk, const char *name, struct error *err)
{
  const struct storage_visitor *visitor = walk->visitor;
  struct stat status;
  if (!is_holding (walk))
    return 0;
  int parent = current_fd (walk, err);
  if (parent < 0)
    return -1;
  auto_fd int target = local_resolve_link (walk->local, parent, name, walk->path.data,
                                           SYMLINKS_FOLLOW, &status, err);
  if (target < 0)
    return -1;
  if (local_is_above (walk, &status))
    {
      leave_out (walk, STORAGE_LEFT_LOOP);
      return 0;
    }
  auto_fd int fd = local_open_below (target, ".");
  if (fd < 0)
    return error_errno (err, errno, "%s", local_shown (local_walk_path (walk)));
  int result = local_visit (walk, true, -1, err);
  if (result != 0 || !visitor->enter (visitor->context, walk->path.data, walk->path.size))
    return result;
  return local_push_level (walk, take_fd (&fd), true, err);
}

/* Visits the next entry of the deepest level, or leaves that level. */
static int
local_step (struct local_walk *walk, struct error *err)
{
  struct walk_level *level = &walk->levels[walk->depth - 1];
  walk->path.size = level->path_size;
  if (level->next == level->folder.count)
    {
      pop (walk);
      return 0;
    }
  const struct folder_entry *entry = &level->folder.entries[level->next++];
  const char *name = folder_name (&level->folder, entry);
  buffer_append (&walk->path, name, entry->size);
  if (entry->type == FOLDER_FILE)
    return local_visit_file (walk, name, err);
  if (entry->type == FOLDER_LINK)
    return visit_link (walk, name, err);
  if (entry->type == FOLDER_LINKED)
    return visit_linked_folder (walk, name, err);
  return local_visit_folder (walk, name, err);
}

static int
local_list (struct storage *storage, const struct storage_visitor *visitor, struct error *err)
{
  const struct local *local = (const struct local *) storage;
  if (storage->is_file)
    return error_set (err, ERROR_USER, "%s is a file: a folder is needed here", local->path);
  if (!visitor->enter (visitor->context, "", 0))
    return 0;
  int fd = local_open_below (local->root, ".");
  if (fd < 0)
    return error_errno (err, errno, "%s", local->path);
  struct local_walk walk = { .local = local,
                             .visitor = visitor,
                             .chunk = xcalloc (1, FOLDER_CHUNK) };
  int result = local_push_level (&walk, fd, false, err);
  while (result == 0 && walk.depth > 0)
    result = local_step (&walk, err);
  while (walk.depth > 0)
    pop (&walk);
  for (size_t i = 0; i < walk.capacity; i++)
    folder_release (&walk.levels[i].folder);
  free (walk.levels);
  free (walk.chunk);
  buffer_release (&walk.path);
  return result == -1 && !walk.visitor_ended ? error_wrap (err, "%s", local->path) : result;
}

/* ---- the storage ----------------------------------------------------------------------- */

static const char *
local_local_path (const struct storage *storage)
{
  return ((const struct local *) storage)->path;
}

static void
local_close (struct storage *storage)
{
  struct local *local = (struct local *) storage;
  (void) close (local->root);
  free (local->path);
  free (local);
}

/* What is at PATH, a folder or else a file, opened for reading; -1 with ERR. Nothing else is: a
 * device or a pipe may do something when it is opened. */
static int
local_open_root (const char *path, bool *is_file, struct error *err)
{
  struct error why = ERROR_INIT;
  struct stat status;
  auto_fd int root = fs_open_folder (AT_FDCWD, path, &why);
  if (root >= 0)
    return take_fd (&root);
  auto_fd int found = why.code == ENOTDIR ? open (path, O_PATH | O_CLOEXEC) : -1;
  if (found < 0 || fstat (found, &status) != 0)
    return error_errno (err, why.code, "%s", path);
  if (!S_ISREG (status.st_mode))
    return error_set (err, ERROR_USER, "%s: neither a folder nor a file", path);
  *is_file = true;
  int fd = fs_reopen (found);
  return fd >= 0 ? fd : error_errno (err, errno, "%s", path);
}

struct storage *
storage_open_local (const char *given, struct error *err)
{
  static const struct storage_ops ops = {
    .list = local_list,
    .open_file = local_open_file,
    .open_folder = local_open_folder,
    .open_link = local_open_link,
    .local_path = local_local_path,
    .close = local_close,
  };
  bool is_file = false;
  auto_fd int root = local_open_root (given[0] == '\0' ? "." : given, &is_file, err);
  if (root < 0)
    return NULL;
  char self[64];
  (void) snprintf (self, sizeof self, "/proc/self/fd/%d", root);
  char *path = realpath (self, NULL); /* of what was opened: GIVEN may be another meanwhile */
  if (path == NULL)
    {
      (void) error_errno (err, errno, "%s", given);
      return NULL;
    }
  struct local *local = xcalloc (1, sizeof *local);
  *local = (struct local){ .storage = { .ops = &ops, .is_file = is_file },
                           .root = take_fd (&root),
                           .path = path };
  return &local->storage;
}
