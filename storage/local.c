/* local.c — a folder of this machine as a storage. */
#include "common/fs.h"
#include "common/memory.h"
#include "storage/folder.h"
#include "storage/storage_ops.h"

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
  DEPTH_MAX = 4096,  /* folders within folders; a tree deeper than this is refused */
  OPEN_MAX = 64,     /* of them open at a time; others are opened again when needed */
  KEPT_MAX = 4096,   /* entries of a folder that was left whose memory is kept for the next */
  SHOWN_MAX = 1000,  /* bytes of a path in an error */
  PATH_PIECE = 4000, /* bytes of a path that one system call takes for sure */
};

struct local
{
  struct storage storage;
  int root;
  char *path; /* real and absolute */
};

static int
open_at (int dirfd, const char *path, int flags, uint64_t resolve)
{
  struct open_how how = { .flags = (unsigned int) flags | O_CLOEXEC, .resolve = resolve };
  for (;;)
    {
      int fd = (int) syscall (SYS_openat2, dirfd, path, &how, sizeof how);
      if (fd >= 0 || (errno != EINTR && errno != EAGAIN))
        return fd;
    }
}

/* A path as an error names it: of one that would leave no room for the cause, the end. */
static const char *
shown (const char *path)
{
  size_t size = strlen (path);
  return size <= SHOWN_MAX ? path : path + (size - SHOWN_MAX);
}

/* ---- symbolic links -------------------------------------------------------------------- */

/* Whether the file behind FD (O_PATH) lies beneath the volume. */
static bool
lies_beneath (const struct local *local, int fd)
{
  char link[64];
  char target[PATH_MAX];
  (void) snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = readlink (link, target, sizeof target - 1);
  size_t length = strlen (local->path);
  if (size < 0 || (size_t) size <= length)
    return false;
  target[size] = '\0';
  return strcmp (local->path, "/") == 0
         || (strncmp (target, local->path, length) == 0 && target[length] == '/');
}

/* O_PATH descriptor of what the link NAME in the folder PARENT leads to, whose STATUS it gives;
 * PATH is the link's path in the volume. A link to a folder is given wherever that is, one to a
 * file outside only as POLICY allows. */
