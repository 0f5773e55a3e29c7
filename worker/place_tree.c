/* Folders that are put in place with all that is in them, by descriptors: links in them may lead
 * out of the folder, where the container couldn't follow. */
#include "worker/place.h"

#include "common/fs.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "worker/place_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>

enum
{
  DEPTH_MAX = 400, /* folders in a folder atom; each level holds descriptors */
};

/* One folder on the way down. */
struct tree_level
{
  const struct tree_level *above;
  const struct tree_level *top; /* the highest one that links may lead to and stay links */
  const char *path;             /* below TARGET's root, as errors name it */
  const char *below_top;        /* the same below `top` */
  int fd;
  dev_t device;
  ino_t inode;
  int depth;
};

struct place_tree
{
  struct place *place;
  enum place_how how;
  const struct place_binding *binding; /* NULL: nothing is mounted */
  int64_t *bytes;
};

static int put_level (const struct place_tree *tree, const struct tree_level *level,
                      struct error *err);

static char *
place_tree_join (const char *above, const char *name)
{
  return above[0] == '\0' ? xstrdup (name) : xasprintf ("%s/%s", above, name);
}

/* ---- links ------------------------------------------------------------------------------- */

/* Whether the link NAME in LEVEL leads to something in the folder that the container sees, by a
 * relative path: it may stay what it is. */
