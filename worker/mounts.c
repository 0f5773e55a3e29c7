#include "worker/mounts.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/path.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

int
mounts_add (struct mounts *mounts, int source_fd, char *target, bool writable, bool ours,
            struct error *err)
{
  auto_free char *owned = target;
  struct container_mount mount = { .target = target, .writable = writable };
  mount.source = identity_take (&mount.identity, source_fd, err);
  if (mount.source == NULL)
    return error_wrap (err, "%s", target);
  if (mounts->count == mounts->capacity)
    {
      mounts->capacity = mounts->capacity == 0 ? 16 : mounts->capacity * 2;
      mounts->items = xrealloc (mounts->items, mounts->capacity, sizeof *mounts->items);
      mounts->ours = xrealloc (mounts->ours, mounts->capacity, sizeof *mounts->ours);
    }
  mounts->items[mounts->count] = mount;
  mounts->ours[mounts->count] = ours;
  mounts->count++;
  (void) take (&owned);
  return 0;
}

void
mounts_release (struct mounts *mounts)
{
  for (size_t i = 0; i < mounts->count; i++)
    {
      free ((char *) mounts->items[i].source);
      free ((char *) mounts->items[i].target);
    }
  free (mounts->items);
  free (mounts->ours);
  *mounts = (struct mounts){ 0 };
}

/* Bytewise with "/" before all other bytes: what lies in a folder follows it at once. */
static int
compare_targets (const void *a, const void *b, void *context)
{
  const struct container_mount *items = context;
  const unsigned char *x = (const unsigned char *) items[*(const size_t *) a].target;
  const unsigned char *y = (const unsigned char *) items[*(const size_t *) b].target;
  while (*x == *y && *x != '\0')
    {
      x++;
      y++;
    }
  int left = *x == '/' ? 1 : *x == '\0' ? 0 : *x + 1;
  int right = *y == '/' ? 1 : *y == '\0' ? 0 : *y + 1;
  return left - right;
}

static void
mounts_sort (struct mounts *mounts)
{
  size_t count = mounts->count;
  auto_free size_t *order = xcalloc (count + 1, sizeof *order);
  for (size_t i = 0; i < count; i++)
    order[i] = i;
  qsort_r (order, count, sizeof *order, compare_targets, mounts->items);
  struct container_mount *items = xcalloc (count + 1, sizeof *items);
  bool *ours = xcalloc (count + 1, sizeof *ours);
  for (size_t i = 0; i < count; i++)
    {
      items[i] = mounts->items[order[i]];
      ours[i] = mounts->ours[order[i]];
    }
  free (mounts->items);
  free (mounts->ours);
  mounts->items = items;
  mounts->ours = ours;
  mounts->capacity = count + 1;
}

/* The last mount before number I that its target lies in, or I when there is none. PARENTS holds
 * this answer for all before I. */
static size_t
find_parent (const struct mounts *mounts, const size_t *parents, size_t i)
{
  const char *target = mounts->items[i].target;
  for (size_t at = i - 1;; at = parents[at])
    {
      if (path_below (target, mounts->items[at].target) != NULL)
        return at;
      if (parents[at] == at)
        return i;
    }
}

/* Makes an empty file or folder REST below FOLDER_FD to mount something on. */
static int
make_mount_point (int folder_fd, const char *rest, bool folder, struct error *err)
{
  if (folder)
    return fs_make_folders (folder_fd, rest, 0755, err);
  const char *slash = strrchr (rest, '/');
  auto_free char *above = slash == NULL ? xstrdup ("") : xstrndup (rest, (size_t) (slash - rest));
  if (fs_make_folders (folder_fd, above, 0755, err) != 0)
    return -1;
  auto_fd int fd = fs_open_beneath (folder_fd, rest, O_WRONLY | O_CREAT, 0644, err);
  return fd < 0 ? -1 : 0;
}

/* A folder that mount points are made or looked up in, open as long as its neighbours need it. */
struct open_parent
{
  size_t index;
  int fd;
};

static int
mounts_make_point (const struct mounts *mounts, size_t parent, size_t i, struct open_parent *open,
                   struct error *err)
{
  const struct container_mount *outer = &mounts->items[parent];
  const struct container_mount *inner = &mounts->items[i];
  const char *rest = path_below (inner->target, outer->target);
  if (rest[0] == '\0')
    return error_set (err, ERROR_USER, "%s: mounted twice", inner->target);
  if (open->fd < 0 || open->index != parent)
    {
      auto_fd_ (&open->fd);
      open->index = parent;
      open->fd = identity_open (&outer->identity, outer->source, err);
      if (open->fd < 0)
        return error_wrap (err, "%s in %s", inner->target, outer->target);
    }
  if (mounts->ours[parent])
    return make_mount_point (open->fd, rest, inner->identity.folder, err);
  auto_fd int there = fs_open_beneath (open->fd, rest, O_PATH | O_NOFOLLOW, 0, err);
  if (there < 0)
    return error_set (err, ERROR_USER,
                      "%s is to be mounted in %s, where the folder does not exist: create it in %s",
                      inner->target, outer->target, outer->source);
  return 0;
}

int
mounts_arrange (struct mounts *mounts, struct error *err)
{
  mounts_sort (mounts);
  auto_free size_t *parents = xcalloc (mounts->count + 1, sizeof *parents);
  struct open_parent open = { .fd = -1 };
  int result = 0;
  for (size_t i = 1; i < mounts->count && result == 0; i++)
    {
      parents[i] = find_parent (mounts, parents, i);
      if (parents[i] != i)
        result = mounts_make_point (mounts, parents[i], i, &open, err);
    }
  auto_fd_ (&open.fd);
  return result;
}
