#include "storage/cache.h"

#include "common/clock.h"
#include "common/closed.h"
#include "common/digest.h"
#include "common/fs.h"
#include "common/lock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "common/unique.h"
#include "common/units.h"
#include "storage/fetched_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum
{
  LEFT_OVER_S = 24 * 3600,
};

#define SIZE_DEFAULT ((int64_t) 10 << 30)

struct cache
{
  int fd;
  int64_t limit; /* bytes */
  /* bytes that are there, about: in the file `used`, which all processes share; 0: not counted
     yet */
  int64_t *used;
};

static void
cache_log_error (const char *what, const struct error *err)
{
  auto_free char *quoted = text_log (err->message);
  log_warn (what, "reason=%s", quoted);
}

static int64_t *
open_used (int folder_fd, struct error *err)
{
  auto_fd int fd = openat (folder_fd, "used", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  struct stat status;
  if (fd >= 0 && fstat (fd, &status) == 0 && status.st_size != 0
      && status.st_size != sizeof (int64_t))
    {
      (void) error_set (err, ERROR_USER,
                        "its file `used` does not belong to a cache: choose another folder");
      return NULL;
    }
  if (fd >= 0 && (status.st_size != 0 || ftruncate (fd, sizeof (int64_t)) == 0))
    {
      void *used = mmap (NULL, sizeof (int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
      if (used != MAP_FAILED)
        return used;
    }
  (void) error_errno (err, errno, "its file `used`");
  return NULL;
}

static bool
is_of_a_cache (const char *name)
{
  static const char hex[] = "0123456789abcdef";
  return strcmp (name, "used") == 0 || strcmp (name, "lock") == 0 || name[0] == '.'
         || (strlen (name) == 2 && strspn (name, hex) == 2);
}

struct cache *
cache_open (void)
{
  struct error err = ERROR_INIT;
  const char *folder = getenv ("SHOAL_CACHE_DIR");
  if (folder == NULL || folder[0] == '\0')
    return NULL;
  const char *size = getenv ("SHOAL_CACHE_SIZE");
  struct cache cache = { .fd = -1, .limit = SIZE_DEFAULT };
  if (size != NULL && size[0] != '\0' && units_parse_size (size, &cache.limit, &err) != 0)
    (void) error_wrap (&err, "SHOAL_CACHE_SIZE");
  else if (closed_make (folder, &err) == 0)
    cache.fd = fs_open_folder (AT_FDCWD, folder, &err);
  closed_tighten (folder, is_of_a_cache);
  if (cache.fd >= 0)
    cache.used = open_used (cache.fd, &err);
  if (cache.used != NULL)
    return xmemdup (&cache, sizeof cache);
  auto_fd_ (&cache.fd);
  cache_log_error ("cache_unusable", &err);
  return NULL;
}

void
cache_close (struct cache *cache)
{
  if (cache == NULL)
    return;
  (void) munmap (cache->used, sizeof *cache->used);
  (void) close (cache->fd);
  free (cache);
}

/* "ab/cdef…-": where an item lies, but for its size. The caller frees. */
static char *
cache_path_of (const char *address, const struct storage_item *item)
{
  uint8_t sum[DIGEST_SIZE];
  char text[DIGEST_TEXT_SIZE];
  const char *const words[] = { address, item->version };
  auto_digest struct digest *digest = digest_new ();
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    digest_add (digest, words[i], strlen (words[i]) + 1);
  digest_finish (digest, sum);
  (void) digest_format (sum, text);
  return xasprintf ("%.2s/%s-%lld", text, text + 2, (long long) item->size);
}

int
cache_take (struct cache *cache, const char *address, const struct storage_item *item,
            int folder_fd, struct error *err)
{
  if (item->size < 0)
    return 0;
  auto_free char *kept_path = cache_path_of (address, item);
  auto_fetched_file struct fetched_file *file = NULL;
  struct stat status;
  auto_fd int fd = openat (cache->fd, kept_path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return 0;
  if (fstat (fd, &status) != 0 || status.st_size != item->size)
    {
      (void) unlinkat (cache->fd, kept_path, 0); /* a crash of the machine left it so */
      return 0;
    }
  file = fetched_file_new (folder_fd, item, err);
  if (file == NULL)
    return -1;
  /* By name, which may be gone by now: then it is a miss. */
  struct error ours = ERROR_INIT;
  (void) unlinkat (folder_fd, file->name, 0);
  if (fs_link_or_copy (cache->fd, kept_path, folder_fd, file->name, &ours) != 0)
    {
      if (ours.code == ENOENT)
        return 0;
      *err = ours;
      return -1;
    }
  if (fetched_file_name (folder_fd, file->name, item->path, err) != 0)
    return -1;
  file->name[0] = '\0';
  (void) futimens (fd, NULL);
  return 1;
}

/* Whether NAME, in one of the folders, is that of an item: the user may have given a folder with
 * other things in it. */
static bool
is_item (const char *name)
{
  size_t digits = strspn (name, "0123456789abcdef");
  const char *size = name + digits + 1;
  return digits == DIGEST_TEXT_SIZE - 1 - 2 && name[digits] == '-' && size[0] != '\0'
         && strspn (size, "0123456789") == strlen (size);
}

/* Whether NAME is that of a copy in the making: ".ITEM.NAME" (unique.h). */
static bool
is_copy (const char *name)
{
  static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyz";
  const char *dot = name[0] == '.' ? strrchr (name, '.') : name;
  if (dot == name || dot[1] == '\0' || strspn (dot + 1, letters) != strlen (dot + 1))
    return false;
  auto_free char *item = xstrndup (name + 1, (size_t) (dot - name - 1));
  return is_item (item);
}

/* ---- making room ------------------------------------------------------------------------ */

struct kept
{
  char path[96];
  int64_t size;
  struct timespec used;
};

struct kept_list
{
  struct kept *items;
  size_t count, capacity;
  int64_t size;
};

/* Whether NAME is a copy that nobody makes any more. */
static bool
cache_is_left_over (int fd, const char *name)
{
  struct stat status;
  return is_copy (name) && fstatat (fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0
         && S_ISREG (status.st_mode)
         && status.st_mtim.tv_sec < clock_wall_ms () / 1000 - LEFT_OVER_S;
}

static void
cache_list_folder (struct cache *cache, const char *name, struct kept_list *list)
{
  int fd = openat (cache->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  auto_dir DIR *dir = fd < 0 ? NULL : fdopendir (fd);
  if (dir == NULL)
    return;
  for (const struct dirent *entry = readdir (dir); entry != NULL; entry = readdir (dir))
    {
      struct stat status;
      struct kept kept;
      if (cache_is_left_over (fd, entry->d_name))
        (void) unlinkat (fd, entry->d_name, 0);
      if (!is_item (entry->d_name) || fstatat (fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0
          || !S_ISREG (status.st_mode)
          || snprintf (kept.path, sizeof kept.path, "%s/%s", name, entry->d_name)
                 >= (int) sizeof kept.path)
        continue;
      kept.size = status.st_size;
      kept.used = status.st_mtim;
      list->size += kept.size;
      if (list->count == list->capacity)
        {
          list->capacity = list->capacity == 0 ? 256 : 2 * list->capacity;
          list->items = xrealloc (list->items, list->capacity, sizeof *list->items);
        }
      list->items[list->count++] = kept;
    }
}

static int
by_use (const void *left, const void *right)
{
  const struct timespec *a = &((const struct kept *) left)->used;
  const struct timespec *b = &((const struct kept *) right)->used;
  if (a->tv_sec != b->tv_sec)
    return a->tv_sec < b->tv_sec ? -1 : 1;
  return (a->tv_nsec > b->tv_nsec) - (a->tv_nsec < b->tv_nsec);
}

/* Counts what is there and removes the oldest until a tenth of the limit is free. One process at a
 * time; the others don't wait. */
static void
cache_make_room (struct cache *cache)
{
  auto_fd int lock = lock_open (cache->fd, "lock", NULL);
  if (lock < 0 || flock (lock, LOCK_EX | LOCK_NB) != 0)
    return;
  struct kept_list list = { 0 };
  int64_t before = __atomic_load_n (cache->used, __ATOMIC_RELAXED);
  for (int i = 0; i < 256; i++)
    {
      char name[3];
      (void) snprintf (name, sizeof name, "%02x", (unsigned int) i);
      cache_list_folder (cache, name, &list);
    }
  if (list.size > cache->limit)
    {
      qsort (list.items, list.count, sizeof *list.items, by_use);
      for (size_t i = 0; i < list.count && list.size > cache->limit - cache->limit / 10; i++)
        if (unlinkat (cache->fd, list.items[i].path, 0) == 0)
          list.size -= list.items[i].size;
    }
  /* What others have kept meanwhile stays counted, some of it twice: then it is counted anew the
   * sooner. */
  __atomic_fetch_add (cache->used, list.size - before, __ATOMIC_RELAXED);
  free (list.items);
}

/* Copies FILE to PLACE, under another name first. */
static int
copy_to (struct cache *cache, int file, const char *kept_path, struct error *err)
{
  char unique[UNIQUE_SIZE];
  auto_free char *temporary =
      xasprintf ("%.2s/.%s.%s", kept_path, kept_path + 3, unique_text (unique));
  auto_fd int target = openat (cache->fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (target < 0)
    return error_errno (err, errno, "%s", temporary);
  if (fs_copy (file, target, NULL, err) >= 0)
    {
      if (renameat (cache->fd, temporary, cache->fd, kept_path) == 0)
        return 0;
      (void) error_errno (err, errno, "%s", kept_path);
    }
  (void) unlinkat (cache->fd, temporary, 0);
  return -1;
}

/* Puts what lies beneath FOLDER_FD at PATH to PLACE, by a link if that works: 1, 0 when it is there
 * already, or -1. */
static int
cache_keep_file (struct cache *cache, const char *path, int folder_fd, const char *kept_path,
                 struct error *err)
{
  char folder[3] = { kept_path[0], kept_path[1], '\0' };
  auto_fd int file = fs_open_beneath (folder_fd, path, O_RDONLY, 0, err);
  if (file < 0 || fs_make_folders (cache->fd, folder, 0755, err) != 0)
    return -1;
  auto_free char *self = xasprintf ("/proc/self/fd/%d", file);
  if (linkat (AT_FDCWD, self, cache->fd, kept_path, AT_SYMLINK_FOLLOW) == 0)
    return 1;
  if (errno == EEXIST)
    return 0;
  return copy_to (cache, file, kept_path, err) == 0 ? 1 : -1;
}

void
cache_keep (struct cache *cache, const char *address, const struct storage_item *item,
            int folder_fd)
{
  struct error err = ERROR_INIT;
  if (item->size > cache->limit)
    return;
  auto_free char *kept_path = cache_path_of (address, item);
  int kept = cache_keep_file (cache, item->path, folder_fd, kept_path, &err);
  if (kept < 0)
    cache_log_error ("cache_error", &err);
  if (kept <= 0)
    return;
  int64_t before = __atomic_fetch_add (cache->used, item->size, __ATOMIC_RELAXED);
  if (before == 0 || before + item->size > cache->limit)
    cache_make_room (cache);
}