static int
resolve_link (const struct local *local, int parent, const char *name, const char *path,
              enum symlinks policy, struct stat *status, struct error *err)
{
  bool free_to_leave = policy == SYMLINKS_FOLLOW;
  auto_fd int fd = -1;
  if (!free_to_leave)
    fd = open_at (parent, name, O_PATH, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
  if (!free_to_leave && fd < 0 && strlen (path) < PATH_PIECE)
    fd = open_at (local->root, path, O_PATH, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
  bool beneath = fd >= 0;
  if (fd < 0) /* an absolute link, or one that leaves and comes back: where does it end? */
    fd = openat (parent, name, O_PATH | O_CLOEXEC);
  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
    return error_set (err, ERROR_USER,
                      "%s: the symbolic link leads nowhere (--symlinks skip leaves it out)",
                      shown (path));
  if (fd < 0 || fstat (fd, status) != 0)
    return error_errno (err, errno, "%s: symbolic link", shown (path));
  if (S_ISREG (status->st_mode) && !free_to_leave && !beneath && !lies_beneath (local, fd))
    return error_set (err, ERROR_USER,
                      "%s: the symbolic link leads out of the volume (--symlinks follow allows "
                      "it, --symlinks skip leaves it out)",
                      shown (path));
  return take_fd (&fd);
}

/* ---- listing --------------------------------------------------------------------------- */

/* One folder on the way down to where the walk is. */
struct level
{
  int fd;           /* -1: closed meanwhile */
  size_t path_size; /* of its path, with the "/" behind it; 0 for the root */
  size_t next;      /* entry to look at */
  struct folder folder;
};

struct walk
{
  const struct local *local;
  const struct storage_visitor *visitor;
  struct level *levels; /* [0] is the root; memory of levels above the depth is kept for later */
  size_t depth;
  size_t capacity;
  size_t open_from;   /* levels above the root and below this one are closed */
  struct buffer path; /* of the current entry */
  void *chunk;
  bool visitor_ended; /* the visitor's error speaks for itself */
};

static const char *
walk_path (const struct walk *walk)
{
  return walk->path.data == NULL ? "" : walk->path.data;
}

/* Name of the folder LEVEL in the one above it. */
static const char *
level_name (const struct walk *walk, size_t level)
{
  const struct level *above = &walk->levels[level - 1];
  return folder_name (&above->folder, &above->folder.entries[above->next - 1]);
}

static int
open_folder (int parent, const char *name)
{
  return openat (parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Descriptor of the deepest level, opened again from the root down when it was closed. */
static int
current_fd (struct walk *walk, struct error *err)
{
  struct level *current = &walk->levels[walk->depth - 1];
  size_t from = walk->depth - 1;
  while (walk->levels[from].fd < 0)
    from--;
  int at = walk->levels[from].fd;
  for (size_t level = from + 1; level < walk->depth; level++)
    {
      int below = open_folder (at, level_name (walk, level));
      int code = errno;
      if (level > from + 1)
        (void) close (at);
      if (below < 0)
        return error_errno (err, code, "%s: opening its folder again", shown (walk_path (walk)));
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
push (struct walk *walk, int fd, struct error *err)
{
  if (walk->depth > DEPTH_MAX)
    {
      (void) close (fd);
      return error_set (err, ERROR_USER, "%s: folders are nested deeper than %d",
                        shown (walk_path (walk)), DEPTH_MAX);
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
      struct level *oldest = &walk->levels[walk->open_from++];
      (void) close (oldest->fd);
      oldest->fd = -1;
    }
  struct level *level = &walk->levels[walk->depth++];
  level->fd = fd;
  level->next = 0;
  if (walk->path.size > 0)
    buffer_putc (&walk->path, '/');
  level->path_size = walk->path.size;
  if (folder_read (&level->folder, fd, walk->chunk, err) == 0)
    return 0;
  return walk->path.size == 0 ? -1 : error_wrap (err, "%s", shown (walk_path (walk)));
}

static void
pop (struct walk *walk)
{
  struct level *level = &walk->levels[--walk->depth];
  if (level->fd >= 0)
    (void) close (level->fd);
  level->fd = -1;
  if (level->folder.capacity > KEPT_MAX)
    folder_release (&level->folder);
}

static int
visit (struct walk *walk, bool folder, int64_t size, struct error *err)
{
  const struct storage_entry entry = {
    .path = walk->path.data,
    .path_size = walk->path.size,
    .folder = folder,
    .size = size,
  };
  int result = walk->visitor->entry (walk->visitor->context, &entry, err);
  walk->visitor_ended = result != 0;
  return result;
}

static int
visit_folder (struct walk *walk, const char *name, struct error *err)
{
  const struct storage_visitor *visitor = walk->visitor;
  int result = visit (walk, true, -1, err);
  if (result != 0)
    return result;
  if (!visitor->enter (visitor->context, walk->path.data, walk->path.size))
    return 0;
  int parent = current_fd (walk, err);
  if (parent < 0)
    return -1;
  int fd = open_folder (parent, name);
  if (fd < 0)
    return error_errno (err, errno, "%s", shown (walk_path (walk)));
  return push (walk, fd, err);
}

static int
visit_file (struct walk *walk, const char *name, struct error *err)
{
  if (!walk->visitor->want_sizes)
    return visit (walk, false, -1, err);
  struct stat status;
  int parent = current_fd (walk, err);
  if (parent < 0)
    return -1;
  if (fstatat (parent, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
    return error_errno (err, errno, "%s", shown (walk_path (walk)));
  return visit (walk, false, status.st_size, err);
}

static int
visit_link (struct walk *walk, const char *name, struct error *err)
{
  const struct storage_visitor *visitor = walk->visitor;
  if (visitor->symlinks == SYMLINKS_SKIP
      || (visitor->wanted != NULL
          && !visitor->wanted (visitor->context, walk->path.data, walk->path.size)))
    return 0;
  struct stat status;
  int parent = current_fd (walk, err);
  if (parent < 0)
    return -1;
  auto_fd int fd =
      resolve_link (walk->local, parent, name, walk->path.data, visitor->symlinks, &status, err);
  if (fd < 0)
    return -1;
  if (!S_ISREG (status.st_mode))
    return 0;
  return visit (walk, false, visitor->want_sizes ? status.st_size : -1, err);
}

/* Visits the next entry of the deepest level, or leaves that level. */
static int
step (struct walk *walk, struct error *err)
{
  struct level *level = &walk->levels[walk->depth - 1];
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
    return visit_file (walk, name, err);
  if (entry->type == FOLDER_LINK)
    return visit_link (walk, name, err);
  return visit_folder (walk, name, err);
}

static int
local_list (struct storage *storage, const struct storage_visitor *visitor, struct error *err)
{
  const struct local *local = (const struct local *) storage;
  if (!visitor->enter (visitor->context, "", 0))
    return 0;
  int fd = open_folder (local->root, ".");
  if (fd < 0)
    return error_errno (err, errno, "%s", local->path);
  struct walk walk = { .local = local, .visitor = visitor, .chunk = xcalloc (1, FOLDER_CHUNK) };
  int result = push (&walk, fd, err);
  while (result == 0 && walk.depth > 0)
    result = step (&walk, err);
  while (walk.depth > 0)
    pop (&walk);
  for (size_t i = 0; i < walk.capacity; i++)
    folder_release (&walk.levels[i].folder);
  free (walk.levels);
  free (walk.chunk);
  buffer_release (&walk.path);
  return result == -1 && !walk.visitor_ended ? error_wrap (err, "%s", local->path) : result;
}

/* ---- single files ---------------------------------------------------------------------- */

/* Opens the folder of PATH, in pieces that one call takes; *NAME becomes what is behind the last
 * "/". */
static int
open_parent (const struct local *local, const char *path, const char **name, struct error *err)
{
  auto_fd int at = open_at (local->root, ".", O_PATH | O_DIRECTORY, RESOLVE_BENEATH);
  const char *slash = strrchr (path, '/');
  *name = slash == NULL ? path : slash + 1;
  const char *from = path;
  while (at >= 0 && slash != NULL && from < slash)
    {
      size_t length = (size_t) (slash - from);
      if (length > PATH_PIECE)
        {
          const char *cut = memrchr (from, '/', PATH_PIECE);
          length = cut == NULL ? length : (size_t) (cut - from);
        }
      auto_free char *piece = xstrndup (from, length);
      int below = open_at (at, piece, O_PATH | O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
      int code = errno;
      (void) close (at);
      at = below;
      errno = code;
      from += length + 1;
    }
  if (at < 0)
    return error_errno (err, errno, "%s: folder", shown (path));
  return take_fd (&at);
}

/* Opens for reading what O_PATH descriptor FD stands for. */
static int
reopen (int fd)
{
  char link[64];
  (void) snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
  return open (link, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static int
open_file (const struct local *local, const char *path, enum symlinks symlinks, struct error *err)
{
  const char *name = NULL;
  auto_fd int parent = open_parent (local, path, &name, err);
  if (parent < 0)
    return -1;
  struct stat status;
  auto_fd int fd = open_at (parent, name, O_RDONLY | O_NONBLOCK | O_NOCTTY,
                            RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
  if (fd < 0 && errno == ELOOP && symlinks != SYMLINKS_SKIP)
    {
      auto_fd int target = resolve_link (local, parent, name, path, symlinks, &status, err);
      if (target < 0)
        return -1;
      if (S_ISREG (status.st_mode)) /* so that opening it has no effect */
        fd = reopen (target);
      else
        errno = EISDIR;
    }
  if (fd < 0 || fstat (fd, &status) != 0)
    return error_errno (err, errno, "%s", shown (path));
  if (!S_ISREG (status.st_mode))
    return error_set (err, ERROR_USER, "%s: not a file", shown (path));
  return take_fd (&fd);
}

static int
local_open_file (struct storage *storage, const char *path, enum symlinks symlinks,
                 struct error *err)
{
  const struct local *local = (const struct local *) storage;
  int fd = open_file (local, path, symlinks, err);
  return fd >= 0 ? fd : error_wrap (err, "%s", local->path);
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

struct storage *
storage_open_local (const char *folder, struct error *err)
{
  static const struct storage_ops ops = {
    .list = local_list,
    .open_file = local_open_file,
    .local_path = local_local_path,
    .close = local_close,
  };
  auto_fd int root = fs_open_folder (AT_FDCWD, folder[0] == '\0' ? "." : folder, err);
  if (root < 0)
    return NULL;
  char self[64];
  (void) snprintf (self, sizeof self, "/proc/self/fd/%d", root);
  char *path = realpath (self, NULL); /* of what was opened: FOLDER may be another meanwhile */
  if (path == NULL)
    {
      (void) error_errno (err, errno, "%s", folder);
      return NULL;
    }
  struct local *local = xcalloc (1, sizeof *local);
  *local = (struct local){ .storage.ops = &ops, .root = take_fd (&root), .path = path };
  return &local->storage;
}
