#include "storage/fetched_file.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/sys.h"
#include "storage/file_time.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/stat.h>

#define NAME_PREFIX ".shoal-fetch-"

enum
{
  SUMMED_BESIDE = 4 << 20, /* bytes of a file that is worth a thread */
};

/* ERR of errno CODE, with the folder that we write to. */
static int
fetched_file_error (const struct fetched_file *file, int code, struct error *err)
{
  char self[64];
  char folder[1024];
  (void) snprintf (self, sizeof self, "/proc/self/fd/%d", file->folder_fd);
  ssize_t size = readlink (self, folder, sizeof folder - 1);
  folder[size < 0 ? 0 : size] = '\0';
  (void) error_errno (err, code, "writing to %s", size < 0 ? "its folder" : folder);
  err->class = ERROR_TRANSIENT; /* it is our folder */
  return -1;
}

struct fetched_file *
fetched_file_new (int folder_fd, const struct storage_item *item, struct error *err)
{
  struct fetched_file *file = xcalloc (1, sizeof *file);
  file->item = (struct storage_item){ .path = xstrdup (item->path),
                                      .version = xstrdup (item->version),
                                      .source = xstrdup (item->source),
                                      .size = item->size,
                                      .keeps_time = item->keeps_time };
  file->time.tv_nsec = UTIME_OMIT;
  if (item->sha256 != NULL)
    {
      file->sum.algorithm = "SHA256";
      (void) snprintf (file->sum.hex, sizeof file->sum.hex, "%s", item->sha256);
    }
  file->folder_fd = folder_fd;
  file->references = 1;
  uint64_t word = 0;
  if (RAND_bytes ((unsigned char *) &word, sizeof word) != 1)
    abort ();
  (void) snprintf (file->name, sizeof file->name, NAME_PREFIX "%016llx", (unsigned long long) word);
  file->fd = openat (folder_fd, file->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (file->fd >= 0 && fchmod (file->fd, 0644) == 0) /* whatever the umask is: containers read it */
    return file;
  (void) fetched_file_error (file, errno, err);
  file->name[0] = '\0';
  fetched_file_unref (file);
  return NULL;
}

struct fetched_file *
fetched_file_ref (struct fetched_file *file)
{
  file->references++;
  return file;
}

void
fetched_file_unref (struct fetched_file *file)
{
  if (file == NULL || --file->references > 0)
    return;
  summing_cancel (file->summing);
  auto_fd_ (&file->fd);
  extents_release (&file->there);
  free (file->pieces.lengths);
  free (file->pieces.ends);
  if (file->name[0] != '\0')
    (void) unlinkat (file->folder_fd, file->name, 0);
  free ((char *) file->item.path);
  free ((char *) file->item.version);
  free ((char *) file->item.source);
  free (file->etag);
  free (file->modified);
  free (file);
}

static bool
is_same (const char *before, const char *now)
{
  return before == NULL ? now == NULL : now != NULL && strcmp (before, now) == 0;
}

static void
fetched_file_read_time (struct fetched_file *file, const char *text)
{
  file->time = (struct timespec){ .tv_nsec = UTIME_OMIT };
  if (text != NULL && file->item.keeps_time && !file_time_parse (text, &file->time))
    file->time.tv_nsec = UTIME_OMIT;
}

int
fetched_file_same (struct fetched_file *file, const struct http_call *call, struct error *err)
{
  const char *etag = http_header (call, "etag");
  const char *modified = http_header (call, "last-modified");
  if (!file->answered)
    {
      file->answered = true;
      file->etag = xstrdup (etag);
      file->modified = xstrdup (modified);
      fetched_file_read_time (file, http_header (call, "x-amz-meta-mtime"));
      return 0;
    }
  bool tagged = file->etag != NULL && etag != NULL;
  if (tagged ? strcmp (file->etag, etag) == 0
             : is_same (file->etag, etag) && is_same (file->modified, modified))
    return 0;
  return error_set (err, ERROR_TRANSIENT, "changed during the download");
}

bool
fetched_file_is_pinned (const struct fetched_file *file)
{
  return file->item.version != NULL || file->etag != NULL || file->modified != NULL;
}

int
fetched_file_empty (struct fetched_file *file, struct error *err)
{
  summing_cancel (take (&file->summing));
  extents_release (&file->there);
  file->answered = false;
  free (take (&file->etag));
  free (take (&file->modified));
  if (ftruncate (file->fd, 0) != 0)
    return error_errno (err, errno, "emptying it");
  return 0;
}

int
fetched_file_again (struct fetched_file *file, struct error *err)
{
  file->cut = 0;
  file->order = (struct part_order){ 0 };
  file->parted = false;
  return fetched_file_empty (file, err);
}

int
fetched_file_write (struct fetched_file *file, const void *data, size_t size, int64_t offset,
                    struct error *err)
{
  const char *at = data;
  while (size > 0)
    {
      ssize_t written = sys_pwrite (file->fd, at, size, offset);
      if (written < 0 && errno == EINTR)
        continue;
      if (written <= 0)
        return fetched_file_error (file, written == 0 ? ENOSPC : errno, err);
      at += written;
      offset += written;
      size -= (size_t) written;
    }
  return 0;
}

int
fetched_file_changed (const struct fetched_file *file, int64_t size, struct error *err)
{
  /* A version that the server has just confirmed may be a second's or a minute's; or it is wrong
   * about the length, and another try may help. */
  enum error_class class = file->item.version != NULL ? ERROR_TRANSIENT : ERROR_USER;
  return error_set (err, class, "has changed since it was listed: %lld bytes, there were %lld",
                    (long long) size, (long long) file->item.size);
}

static struct summing_what
what_to_sum (const struct fetched_file *file)
{
  return (struct summing_what){ .algorithm = file->sum.algorithm,
                                .count = (size_t) file->sum.pieces,
                                .ends = file->pieces.ends };
}

/* SIZE bytes are all that came. 0, 1 as fetched_file_finish, or -1. */
static int
check_sum (struct fetched_file *file, int64_t size, struct error *err)
{
  char hex[129];
  const struct summing_what what = what_to_sum (file);
  if (file->summing != NULL)
    summing_end (file->summing, size);
  int summed = file->summing != NULL ? summing_finish (take (&file->summing), hex, err)
                                     : summing_of (file->fd, &what, size, hex, err);
  if (summed != 0)
    return -1;
  if (strcmp (hex, file->sum.hex) == 0)
    return 0;
  if (file->pieces.assumed)
    return 1;
  (void) error_set (
      err, ERROR_TRANSIENT, "checksum mismatch: %s is %s%s, expected %s", file->sum.algorithm, hex,
      file->sum.pieces > 0 ? " (of the parts' that it was uploaded in)" : "", file->sum.hex);
  return http_wrong (++file->wrong, err);
}

/* Begins to sum what is there. */
static void
fetched_file_start_sum (struct fetched_file *file)
{
  bool unknown = file->sum.algorithm == NULL || (file->sum.pieces > 0 && file->pieces.ends == NULL);
  if (unknown || file->item.size < SUMMED_BESIDE || file->there.count == 0)
    return;
  const struct summing_what what = what_to_sum (file);
  file->summing = summing_start (file->fd, &what);
  for (size_t i = 0; file->summing != NULL && i < file->there.count; i++)
    (void) summing_came (file->summing, file->there.items[i], file->there.items[i], NULL);
}

char *
fetched_file_came (struct fetched_file *file, struct extent came, char *bytes)
{
  if (file->sum.algorithm == NULL)
    return bytes;
  struct extent whole = extents_add (&file->there, came);
  if (file->summing != NULL)
    return summing_came (file->summing, came, whole, bytes);
  fetched_file_start_sum (file);
  return bytes;
}

void
fetched_file_forget (struct fetched_file *file, struct extent gone)
{
  if (gone.from == gone.end)
    return;
  summing_cancel (take (&file->summing));
  extents_remove (&file->there, gone);
  fetched_file_start_sum (file);
}

void
fetched_file_set_pieces (struct fetched_file *file, int64_t *ends, bool assumed)
{
  summing_cancel (take (&file->summing));
  free (file->pieces.ends);
  file->pieces.ends = ends;
  file->pieces.assumed = assumed;
  fetched_file_start_sum (file);
}

void
fetched_file_drop_sum (struct fetched_file *file)
{
  summing_cancel (take (&file->summing));
  file->sum.algorithm = NULL;
}

bool
fetched_file_is_ours (const char *name)
{
  return strncmp (name, NAME_PREFIX, strlen (NAME_PREFIX)) == 0;
}

void
fetched_file_sweep (int folder_fd)
{
  auto_dir DIR *dir = NULL;
  int fd = openat (folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0 && (dir = fdopendir (fd)) == NULL)
    (void) close (fd);
  for (const struct dirent *entry = NULL; dir != NULL && (entry = readdir (dir)) != NULL;)
    if (fetched_file_is_ours (entry->d_name))
      (void) unlinkat (folder_fd, entry->d_name, 0);
}

int
fetched_file_name (int folder_fd, const char *name, const char *path, struct error *err)
{
  const char *slash = strrchr (path, '/');
  auto_free char *parent = slash == NULL ? xstrdup ("") : xstrndup (path, (size_t) (slash - path));
  auto_fd int fd = -1;
  if (slash != NULL)
    {
      if (fs_make_folders (folder_fd, parent, 0755, err) != 0)
        return -1;
      fd = fs_open_beneath (folder_fd, parent, O_PATH | O_DIRECTORY, 0, err);
      if (fd < 0)
        return -1;
    }
  if (sys_rename (folder_fd, name, slash == NULL ? folder_fd : fd, slash == NULL ? path : slash + 1,
                  0)
      != 0)
    return error_errno (err, errno, "giving it its name");
  return 0;
}

void
fetched_file_end (struct fetched_file *file)
{
  struct stat status;
  if (file->summing != NULL && fstat (file->fd, &status) == 0)
    summing_end (file->summing, status.st_size);
}

bool
fetched_file_is_summing (const struct fetched_file *file)
{
  return file->summing != NULL && !summing_has_ended (file->summing);
}

int
fetched_file_finish (struct fetched_file *file, struct error *err)
{
  struct stat status;
  if (fstat (file->fd, &status) != 0)
    return error_errno (err, errno, "fstat");
  if (file->item.size >= 0 && status.st_size != file->item.size)
    return fetched_file_changed (file, status.st_size, err);
  int wrong = file->sum.algorithm == NULL ? 0 : check_sum (file, status.st_size, err);
  if (wrong != 0)
    return wrong;
  /* One that the file system can't hold is as good as none. */
  const struct timespec times[2] = { file->time, file->time };
  (void) futimens (file->fd, times);
  if (fetched_file_name (file->folder_fd, file->name, file->item.path, err) != 0)
    return -1;
  file->name[0] = '\0';
  return 0;
}
