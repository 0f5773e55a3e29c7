#include "worker/collect.h"

#include "common/fs.h"
#include "common/memory.h"
#include "worker/attributes.h"
#include "worker/listing.h"
#include "worker/usage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIST "outputs.jsonl"

/* What one folder holds, sorted, and how far the walk has come in it. */
struct collect_level
{
  char **names; /* a folder's ends in "/" */
  size_t count;
  size_t next;
  size_t path_size; /* of the walk's path when it is here */
  dev_t device;     /* which folder this is: the way back up must lead here */
  ino_t inode;
};

struct collect_walk
{
  struct atom_listing *listing;
  const char *output;
  size_t output_index;
  struct link_follower *links; /* NULL: all links stay */
  const struct job *job;
  const struct halt *halt;
  struct collected *collected;
  int fd;             /* of the folder where the walk is */
  struct buffer path; /* its path below the output, "" or ended by "/" */
  struct collect_level *levels;
  size_t depth;
  size_t capacity;
  struct error *refused; /* the first thing that can't be kept */
  bool *excess;          /* that is a limit of the job's: nothing is kept */
};

/* Counts a line of the list, of so many BYTES. 0, or -1 when the limits of the job don't allow
 * it. */
static int
collect_count (struct collect_walk *walk, int64_t bytes, struct error *err)
{
  struct collected *collected = walk->collected;
  int64_t files = collected->files + collected->folders + 1;
  if (usage_check (walk->job, files, collected->bytes + bytes, err) == 0)
    return 0;
  *walk->excess = true;
  return -1;
}

/* ---- making it ours ---------------------------------------------------------------------- */

/* Owner and mode of what FD is: ours, and usable by us; what could lend rights goes: set-id and
 * sticky bits, capabilities, ACLs. */
static int
collect_take_over (int fd, const struct stat *status, const char *path, struct error *err)
{
  bool foreign = status->st_uid != geteuid () || status->st_gid != getegid ();
  if (foreign && fchown (fd, geteuid (), getegid ()) != 0 && geteuid () == 0)
    return error_errno (err, errno, "%s: chown", path);
  mode_t needed = S_ISDIR (status->st_mode) ? 0700 : 0600;
  mode_t mode = status->st_mode & 0777;
  int dropped = attributes_drop (fd, &mode, err);
  if (dropped < 0)
    return error_wrap (err, "%s", path);
  mode |= needed;
  if ((dropped > 0 || mode != (status->st_mode & 07777)) && fchmod (fd, mode) != 0)
    return error_errno (err, errno, "%s: chmod", path);
  return 0;
}

/* Opens NAME of the current folder for reading, by force where its mode forbids it: it can't be a
 * link. */
