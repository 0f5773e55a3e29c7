#include "common/storage/fetched_file.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/stat.h>

enum
{
  READ_CHUNK = 256 << 10,
};

/* ERR of errno CODE, with the folder that we write to. */
static int
say_where (const struct fetched_file *file, int code, struct error *err)
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
                                      .size = item->size };
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
  (void) snprintf (file->name, sizeof file->name, ".shoal-fetch-%016llx",
                   (unsigned long long) word);
  file->fd = openat (folder_fd, file->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (file->fd >= 0 && fchmod (file->fd, 0644) == 0) /* whatever the umask is: containers read it */
    return file;
  (void) say_where (file, errno, err);
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
  auto_fd_ (&file->fd);
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
      return 0;
    }
  bool tagged = file->etag != NULL && etag != NULL;
  if (tagged ? strcmp (file->etag, etag) == 0
             : is_same (file->etag, etag) && is_same (file->modified, modified))
    return 0;
  return error_set (err, ERROR_TRANSIENT, "has changed while it was fetched");
}

bool
fetched_file_is_pinned (const struct fetched_file *file)
{
  return file->item.version != NULL || file->etag != NULL || file->modified != NULL;
}

int
fetched_file_empty (struct fetched_file *file, struct error *err)
{
  file->answered = false;
  free (take (&file->etag));
  free (take (&file->modified));
  if (ftruncate (file->fd, 0) != 0)
    return error_errno (err, errno, "emptying it");
  return 0;
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
        return say_where (file, written == 0 ? ENOSPC : errno, err);
      at += written;
      offset += written;
      size -= (size_t) written;
    }
  return 0;
}

int
fetched_file_changed (const struct fetched_file *file, int64_t size, struct error *err)
{
  /* A version that the server has just confirmed may be a second's or a minute's; or it is wrong about the length, and another try may help. */
  enum error_class class = file->item.version != NULL ? ERROR_TRANSIENT : ERROR_USER;
  return error_set (err, class, "has changed since it was listed: %lld bytes, there were %lld",
                    (long long) size, (long long) file->item.size);
}

static int
add_all (int fd, EVP_MD_CTX *context, struct error *err)
{
  auto_free char *chunk = xcalloc (1, READ_CHUNK);
  int64_t offset = 0;
  for (;;)
    {
      ssize_t got = pread (fd, chunk, READ_CHUNK, offset);
      if (got < 0 && errno == EINTR)
        continue;
      if (got < 0)
        return error_errno (err, errno, "reading for its checksum");
      if (got == 0)
        return 0;
      if (EVP_DigestUpdate (context, chunk, (size_t) got) != 1)
        abort ();
      offset += got;
    }
}

static int
check_sum (const struct fetched_file *file, struct error *err)
{
  unsigned char sum[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  char hex[2 * EVP_MAX_MD_SIZE + 1] = "";
  EVP_MD_CTX *context = EVP_MD_CTX_new ();
  const EVP_MD *algorithm = EVP_get_digestbyname (file->sum.algorithm);
  if (context == NULL || algorithm == NULL || EVP_DigestInit_ex (context, algorithm, NULL) != 1)
    abort ();
  int result = add_all (file->fd, context, err);
  if (EVP_DigestFinal_ex (context, sum, &size) != 1)
    abort ();
  EVP_MD_CTX_free (context);
  if (result != 0)
    return -1;
  for (unsigned int i = 0; i < size; i++)
    (void) snprintf (hex + 2 * (size_t) i, 3, "%02x", sum[i]);
  if (strcmp (hex, file->sum.hex) == 0)
    return 0;
  return error_set (err, ERROR_TRANSIENT, "what came has %s %s, it should be %s",
                    file->sum.algorithm, hex, file->sum.hex);
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

int
fetched_file_finish (struct fetched_file *file, struct error *err)
{
  struct stat status;
  if (fstat (file->fd, &status) != 0)
    return error_errno (err, errno, "fstat");
  if (file->item.size >= 0 && status.st_size != file->item.size)
    return fetched_file_changed (file, status.st_size, err);
  if (file->sum.algorithm != NULL && check_sum (file, err) != 0)
    return -1;
  if (fetched_file_name (file->folder_fd, file->name, file->item.path, err) != 0)
    return -1;
  file->name[0] = '\0';
  return 0;
}