static bool
leads_inside (const struct tree_level *level, const char *name)
{
  auto_free char *path = place_tree_join (level->below_top, name);
  auto_fd int fd =
      fs_openat2 (level->top->fd, path, O_PATH, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
  return fd >= 0;
}

/* DT_LNK, DT_DIR, …; DT_UNKNOWN: it is gone. Some file systems leave it to stat. */
static unsigned char
type_of (int dirfd, const struct dirent *entry)
{
  struct stat status;
  if (entry->d_type != DT_UNKNOWN)
    return entry->d_type;
  return fstatat (dirfd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0
             ? (unsigned char) IFTODT (status.st_mode)
             : DT_UNKNOWN;
}

/* The next entry of DIR but "." and "..": 1, 0 at the end, or -1. */
static int
next_entry (DIR *dir, const char *path, const struct dirent **entry, struct error *err)
{
  do
    {
      errno = 0;
      *entry = readdir (dir);
      if (*entry == NULL)
        return errno == 0 ? 0 : error_errno (err, errno, "%s", path);
    }
  while (strcmp ((*entry)->d_name, ".") == 0 || strcmp ((*entry)->d_name, "..") == 0);
  return 1;
}

static DIR *
open_dir (int fd, const char *path, struct error *err)
{
  int copy = openat (fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = copy < 0 ? NULL : fdopendir (copy);
  if (dir == NULL)
    {
      (void) error_errno (err, errno, "%s", path);
      if (copy >= 0)
        (void) close (copy);
    }
  return dir;
}

/* Opens the folder NAME of LEVEL, as the level below it; PATHS are the caller's. */
static int
open_below (const struct tree_level *level, const char *name, const char *path,
            const char *below_top, struct tree_level *below, struct error *err)
{
  int fd = openat (level->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return error_errno (err, errno, "%s", path);
  *below = (struct tree_level){ .above = level,
                                .top = level->top,
                                .path = path,
                                .below_top = below_top,
                                .fd = fd,
                                .depth = level->depth + 1 };
  return 0;
}

static int
check_depth (const struct tree_level *level, struct error *err)
{
  if (level->depth <= DEPTH_MAX)
    return 0;
  return error_set (err, ERROR_USER, "%s: more than %d folders deep", level->path, DEPTH_MAX);
}

/* Whether a link in LEVEL or below it mustn't stay what it is: 1, 0 or -1. */
static int
has_links_out (const struct place *place, const struct tree_level *level, struct error *err)
{
  if (halt_check (place->halt, err) != 0 || check_depth (level, err) != 0)
    return -1;
  auto_dir DIR *dir = open_dir (level->fd, level->path, err);
  if (dir == NULL)
    return -1;
  for (;;)
    {
      const struct dirent *entry = NULL;
      int got = next_entry (dir, level->path, &entry, err);
      if (got <= 0)
        return got;
      unsigned char type = type_of (level->fd, entry);
      if (type == DT_LNK
          && (place->symlinks == SYMLINKS_SKIP || !leads_inside (level, entry->d_name)))
        return 1;
      if (type != DT_DIR)
        continue;
      auto_free char *path = place_tree_join (level->path, entry->d_name);
      auto_free char *below_top = place_tree_join (level->below_top, entry->d_name);
      struct tree_level below;
      if (open_below (level, entry->d_name, path, below_top, &below, err) != 0)
        return -1;
      int found = has_links_out (place, &below, err);
      (void) close (below.fd);
      if (found != 0)
        return found;
    }
}

/* ---- putting ------------------------------------------------------------------------------ */

/* Mounts the folder LEVEL, which links don't lead out of: 1, or 0 where nothing is mounted. */
static int
bind_level (const struct place_tree *tree, const struct tree_level *level, struct error *err)
{
  const struct place_binding *binding = tree->binding;
  if (binding == NULL || !binding->may (binding->context))
    return 0;
  int out = has_links_out (tree->place, level, err);
  if (out != 0)
    return out < 0 ? -1 : 0;
  return binding->bind (binding->context, level->path, level->fd, err) == 0 ? 1 : -1;
}

/* The file behind FD (O_PATH or open), under NAME of the folder at TARGET. */
static int
put_target (const struct place_tree *tree, int fd, const char *path, const char *name,
            struct error *err)
{
  const struct place_binding *binding = tree->binding;
  int placed =
      tree->how == PLACE_COPY ? 1 : place_open_link (tree->place, fd, path, name, tree->bytes, err);
  if (placed != 1 || tree->how == PLACE_LINK)
    return placed;
  if (binding != NULL && binding->may (binding->context))
    return binding->bind (binding->context, path, fd, err);
  return place_open_copy (tree->place, fd, path, name, tree->bytes, err);
}

static int
put_file (const struct place_tree *tree, const struct tree_level *level, const char *path,
          const char *name, struct error *err)
{
  auto_fd int fd = openat (level->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  struct stat status;
  if (fd < 0 || fstat (fd, &status) != 0)
    return error_errno (err, errno, "%s", path);
  if (!S_ISREG (status.st_mode))
    return error_set (err, ERROR_USER, "%s: neither a file nor a folder", path);
  return put_target (tree, fd, path, name, err);
}

static bool
place_tree_is_above (const struct tree_level *level, const struct stat *status)
{
  for (; level != NULL; level = level->above)
    if (level->device == status->st_dev && level->inode == status->st_ino)
      return true;
  return false;
}

/* Makes the folder of LEVEL and fills it, or has it mounted. */
static int
put_folder (const struct place_tree *tree, struct tree_level *level, struct error *err)
{
  struct stat status;
  if (fstat (level->fd, &status) != 0)
    return error_errno (err, errno, "%s", level->path);
  level->device = status.st_dev;
  level->inode = status.st_ino;
  if (check_depth (level, err) != 0)
    return -1;
  int bound = bind_level (tree, level, err);
  if (bound != 0)
    return bound < 0 ? -1 : 0;
  return put_level (tree, level, err);
}

/* What the link NAME of LEVEL leads to, under its name. */
static int
put_link (const struct place_tree *tree, const struct tree_level *level, const char *path,
          const char *name, struct error *err)
{
  const struct place *place = tree->place;
  if (place->storage != NULL && place->symlinks == SYMLINKS_SKIP)
    return 0;
  if (place->storage == NULL || leads_inside (level, name))
    return place_copy_link (place, level->fd, path, name, err);
  struct stat status;
  auto_fd int fd = storage_open_link (place->storage, level->fd, name, path, place->symlinks, err);
  if (fd < 0)
    return -1;
  if (fstat (fd, &status) != 0)
    return error_errno (err, errno, "%s", path);
  if (S_ISREG (status.st_mode))
    return put_target (tree, fd, path, name, err);
  if (!S_ISDIR (status.st_mode))
    return error_set (err, ERROR_USER, "%s: neither a file nor a folder", path);
  if (place_tree_is_above (level, &status))
    {
      auto_free char *shown = text_log (path);
      log_warn ("link_left_out", "path=%s reason=\"it leads to a folder that it lies in\"", shown);
      return 0;
    }
  auto_fd int folder = openat (fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0)
    return error_errno (err, errno, "%s", path);
  struct tree_level below = {
    .above = level, .path = path, .below_top = "", .fd = folder, .depth = level->depth + 1
  };
  below.top = &below;
  return put_folder (tree, &below, err);
}

static int
put_entry (const struct place_tree *tree, const struct tree_level *level,
           const struct dirent *entry, struct error *err)
{
  const char *name = entry->d_name;
  auto_free char *path = place_tree_join (level->path, name);
  if (halt_check (tree->place->halt, err) != 0 || place_enter (tree->place, level->path, err) != 0)
    return -1;
  unsigned char type = type_of (level->fd, entry);
  if (type == DT_LNK)
    return put_link (tree, level, path, name, err);
  if (type != DT_DIR)
    return put_file (tree, level, path, name, err);
  auto_free char *below_top = place_tree_join (level->below_top, name);
  struct tree_level below;
  if (open_below (level, name, path, below_top, &below, err) != 0)
    return -1;
  int result = put_folder (tree, &below, err);
  (void) close (below.fd);
  return result;
}

/* Folders of outputs have the modes that their maker gave them. */
static int
keep_mode (const struct place *place, const struct tree_level *level, struct error *err)
{
  struct stat status;
  if (place->storage != NULL)
    return 0;
  auto_fd int target =
      fs_open_beneath (place->target_fd, level->path, O_RDONLY | O_DIRECTORY, 0, err);
  if (target < 0)
    return -1;
  if (fstat (level->fd, &status) != 0)
    return error_errno (err, errno, "%s", level->path);
  if (fchmod (target, status.st_mode & 0777) == 0)
    return 0;
  /* The folder that we were given may be someone else's, as those of a pod are kubelet's. */
  return errno == EPERM && level->path[0] == '\0' ? 0 : error_errno (err, errno, "%s", level->path);
}

static int
put_level (const struct place_tree *tree, const struct tree_level *level, struct error *err)
{
  auto_dir DIR *dir = open_dir (level->fd, level->path, err);
  if (dir == NULL || fs_make_folders (tree->place->target_fd, level->path, 0755, err) != 0)
    return -1;
  for (;;)
    {
      const struct dirent *entry = NULL;
      int got = next_entry (dir, level->path, &entry, err);
      if (got <= 0)
        return got < 0 ? -1 : keep_mode (tree->place, level, err);
      int result = put_entry (tree, level, entry, err);
      if (result != 0)
        return result;
    }
}

/* ---- from the volume's root ----------------------------------------------------------------- */

/* The folders above PATH are on the walk as well: a link to one of them is a loop. */
static int
put_below (const struct place_tree *tree, const struct tree_level *level, const char *path,
           const char *rest, struct error *err)
{
  struct stat status;
  if (rest[0] == '\0')
    {
      struct tree_level root = *level;
      root.top = &root;
      return put_folder (tree, &root, err);
    }
  struct tree_level here = *level;
  if (fstat (level->fd, &status) != 0)
    return error_errno (err, errno, "%s", path);
  here.device = status.st_dev;
  here.inode = status.st_ino;
  auto_free char *name = xstrndup (rest, strcspn (rest, "/"));
  const char *behind = rest + strlen (name);
  auto_free char *below_path = xstrndup (path, (size_t) (behind - path));
  auto_fd int fd = -1;
  if (tree->place->storage != NULL && tree->place->symlinks == SYMLINKS_FOLLOW)
    {
      auto_fd int found =
          storage_open_folder (tree->place->storage, below_path, SYMLINKS_FOLLOW, err);
      fd = found < 0 ? -1 : openat (found, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      if (found < 0)
        return -1;
    }
  else
    fd = openat (level->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return error_errno (err, errno, "%s", below_path);
  const struct tree_level below = {
    .above = &here, .path = below_path, .below_top = "", .fd = fd, .depth = level->depth
  };
  return put_below (tree, &below, path, behind[0] == '/' ? behind + 1 : behind, err);
}

int
place_folder (struct place *place, const char *path, enum place_how how,
              const struct place_binding *binding, int64_t *bytes, struct error *err)
{
  if (place->source_fd < 0)
    return error_set (err, ERROR_USER,
                      "%s: a folder that is not on this machine can't be matched as input", path);
  const struct place_tree tree = { .place = place, .how = how, .binding = binding, .bytes = bytes };
  const struct tree_level root = { .path = "", .below_top = "", .fd = place->source_fd };
  return put_below (&tree, &root, path, path, err);
}

int
place_leads_out (struct place *place, int folder_fd, const char *path, struct error *err)
{
  struct tree_level top = { .path = path, .below_top = "", .fd = folder_fd };
  top.top = &top;
  return has_links_out (place, &top, err);
}
