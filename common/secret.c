#include "common/secret.h"

#include "common/auto.h"
#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

void
secret_release (struct buffer *text)
{
  if (text->data != NULL)
    explicit_bzero (text->data, text->size);
  buffer_release (text);
}

/* A pipe (`--job-key <(…)`) is seen by its two ends alone. */
static int
secret_check_file (const struct stat *stat, const char *path, struct error *err)
{
  if (S_ISFIFO (stat->st_mode))
    return 0;
  if (!S_ISREG (stat->st_mode))
    return error_set (err, ERROR_USER, "%s: not a file", path);
  if ((stat->st_mode & S_IRWXO) == 0)
    return 0;
  return error_set (err, ERROR_USER,
                    "%s: accessible by all users of this machine (mode %04o): run `chmod o= %s`, "
                    "and replace the secret if others may have read it",
                    path, (unsigned int) stat->st_mode & 07777U, path);
}

int
secret_read (int dirfd, const char *path, size_t limit, struct buffer *text, struct error *err)
{
  struct stat stat;
  auto_fd int fd = openat (dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0 || fstat (fd, &stat) != 0)
    return error_errno (err, errno, "%s", path);
  if (secret_check_file (&stat, path, err) != 0)
    return -1;
  char *end = buffer_reserve (text, limit + 1);
  size_t got = 0;
  while (got <= limit)
    {
      ssize_t more = read (fd, end + got, limit + 1 - got);
      if (more < 0 && errno != EINTR)
        return error_errno (err, errno, "reading %s", path);
      if (more == 0)
        break;
      got += more > 0 ? (size_t) more : 0;
    }
  text->size += got;
  text->data[text->size] = '\0';
  return got <= limit ? 0 : error_set (err, ERROR_USER, "%s: larger than %zu bytes", path, limit);
}