static int
open_here (const struct collect_walk *walk, const char *name, int flags)
{
  flags |= O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  int fd = openat (walk->fd, name, flags);
  if (fd >= 0 || errno != EACCES)
    return fd;
  struct stat status;
  if (fstatat (walk->fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0 || S_ISLNK (status.st_mode))
    return -1;
  mode_t needed = S_ISDIR (status.st_mode) ? 0700 : 0600;
  (void) fchmodat (walk->fd, name, (status.st_mode & 0777) | needed, AT_SYMLINK_NOFOLLOW);
  return openat (walk->fd, name, flags);
}

/* ---- levels ------------------------------------------------------------------------------ */

static int
compare_names (const void *a, const void *b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

static void
release_level (struct collect_level *level)
{
  for (size_t i = 0; i < level->count; i++)
    free (level->names[i]);
  free (level->names);
}

/* Notes why NAME of the current folder is refused and removes it: on the host a device would be a
 * device, and a set-id bit somewhere in a tree too deep to be read would be one. */
static int
collect_refuse (struct collect_walk *walk, const char *name, const char *why, struct error *err)
{
  if (!error_is_set (walk->refused))
    (void) error_set (walk->refused, ERROR_USER, "output %s/%.500s%s %s", walk->output,
                      walk->path.data, walk->path.size > 500 ? "…" : "", why);
  return fs_remove_tree (walk->fd, name, err);
}

/* What an entry is for the walk. */
enum collect_kind
{
  COLLECT_FILE, /* or anything else that isn't entered */
  COLLECT_FOLDER,
  COLLECT_GONE,
};

/* Settles the link NAME of the current folder: what there is now, or -1 with ERR. */
static int
collect_settle (struct collect_walk *walk, const char *name, struct error *err)
{
  const char *path = walk->path.size > 0 ? walk->path.data : "";
  if (walk->links == NULL)
    return COLLECT_FILE;
  int link = link_follower_settle (walk->links, &walk->job->outputs[walk->output_index], walk->fd,
                                   path, name, err);
  *walk->excess = *walk->excess || link == OUTPUT_LINK_EXCESS;
  if (link == OUTPUT_LINK_REFUSED)
    {
      size_t size = walk->path.size;
      buffer_puts (&walk->path, name);
      int refused = collect_refuse (walk, name,
                                    "is a link out of the output, which --output-links fail "
                                    "doesn't allow",
                                    err);
      walk->path.data[walk->path.size = size] = '\0';
      return refused == 0 ? COLLECT_GONE : -1;
    }
  if (link < 0 || link == OUTPUT_LINK_EXCESS)
    return -1;
  return link == OUTPUT_LINK_FOLDER ? COLLECT_FOLDER : COLLECT_FILE;
}

/* What ENTRY of the current folder is, or -1 with ERR. */
static int
collect_kind_of (struct collect_walk *walk, const struct dirent *entry, struct error *err)
{
  struct stat status = { 0 };
  unsigned char type = entry->d_type;
  if (type == DT_UNKNOWN && fstatat (walk->fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0)
    type = (unsigned char) IFTODT (status.st_mode);
  if (type == DT_LNK)
    return collect_settle (walk, entry->d_name, err);
  return type == DT_DIR ? COLLECT_FOLDER : COLLECT_FILE;
}

static int
collect_read_names (struct collect_walk *walk, struct collect_level *level, const char *path,
                    struct error *err)
{
  int folder_fd = walk->fd;
  int copy = openat (folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  auto_dir DIR *dir = copy < 0 ? NULL : fdopendir (copy);
  if (dir == NULL)
    {
      (void) error_errno (err, errno, "%s", path);
      auto_fd_ (&copy);
      return -1;
    }
  size_t capacity = 0;
  for (;;)
    {
      errno = 0;
      const struct dirent *entry = readdir (dir);
      if (entry == NULL)
        break;
      if (strcmp (entry->d_name, ".") == 0 || strcmp (entry->d_name, "..") == 0)
        continue;
      int kind = collect_kind_of (walk, entry, err);
      if (kind < 0)
        return -1;
      if (kind == COLLECT_GONE)
        continue;
      if (level->count == capacity)
        {
          capacity = capacity == 0 ? 64 : capacity * 2;
          level->names = xrealloc (level->names, capacity, sizeof *level->names);
        }
      level->names[level->count++] =
          xasprintf ("%s%s", entry->d_name, kind == COLLECT_FOLDER ? "/" : "");
    }
  if (errno != 0)
    return error_errno (err, errno, "%s", path);
  if (level->count > 1)
    qsort (level->names, level->count, sizeof *level->names, compare_names);
  return 0;
}

/* Goes down into the folder FD, which becomes the walk's. */
static int
collect_enter (struct collect_walk *walk, int fd, struct error *err)
{
  auto_fd_ (&walk->fd);
  walk->fd = fd;
  const char *path = walk->path.size > 0 ? walk->path.data : walk->output;
  struct stat status;
  if (fstat (fd, &status) != 0)
    return error_errno (err, errno, "%s", path);
  if (collect_take_over (fd, &status, path, err) != 0)
    return -1;
  if (walk->depth == walk->capacity)
    {
      walk->capacity = walk->capacity == 0 ? 16 : walk->capacity * 2;
      walk->levels = xrealloc (walk->levels, walk->capacity, sizeof *walk->levels);
    }
  struct collect_level *level = &walk->levels[walk->depth++];
  *level = (struct collect_level){ .path_size = walk->path.size,
                                   .device = status.st_dev,
                                   .inode = status.st_ino };
  return collect_read_names (walk, level, path, err);
}

/* Goes back up. The descriptor of the folder above wasn't kept (there may be a thousand of them):
 * ".." must lead there. */
static int
leave (struct collect_walk *walk, struct error *err)
{
  release_level (&walk->levels[--walk->depth]);
  if (walk->depth == 0)
    return 0;
  const struct collect_level *above = &walk->levels[walk->depth - 1];
  struct stat status;
  int fd = openat (walk->fd, "..", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 || fstat (fd, &status) != 0)
    return error_errno (err, errno, "%s..", walk->path.data);
  auto_fd_ (&walk->fd);
  walk->fd = fd;
  if (status.st_dev != above->device || status.st_ino != above->inode)
    return error_set (err, ERROR_TRANSIENT, "%s: moved while it was read", walk->path.data);
  walk->path.size = above->path_size;
  if (walk->path.data != NULL)
    walk->path.data[above->path_size] = '\0';
  return 0;
}

/* ---- entries ----------------------------------------------------------------------------- */

static int
collect_link (struct collect_walk *walk, const char *name, struct error *err)
{
  char target[4097];
  ssize_t length = readlinkat (walk->fd, name, target, sizeof target - 1);
  if (length < 0)
    return error_errno (err, errno, "%s", walk->path.data);
  target[length] = '\0';
  (void) fchownat (walk->fd, name, geteuid (), getegid (), AT_SYMLINK_NOFOLLOW);
  if (collect_count (walk, 0, err) != 0)
    return -1;
  walk->collected->files++;
  return listing_link (walk->listing, walk->output, walk->path.data, target, err);
}

static int
collect_file (struct collect_walk *walk, const char *name, struct error *err)
{
  auto_fd int fd = open_here (walk, name, 0);
  struct stat status;
  if (fd < 0 || fstat (fd, &status) != 0)
    return error_errno (err, errno, "%s/%s", walk->output, walk->path.data);
  if (!S_ISREG (status.st_mode))
    return error_set (err, ERROR_TRANSIENT, "%s/%s: changed while it was read", walk->output,
                      walk->path.data);
  if (collect_count (walk, status.st_size, err) != 0
      || collect_take_over (fd, &status, walk->path.data, err) != 0)
    return -1;
  int64_t size =
      listing_file (walk->listing, walk->output, walk->path.data, fd, &status, walk->halt, err);
  if (size < 0)
    return error_wrap (err, "%s/%s", walk->output, walk->path.data);
  walk->collected->files++;
  walk->collected->bytes += size;
  return 0;
}

static const char *
why_refused (mode_t mode)
{
  switch (mode & S_IFMT)
    {
    case S_IFIFO:
      return "is a FIFO, which can't be kept";
    case S_IFSOCK:
      return "is a socket, which can't be kept";
    case S_IFCHR:
    case S_IFBLK:
      return "is a device, which can't be kept";
    default:
      return "is neither a file nor a folder";
    }
}

static int
collect_entry (struct collect_walk *walk, const char *name, struct error *err)
{
  struct stat status;
  if (fstatat (walk->fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
    return error_errno (err, errno, "%s/%s", walk->output, walk->path.data);
  if (S_ISREG (status.st_mode))
    return collect_file (walk, name, err);
  if (S_ISLNK (status.st_mode))
    return collect_link (walk, name, err);
  return collect_refuse (walk, name, why_refused (status.st_mode), err);
}

static int
collect_folder (struct collect_walk *walk, const char *name, struct error *err)
{
  auto_free char *plain = xstrndup (name, strlen (name) - 1);
  if (walk->depth == COLLECT_DEPTH_MAX)
    return collect_refuse (walk, plain, "is nested too deeply", err);
  int fd = open_here (walk, plain, O_DIRECTORY);
  if (fd < 0)
    return error_errno (err, errno, "%s/%s", walk->output, walk->path.data);
  if (collect_enter (walk, fd, err) != 0)
    return -1;
  if (walk->levels[walk->depth - 1].count > 0)
    return 0;
  if (collect_count (walk, 0, err) != 0)
    return -1;
  walk->collected->folders++;
  return listing_folder (walk->listing, walk->output, walk->path.data, err);
}

static int
collect_next (struct collect_walk *walk, struct error *err)
{
  struct collect_level *level = &walk->levels[walk->depth - 1];
  if (halt_check (walk->halt, err) != 0)
    return -1;
  if (level->next == level->count)
    return leave (walk, err);
  const char *name = level->names[level->next++];
  walk->path.size = level->path_size;
  buffer_puts (&walk->path, name);
  bool folder = name[strlen (name) - 1] == '/';
  if (walk->path.size > COLLECT_PATH_MAX)
    {
      auto_free char *plain = xstrndup (name, strlen (name) - (folder ? 1 : 0));
      return collect_refuse (walk, plain, "has a path that is too long", err);
    }
  return folder ? collect_folder (walk, name, err) : collect_entry (walk, name, err);
}

/* Walks through the output NAME, from WALK as it is for all of them. */
static int
collect_output (struct collect_walk walk, int folder_fd, const char *name, struct error *err)
{
  auto_free char *path = xasprintf ("outputs/%s", name);
  int fd = fs_open_beneath (folder_fd, path, O_RDONLY | O_DIRECTORY, 0, err);
  if (fd < 0)
    return -1;
  walk.output = name;
  int result = collect_enter (&walk, fd, err);
  while (result == 0 && walk.depth > 0)
    result = collect_next (&walk, err);
  /* Open to everybody while the command ran, whoever it was inside. */
  struct stat status;
  if (result == 0 && (fstat (walk.fd, &status) != 0 || fchmod (walk.fd, 0755) != 0))
    result = error_errno (err, errno, "%s", path);
  while (walk.depth > 0)
    release_level (&walk.levels[--walk.depth]);
  auto_fd_ (&walk.fd);
  free (walk.levels);
  buffer_release (&walk.path);
  return result;
}

static int
collect_all (struct collect_walk *walk, int folder_fd, int64_t shard, struct error *err)
{
  auto_listing struct atom_listing *listing = listing_open (folder_fd, LIST, shard, err);
  if (listing == NULL)
    return -1;
  walk->listing = listing;
  for (size_t i = 0; i < walk->job->output_count; i++)
    {
      walk->output_index = i;
      if (collect_output (*walk, folder_fd, walk->job->outputs[i].name, err) != 0)
        return -1;
    }
  return listing_finish (listing, err);
}

int
collect_nothing (int folder_fd, const struct job *job, struct error *err)
{
  auto_listing struct atom_listing *listing = listing_open (folder_fd, LIST, -1, err);
  if (listing == NULL)
    return -1;
  for (size_t i = 0; i < job->output_count; i++)
    {
      auto_free char *path = xasprintf ("outputs/%s", job->outputs[i].name);
      if (fs_remove_tree (folder_fd, path, err) != 0
          || fs_make_folders (folder_fd, path, 0755, err) != 0)
        return error_wrap (err, "dropping the outputs");
    }
  return 0;
}

int
collect_outputs (int folder_fd, const struct job *job, int64_t shard, struct link_follower *links,
                 const struct halt *halt, struct collected *collected, struct error *err)
{
  struct error unwanted = ERROR_INIT, refused = ERROR_INIT;
  bool excess = false;
  struct collect_walk walk = { .job = job,
                               .links = links,
                               .halt = halt,
                               .collected = collected,
                               .fd = -1,
                               .refused = &refused,
                               .excess = &excess };
  err = err == NULL ? &unwanted : err;
  if (collect_all (&walk, folder_fd, shard, err) == 0)
    {
      if (error_is_set (&refused))
        *err = refused;
      return error_is_set (&refused) ? -1 : 0;
    }
  refused = *err;
  if (excess && collect_nothing (folder_fd, job, err) == 0)
    {
      *collected = (struct collected){ 0 };
      *err = refused;
      return -1;
    }
  err->class = ERROR_TRANSIENT;
  return error_wrap (err, "collecting outputs");
}
