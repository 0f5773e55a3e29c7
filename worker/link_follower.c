#include "worker/link_follower.h"

#include "common/buffer.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/path.h"
#include "common/sys.h"
#include "schemas/tmpfs.h"
#include "worker/usage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define COPIES "followed" /* in the attempt's folder: what is being copied */
#define BENEATH (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

enum
{
  LINKS_MAX = 40, /* on the way to one place, as in the kernel */
  COPY_DEPTH_MAX = 64,
};

struct link_follower
{
  const struct job *job;
  const struct mounts *mounts;
  const struct container_user *user;
  const struct halt *halt;
  int folder_fd;
  int copies_fd; /* -1: nothing was copied yet */
  int64_t files; /* that were copied */
  int64_t bytes;
  bool excess; /* of the job's limits */
  int64_t left;
  char *first_left;
};

/* Where a path of the container leads. */
struct found_place
{
  char *path;   /* the container's, normal */
  size_t mount; /* that it lies in */
  int fd;       /* O_PATH */
  struct stat status;
};

#define FOUND_PLACE_INIT                                                                           \
  {                                                                                                \
    .fd = -1                                                                                       \
  }

static void
found_place_release (struct found_place *place)
{
  auto_fd_ (&place->fd);
  free (place->path);
  *place = (struct found_place) FOUND_PLACE_INIT;
}
#define auto_found_place AUTO (found_place_release)

/* The folders that a copy lies in: one that is among them would be copied without an end. */
struct chain
{
  const struct chain *above;
  const struct found_place *place;
  int depth;
};

struct link_follower *
link_follower_new (const struct job *job, int folder_fd, const struct mounts *mounts,
                   const struct container_user *user, const struct halt *halt)
{
  struct link_follower *links = xcalloc (1, sizeof *links);
  *links = (struct link_follower){ .job = job,
                                   .mounts = mounts,
                                   .user = user,
                                   .halt = halt,
                                   .folder_fd = folder_fd,
                                   .copies_fd = -1 };
  return links;
}

void
link_follower_free (struct link_follower *links)
{
  if (links == NULL)
    return;
  if (links->copies_fd >= 0)
    (void) fs_remove_tree (links->folder_fd, COPIES, NULL);
  auto_fd_ (&links->copies_fd);
  free (links->first_left);
  free (links);
}

/* ---- where a path leads ------------------------------------------------------------------ */

/* The mount that PATH lies in; false when it lies in none of ours. */
static bool
link_follower_mount (const struct link_follower *links, const char *path, size_t *mount)
{
  size_t longest = 0;
  for (size_t i = 0; i < links->mounts->count; i++)
    {
      const char *target = links->mounts->items[i].target;
      if (path_below (path, target) == NULL || strlen (target) < longest)
        continue;
      longest = strlen (target);
      *mount = i;
    }
  for (size_t i = 0; i < links->job->tmpfs.count; i++)
    {
      auto_tmpfs struct tmpfs tmpfs = { 0 };
      if (tmpfs_parse (links->job->tmpfs.items[i], &tmpfs, NULL) == 0
          && path_below (path, tmpfs.path) != NULL && strlen (tmpfs.path) >= longest)
        return false;
    }
  return longest > 0;
}

/* Whether a mount lies below PATH: that is a folder then, whatever else. */
static bool
link_follower_is_above (const struct link_follower *links, const char *path)
{
  for (size_t i = 0; i < links->mounts->count; i++)
    if (path_below (links->mounts->items[i].target, path) != NULL)
      return true;
  return false;
}

/* Whether the container's user could read the file, or go through the folder, that FD is, and we
 * can. What the container itself WROTE isn't asked for its user. */
static bool
link_follower_may_read (const struct link_follower *links, int fd, const struct stat *status,
                        bool wrote)
{
  const struct container_user *user = links->user;
  bool folder = S_ISDIR (status->st_mode);
  char path[64];
  if (S_ISLNK (status->st_mode))
    return true;
  (void) snprintf (path, sizeof path, "/proc/self/fd/%d", fd);
  if (access (path, folder ? R_OK | X_OK : R_OK) != 0)
    return false;
  if (wrote || user->reads_all)
    return true;
  /* What an access control list says is more than the mode does. */
  if (getxattr (path, "system.posix_acl_access", NULL, 0) >= 0)
    return false;
  mode_t wanted = folder ? 05 : 04;
  int shift = status->st_uid == user->uid ? 6 : status->st_gid == user->gid ? 3 : 0;
  return ((status->st_mode >> shift) & wanted) == wanted;
}

