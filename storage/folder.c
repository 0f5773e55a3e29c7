#include "storage/folder.h"

#include "common/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum
{
  RADIX_LEAST = 256, /* entries from which a radix sort pays */
};

/* ---- reading --------------------------------------------------------------------------- */

static unsigned char
type_by_stat (int fd, const char *name)
{
  struct stat status;
  if (fstatat (fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
    return DT_UNKNOWN; /* gone already */
  return (unsigned char) IFTODT (status.st_mode);
}

static int
folder_add_entry (struct folder *folder, int fd, const struct dirent64 *found, struct error *err)
{
  const char *name = found->d_name;
  if (name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0')))
    return 0;
  unsigned char type = found->d_type;
  if (type == DT_UNKNOWN)
    type = type_by_stat (fd, name);
  if (type != DT_REG && type != DT_DIR && type != DT_LNK)
    return 0;

  size_t size = strlen (name);
  if (size > UINT16_MAX || folder->names.size > UINT32_MAX - size - 1)
    return error_set (err, ERROR_USER, "a folder with more names than fit 4 GiB");
  if (folder->count == folder->capacity)
    {
      folder->capacity = folder->capacity == 0 ? 32 : folder->capacity * 2;
      folder->entries = xrealloc (folder->entries, folder->capacity, sizeof *folder->entries);
    }
  folder->entries[folder->count++] = (struct folder_entry){
    .name = (uint32_t) folder->names.size,
    .size = (uint16_t) size,
    .type = type == DT_REG   ? FOLDER_FILE
            : type == DT_DIR ? FOLDER_FOLDER
                             : FOLDER_LINK,
  };
  memcpy (buffer_reserve (&folder->names, size + 1), name, size + 1);
  folder->names.size += size + 1;
  return 0;
}

static int
folder_read_names (struct folder *folder, int fd, void *chunk, struct error *err)
{
  for (;;)
    {
      ssize_t got = getdents64 (fd, chunk, FOLDER_CHUNK);
      if (got < 0 && errno == EINTR)
        continue;
      if (got < 0)
        return error_errno (err, errno, "reading the folder");
      if (got == 0)
        return 0;
      for (char *at = chunk; at < (char *) chunk + got;)
        {
          const struct dirent64 *found = (const struct dirent64 *) (const void *) at;
          if (folder_add_entry (folder, fd, found, err) != 0)
            return -1;
          at += found->d_reclen;
        }
    }
}

/* Only links to folders become another type: one that leads nowhere may not matter to anybody. */
static void
find_linked (struct folder *folder, int fd)
{
  for (size_t i = 0; i < folder->count; i++)
    {
      struct folder_entry *entry = &folder->entries[i];
      struct stat status;
      if (entry->type == FOLDER_LINK && fstatat (fd, folder_name (folder, entry), &status, 0) == 0
          && S_ISDIR (status.st_mode))
        entry->type = FOLDER_LINKED;
    }
}

/* ---- sorting --------------------------------------------------------------------------- */

/* Byte I of the name as it is compared: a folder's has its "/" behind it, then there is nothing,
 * which comes first. */
static unsigned char
byte_at (const struct folder *folder, const struct folder_entry *entry, size_t i)
{
  if (i < entry->size)
    return (unsigned char) folder_name (folder, entry)[i];
  bool folder_like = entry->type == FOLDER_FOLDER || entry->type == FOLDER_LINKED;
  return i == entry->size && folder_like ? '/' : '\0';
}

static int
folder_compare (const void *a, const void *b, void *context)
{
  const struct folder *folder = context;
  const struct folder_entry *left = a;
  const struct folder_entry *right = b;
  size_t common = left->size < right->size ? left->size : right->size;
  int order = memcmp (folder_name (folder, left), folder_name (folder, right), common);
  if (order != 0)
    return order;
  return byte_at (folder, left, common) - byte_at (folder, right, common);
}

static bool
is_sorted (struct folder *folder)
{
  for (size_t i = 1; i < folder->count; i++)
    if (folder_compare (&folder->entries[i - 1], &folder->entries[i], folder) > 0)
      return false;
  return true;
}

/* How many bytes all names begin with in common. */
static size_t
common_start (const struct folder *folder)
{
  const char *first = folder_name (folder, &folder->entries[0]);
  size_t common = folder->entries[0].size;
  for (size_t i = 1; i < folder->count && common > 0; i++)
    {
      const struct folder_entry *entry = &folder->entries[i];
      const char *name = folder_name (folder, entry);
      if (entry->size < common)
        common = entry->size;
      size_t same = 0;
      while (same < common && name[same] == first[same])
        same++;
      common = same;
    }
  return common;
}

static void
set_keys (struct folder *folder)
{
  size_t start = common_start (folder);
  for (size_t i = 0; i < folder->count; i++)
    {
      struct folder_entry *entry = &folder->entries[i];
      entry->key = 0;
      for (size_t b = 0; b < sizeof entry->key; b++)
        entry->key = entry->key << 8 | byte_at (folder, entry, start + b);
    }
}

/* One stable pass by the byte of the key at SHIFT; false when all have the same byte there. */
static bool
radix_pass (const struct folder_entry *from, struct folder_entry *to, size_t count,
            unsigned int shift)
{
  size_t places[256] = { 0 };
  for (size_t i = 0; i < count; i++)
    places[from[i].key >> shift & 0xff]++;
  if (places[from[0].key >> shift & 0xff] == count)
    return false;
  size_t place = 0;
  for (size_t byte = 0; byte < 256; byte++)
    {
      size_t here = places[byte];
      places[byte] = place;
      place += here;
    }
  for (size_t i = 0; i < count; i++)
    to[places[from[i].key >> shift & 0xff]++] = from[i];
  return true;
}

static void
radix_sort (struct folder *folder)
{
  set_keys (folder);
  struct folder_entry *spare = xcalloc (folder->capacity, sizeof *spare);
  for (unsigned int shift = 0; shift < 64; shift += 8)
    if (radix_pass (folder->entries, spare, folder->count, shift))
      {
        struct folder_entry *sorted = spare;
        spare = folder->entries;
        folder->entries = sorted;
      }
  free (spare);
  for (size_t i = 0, run = 1; i < folder->count; i += run)
    {
      for (run = 1; i + run < folder->count; run++)
        if (folder->entries[i + run].key != folder->entries[i].key)
          break;
      if (run > 1)
        qsort_r (&folder->entries[i], run, sizeof *folder->entries, folder_compare, folder);
    }
}

int
folder_read (struct folder *folder, int fd, bool follow, void *chunk, struct error *err)
{
  folder->count = 0;
  buffer_clear (&folder->names);
  if (folder_read_names (folder, fd, chunk, err) != 0)
    return -1;
  if (follow)
    find_linked (folder, fd);
  if (folder->count < 2 || is_sorted (folder))
    return 0;
  if (folder->count >= RADIX_LEAST)
    radix_sort (folder);
  else
    qsort_r (folder->entries, folder->count, sizeof *folder->entries, folder_compare, folder);
  return 0;
}

void
folder_release (struct folder *folder)
{
  free (folder->entries);
  buffer_release (&folder->names);
  *folder = (struct folder){ 0 };
}
