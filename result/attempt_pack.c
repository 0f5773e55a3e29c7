#include "result/attempt_pack.h"

#include "common/buffer.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/sys.h"
#include "result/result.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tar.h>
#include <unistd.h>

#define PACK_PART ATTEMPT_PACK_FILE ".part"

enum
{
  BLOCK = 512,
  COPY_CHUNK = 1 << 20,
  NAME_MAX_BYTES = 100, /* of a header */
};

/* A header as POSIX has it ("ustar"). */
struct tar_header
{
  char name[100];
  char mode[8];
  char uid[8];
  char gid[8];
  char size[12];
  char mtime[12];
  char checksum[8];
  char type;
  char link[100];
  char magic[6];
  char version[2];
  char user[32];
  char group[32];
  char device[16];
  char prefix[155];
  char rest[12];
};
_Static_assert(sizeof (struct tar_header) == BLOCK, "a header is a block");

bool
attempt_pack_is_there (int root_fd)
{
  return faccessat (root_fd, ATTEMPT_PACK_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int64_t
padding (int64_t size)
{
  return (BLOCK - size % BLOCK) % BLOCK;
}

static unsigned int
header_sum (const struct tar_header *header)
{
  struct tar_header blank = *header;
  unsigned int sum = 0;
  memset (blank.checksum, ' ', sizeof blank.checksum);
  for (size_t i = 0; i < sizeof blank; i++)
    sum += ((const unsigned char *) &blank)[i];
  return sum;
}

/* ---- writing ---------------------------------------------------------------------------- */

struct packing
{
  int fd;
  struct buffer text; /* what is to be written next */
};

static int
packing_flush (struct packing *packing, struct error *err)
{
  int result =
      fs_write_all (packing->fd, packing->text.data, packing->text.size, ATTEMPT_PACK_FILE, err);
  buffer_clear (&packing->text);
  return result;
}

static void
put_octal (char *field, size_t size, int64_t value)
{
  char text[32];
  (void) snprintf (text, sizeof text, "%0*llo", (int) size - 1, (unsigned long long) value);
  memcpy (field, text, size - 1);
}

static int
put_header (struct packing *packing, const char *name, const struct stat *status, struct error *err)
{
  struct tar_header header = { .type = REGTYPE };
  if (strlen (name) >= NAME_MAX_BYTES || status->st_size > 077777777777)
    return error_set (err, ERROR_USER, "%s: too large for a pack", name);
  memcpy (header.name, name, strlen (name));
  put_octal (header.mode, sizeof header.mode, 0644);
  put_octal (header.uid, sizeof header.uid, 0);
  put_octal (header.gid, sizeof header.gid, 0);
  put_octal (header.size, sizeof header.size, status->st_size);
  put_octal (header.mtime, sizeof header.mtime, status->st_mtime > 0 ? status->st_mtime : 0);
  memcpy (header.magic, TMAGIC, sizeof header.magic);
  memcpy (header.version, TVERSION, sizeof header.version);
  put_octal (header.checksum, 7, header_sum (&header));
  header.checksum[7] = ' ';
  buffer_append (&packing->text, &header, sizeof header);
  return 0;
}

/* Copies the SIZE bytes of FD, no more and no less. */
static int
put_content (struct packing *packing, int fd, int64_t size, const char *name, struct error *err)
{
  for (int64_t left = size; left > 0;)
    {
      size_t want = left < COPY_CHUNK ? (size_t) left : COPY_CHUNK;
      char *to = buffer_reserve (&packing->text, want);
      ssize_t got = read (fd, to, want);
      if (got < 0 && errno == EINTR)
        continue;
      if (got <= 0)
        return got < 0 ? error_errno (err, errno, "%s", name)
                       : error_set (err, ERROR_TRANSIENT, "%s: shorter than it was", name);
      packing->text.size += (size_t) got;
      left -= got;
      if (packing->text.size >= COPY_CHUNK && packing_flush (packing, err) != 0)
        return -1;
    }
  static const char zeros[BLOCK];
  buffer_append (&packing->text, zeros, (size_t) padding (size));
  return 0;
}

static int
pack_file (struct packing *packing, int root_fd, const char *attempt, const char *file,
           struct error *err)
{
  auto_free char *path = xasprintf (RESULT_ATTEMPTS "/%s/%s", attempt, file);
  auto_free char *name = xasprintf ("%s/%s", attempt, file);
  struct stat status;
  auto_fd int fd = fs_open_beneath (root_fd, path, O_RDONLY, 0, err);
  if (fd < 0)
    return -1;
  if (fstat (fd, &status) != 0)
    return error_errno (err, errno, "%s", path);
  if (status.st_size == 0)
    return 0;
  return put_header (packing, name, &status, err) != 0
             ? -1
             : put_content (packing, fd, status.st_size, path, err);
}

static int
pack_attempts (struct packing *packing, int root_fd, const struct strlist *attempts,
               struct error *err)
{
  static const char *const files[] = { "attempt.json", "outputs.jsonl", "stdout", "stderr" };
  for (size_t i = 0; i < attempts->count; i++)
    for (size_t j = 0; j < sizeof files / sizeof files[0]; j++)
      if (pack_file (packing, root_fd, attempts->items[i], files[j], err) != 0)
        return -1;
  static const char end[2 * BLOCK];
  buffer_append (&packing->text, end, sizeof end);
  return packing_flush (packing, err);
}

int
attempt_pack_write (int root_fd, const struct strlist *attempts, struct error *err)
{
  auto_fd int fd = fs_open_beneath (root_fd, PACK_PART, O_WRONLY | O_CREAT | O_TRUNC, 0644, err);
  if (fd < 0)
    return -1;
  struct packing packing = { .fd = fd };
  int result = pack_attempts (&packing, root_fd, attempts, err);
  buffer_release (&packing.text);
  if (result == 0 && sys_fsync (fd) != 0)
    result = error_errno (err, errno, "%s", ATTEMPT_PACK_FILE);
  if (result == 0 && sys_rename (root_fd, PACK_PART, root_fd, ATTEMPT_PACK_FILE, 0) != 0)
    result = error_errno (err, errno, "%s", ATTEMPT_PACK_FILE);
  if (result != 0)
    (void) unlinkat (root_fd, PACK_PART, 0);
  return result;
}

int
attempt_pack_remove (int root_fd, struct error *err)
{
  return unlinkat (root_fd, ATTEMPT_PACK_FILE, 0) == 0 || errno == ENOENT
             ? 0
             : error_errno (err, errno, "%s", ATTEMPT_PACK_FILE);
}

/* ---- reading ---------------------------------------------------------------------------- */

struct packed_file
{
  char *name;
  int64_t offset;
  int64_t size;
};

struct attempt_pack
{
  int root_fd;
  struct packed_file *files; /* by name */
  size_t count;
  size_t capacity;
};

static int
compare_packed (const void *a, const void *b)
{
  const struct packed_file *left = a;
  const struct packed_file *right = b;
  return strcmp (left->name, right->name);
}

static void
pack_add (struct attempt_pack *pack, const char *name, int64_t offset, int64_t size)
{
  if (pack->count == pack->capacity)
    {
      pack->capacity = pack->capacity == 0 ? 256 : 2 * pack->capacity;
      pack->files = xrealloc (pack->files, pack->capacity, sizeof *pack->files);
    }
  pack->files[pack->count++] =
      (struct packed_file){ .name = xstrdup (name), .offset = offset, .size = size };
}

/* What HEADER says of a file's size, or -1 for a header that is none of ours. */
static int64_t
header_size (const struct tar_header *header)
{
  char size[sizeof header->size + 1] = "";
  char sum[sizeof header->checksum + 1] = "";
  memcpy (size, header->size, sizeof header->size);
  memcpy (sum, header->checksum, sizeof header->checksum);
  if (memcmp (header->magic, TMAGIC, sizeof header->magic) != 0 || header->type != REGTYPE
      || memchr (header->name, '\0', sizeof header->name) == NULL
      || strtoul (sum, NULL, 8) != header_sum (header))
    return -1;
  return (int64_t) strtoull (size, NULL, 8);
}

static int
pack_read_index (struct attempt_pack *pack, int fd, struct error *err)
{
  struct tar_header header;
  for (int64_t at = 0;;)
    {
      ssize_t got = pread (fd, &header, sizeof header, at);
      if (got < 0)
        return error_errno (err, errno, "%s", ATTEMPT_PACK_FILE);
      if (got == sizeof header && header.name[0] == '\0')
        return 0;
      int64_t size = got == sizeof header ? header_size (&header) : -1;
      if (size < 0)
        return error_set (err, ERROR_USER, "%s: isn't what was written at byte %lld",
                          ATTEMPT_PACK_FILE, (long long) at);
      pack_add (pack, header.name, at + BLOCK, size);
      at += BLOCK + size + padding (size);
    }
}

struct attempt_pack *
attempt_pack_open (int root_fd, struct error *err)
{
  if (!attempt_pack_is_there (root_fd))
    return NULL;
  auto_fd int fd = fs_open_beneath (root_fd, ATTEMPT_PACK_FILE, O_RDONLY, 0, err);
  auto_attempt_pack struct attempt_pack *pack = xcalloc (1, sizeof *pack);
  pack->root_fd = fcntl (root_fd, F_DUPFD_CLOEXEC, 0);
  if (fd < 0 || pack_read_index (pack, fd, err) != 0)
    return NULL;
  qsort (pack->files, pack->count, sizeof *pack->files, compare_packed);
  return take (&pack);
}

void
attempt_pack_close (struct attempt_pack *pack)
{
  if (pack == NULL)
    return;
  for (size_t i = 0; i < pack->count; i++)
    free (pack->files[i].name);
  free (pack->files);
  auto_fd_ (&pack->root_fd);
  free (pack);
}

static const struct packed_file *
pack_find (const struct attempt_pack *pack, const char *attempt, const char *file)
{
  auto_free char *name = xasprintf ("%s/%s", attempt, file);
  const struct packed_file key = { .name = name };
  return pack->count == 0 ? NULL
                          : bsearch (&key, pack->files, pack->count, sizeof key, compare_packed);
}

bool
attempt_pack_has (const struct attempt_pack *pack, const char *attempt)
{
  return pack_find (pack, attempt, "attempt.json") != NULL;
}

int
attempt_pack_open_file (const struct attempt_pack *pack, const char *attempt, const char *file,
                        int64_t *size)
{
  const struct packed_file *found = pack_find (pack, attempt, file);
  if (found == NULL)
    return -1;
  auto_fd int fd = fs_open_beneath (pack->root_fd, ATTEMPT_PACK_FILE, O_RDONLY, 0, NULL);
  if (fd < 0 || lseek (fd, (off_t) found->offset, SEEK_SET) < 0)
    return -1;
  *size = found->size;
  return take_fd (&fd);
}