/* Opens PATH, of which all that is above was looked at, into PLACE. */
static bool
link_follower_open (const struct link_follower *links, const char *path, struct found_place *place)
{
  found_place_release (place);
  if (!link_follower_mount (links, path, &place->mount))
    return false;
  const struct container_mount *mount = &links->mounts->items[place->mount];
  const char *rest = path_below (path, mount->target);
  auto_fd int root = identity_open (&mount->identity, mount->source, NULL);
  if (root < 0)
    return false;
  place->fd =
      rest[0] == '\0' ? take_fd (&root) : fs_openat2 (root, rest, O_PATH | O_NOFOLLOW, 0, BENEATH);
  if (place->fd < 0 || fstat (place->fd, &place->status) != 0)
    return false;
  place->path = xstrdup (path);
  return link_follower_may_read (links, place->fd, &place->status, mount->writable);
}

/* The path REST, seen from the folder DONE, component by component. */
struct way
{
  char *done; /* normal, "" for the root */
  char *rest;
  int links;
  const char *home; /* the output that it began in … */
  bool strays;      /* … was left by the words of the link itself */
};

static void
way_release (struct way *way)
{
  free (way->done);
  free (way->rest);
}
#define auto_way AUTO (way_release)

static void
link_follower_turn (struct way *way, const char *text)
{
  auto_free char *rest = xasprintf ("%s/%s", text, way->rest);
  free (way->rest);
  way->rest = take (&rest);
  if (text[0] == '/')
    way->done[0] = '\0';
}

/* Goes up by one. */
static void
link_follower_up (struct way *way)
{
  char *slash = strrchr (way->done, '/');
  if (slash != NULL)
    *slash = '\0';
  if (way->links == 0 && path_below (way->done, way->home) == NULL)
    way->strays = true;
}

/* Goes into NAME. False where that leads to nothing that is known here. */
static bool
link_follower_step (const struct link_follower *links, struct way *way, const char *name,
                    struct found_place *place)
{
  auto_free char *path = xasprintf ("%s/%s", way->done, name);
  char target[4097];
  size_t mount = 0;
  bool inside = link_follower_mount (links, path, &mount);
  if (!inside && !link_follower_is_above (links, path))
    return false;
  if (inside && !link_follower_open (links, path, place))
    return false;
  if (!inside || !S_ISLNK (place->status.st_mode))
    {
      free (way->done);
      way->done = take (&path);
      return !inside || S_ISDIR (place->status.st_mode)
             || way->rest[strspn (way->rest, "/")] == '\0';
    }
  ssize_t length = readlinkat (place->fd, "", target, sizeof target - 1);
  if (length < 0 || ++way->links > LINKS_MAX)
    return false;
  target[length] = '\0';
  link_follower_turn (way, target);
  return true;
}

/* Where TEXT leads from the folder BASE: true and PLACE. *STRAYS: by its own words it leaves the
 * folder HOME. */
static bool
link_follower_find (const struct link_follower *links, const char *base, const char *text,
                    const char *home, bool *strays, struct found_place *place)
{
  auto_way struct way way = { .done = xstrdup (strcmp (base, "/") == 0 ? "" : base),
                              .rest = xstrdup (""),
                              .home = home,
                              .strays = text[0] == '/' };
  link_follower_turn (&way, text);
  bool found = true;
  while (found && way.rest[strspn (way.rest, "/")] != '\0')
    {
      const char *start = way.rest + strspn (way.rest, "/");
      size_t length = strcspn (start, "/");
      auto_free char *name = xstrndup (start, length);
      auto_free char *rest = xstrdup (start + length);
      free (way.rest);
      way.rest = take (&rest);
      if (strcmp (name, "..") == 0)
        link_follower_up (&way);
      else if (strcmp (name, ".") != 0)
        found = link_follower_step (links, &way, name, place);
    }
  *strays = way.strays;
  return found && link_follower_open (links, way.done[0] == '\0' ? "/" : way.done, place);
}

/* ---- copies ------------------------------------------------------------------------------ */

static void
link_follower_leave (struct link_follower *links, const char *path, const char *target)
{
  if (links->left++ == 0)
    links->first_left = xasprintf ("%s -> %s", path, target);
}

static int
link_follower_count (struct link_follower *links, int64_t bytes, struct error *err)
{
  links->files++;
  links->bytes += bytes;
  if (halt_check (links->halt, err) != 0)
    return -1;
  links->excess = usage_check (links->job, links->files, links->bytes, err) != 0;
  return links->excess ? -1 : 0;
}

static int
link_follower_copy_file (struct link_follower *links, const struct found_place *place, int to_fd,
                         const char *name, struct error *err)
{
  auto_fd int source = fs_reopen (place->fd);
  if (source < 0)
    return error_errno (err, errno, "%s", place->path);
  auto_fd int target =
      openat (to_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (target < 0)
    return error_errno (err, errno, "%s", name);
  const struct timespec times[] = { place->status.st_atim, place->status.st_mtim };
  mode_t mode = (place->status.st_mode & 0777) | 0600;
  if (link_follower_count (links, place->status.st_size, err) != 0
      || fs_copy (source, target, links->halt, err) < 0)
    return error_wrap (err, "%s", place->path);
  if (fchmod (target, mode) != 0 || futimens (target, times) != 0)
    return error_errno (err, errno, "%s", place->path);
  return 0;
}

static bool
link_follower_is_in (const struct chain *chain, const struct found_place *place)
{
  for (const struct chain *at = chain; at != NULL; at = at->above)
    if (at->place->status.st_dev == place->status.st_dev
        && at->place->status.st_ino == place->status.st_ino)
      return true;
  return false;
}

static int link_follower_copy (struct link_follower *links, const struct found_place *place,
                               const struct chain *above, int to_fd, const char *name,
                               struct error *err);

/* The entry NAME of the folder in CHAIN; a link in it is followed as well. */
static int
link_follower_copy_entry (struct link_follower *links, const struct chain *chain, int to_fd,
                          const char *name, struct error *err)
{
  auto_found_place struct found_place place = FOUND_PLACE_INIT;
  bool strays = false;
  bool found = link_follower_find (links, chain->place->path, name, "/", &strays, &place)
               && (S_ISREG (place.status.st_mode)
                   || (S_ISDIR (place.status.st_mode) && chain->depth < COPY_DEPTH_MAX
                       && !link_follower_is_in (chain, &place)));
  if (found)
    return link_follower_copy (links, &place, chain, to_fd, name, err);
  auto_free char *where = path_join (chain->place->path, name);
  link_follower_leave (links, where, "nothing, or a folder that it lies in");
  return 0;
}

static int
link_follower_copy_folder (struct link_follower *links, const struct chain *chain, int to_fd,
                           const char *name, struct error *err)
{
  int source = fs_reopen (chain->place->fd);
  auto_dir DIR *dir = source < 0 ? NULL : fdopendir (source);
  if (dir == NULL)
    {
      (void) error_errno (err, errno, "%s", chain->place->path);
      auto_fd_ (&source);
      return -1;
    }
  if (sys_mkdir (to_fd, name, 0700) != 0)
    return error_errno (err, errno, "%s", name);
  auto_fd int folder = openat (to_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (folder < 0 || fchmod (folder, (chain->place->status.st_mode & 0777) | 0700) != 0)
    return error_errno (err, errno, "%s", name);
  int result = link_follower_count (links, 0, err);
  while (result == 0)
    {
      errno = 0;
      const struct dirent *entry = readdir (dir);
      if (entry == NULL)
        return errno == 0 ? 0 : error_errno (err, errno, "%s", chain->place->path);
      if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0)
        result = link_follower_copy_entry (links, chain, folder, entry->d_name, err);
    }
  return result;
}

static int
link_follower_copy (struct link_follower *links, const struct found_place *place,
                    const struct chain *above, int to_fd, const char *name, struct error *err)
{
  const struct chain chain = { .above = above,
                               .place = place,
                               .depth = above == NULL ? 0 : above->depth + 1 };
  return S_ISDIR (place->status.st_mode)
             ? link_follower_copy_folder (links, &chain, to_fd, name, err)
             : link_follower_copy_file (links, place, to_fd, name, err);
}

/* ---- one link ---------------------------------------------------------------------------- */

/* What PLACE is takes the place of the link NAME in FD, when all of it is there. */
static int
link_follower_replace (struct link_follower *links, const struct found_place *place, int fd,
                       const char *name, struct error *err)
{
  if (links->copies_fd < 0)
    {
      if (fs_make_folders (links->folder_fd, COPIES, 0700, err) != 0)
        return -1;
      links->copies_fd = fs_open_beneath (links->folder_fd, COPIES, O_RDONLY | O_DIRECTORY, 0, err);
    }
  if (links->copies_fd < 0
      || link_follower_copy (links, place, NULL, links->copies_fd, "1", err) != 0)
    return links->excess ? OUTPUT_LINK_EXCESS : -1;
  if (unlinkat (fd, name, 0) != 0 || sys_rename (links->copies_fd, "1", fd, name, 0) != 0)
    return error_errno (err, errno, "%s", name);
  return S_ISDIR (place->status.st_mode) ? OUTPUT_LINK_FOLDER : OUTPUT_LINK_FILE;
}

/* The link NAME in FD, the folder FROM, becomes a relative one to PATH. */
static int
link_follower_rewrite (int fd, const char *name, const char *from, const char *path,
                       struct error *err)
{
  auto_free char *common = path_common (from, path);
  auto_buffer struct buffer text = { 0 };
  const char *up = path_below (from, common);
  for (const char *at = up; *at != '\0'; at += strspn (at, "/"))
    {
      buffer_puts (&text, "../");
      at += strcspn (at, "/");
    }
  buffer_puts (&text, path_below (path, common));
  if (text.size == 0)
    buffer_puts (&text, ".");
  if (unlinkat (fd, name, 0) != 0 || symlinkat (text.data, fd, name) != 0)
    return error_errno (err, errno, "%s", name);
  return OUTPUT_LINK_STAYS;
}

/* Whether PLACE is in the output that is mounted at HOME. */
static bool
link_follower_is_home (const struct link_follower *links, const struct found_place *place,
                       const char *home)
{
  return strcmp (links->mounts->items[place->mount].target, home) == 0;
}

int
link_follower_settle (struct link_follower *links, const struct output *output, int fd,
                      const char *path, const char *name, struct error *err)
{
  char text[4097];
  auto_found_place struct found_place place = FOUND_PLACE_INIT;
  bool strays = false;
  if (links->job->output_links == OUTPUT_LINKS_KEEP)
    return OUTPUT_LINK_STAYS;
  ssize_t length = readlinkat (fd, name, text, sizeof text - 1);
  if (length < 0)
    return error_errno (err, errno, "%s/%s%s", output->name, path, name);
  text[length] = '\0';
  auto_free char *inside = path_join (output->path, path);
  auto_free char *base = path_normal (inside, err);
  if (base == NULL)
    return -1;
  bool found = link_follower_find (links, base, text, output->path, &strays, &place);
  bool home = found ? link_follower_is_home (links, &place, output->path) : !strays;
  if (home && !strays)
    return OUTPUT_LINK_STAYS;
  if (links->job->output_links == OUTPUT_LINKS_FAIL)
    return OUTPUT_LINK_REFUSED;
  if (found && home)
    return link_follower_rewrite (fd, name, base, place.path, err);
  if (found && (S_ISREG (place.status.st_mode) || S_ISDIR (place.status.st_mode)))
    return link_follower_replace (links, &place, fd, name, err);
  auto_free char *where = xasprintf ("%s/%s%s", output->name, path, name);
  link_follower_leave (links, where, text);
  return OUTPUT_LINK_STAYS;
}

char *
link_follower_tell (const struct link_follower *links)
{
  if (links->left == 0)
    return NULL;
  return xasprintf ("%lld %s out of the outputs: %s", (long long) links->left,
                    links->left == 1 ? "link leads" : "links lead", links->first_left);
}
