#include "merger/unchanged.h"

#include "common/digest.h"
#include "common/fs.h"
#include "common/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* Whether the file NAME has LINE's size and sum. 1, 0 or -1. */
static int
has_sum (int folder_fd, const char *name, const struct line *line,
         const struct heartbeat *heartbeat, struct error *err)
{
  struct stat status;
  uint8_t sum[DIGEST_SIZE];
  char text[DIGEST_TEXT_SIZE];
  const struct halt halt = heartbeat_halt (heartbeat);
  auto_fd int fd = fs_open_beneath (folder_fd, name, O_RDONLY | O_NONBLOCK, 0, err);
  if (fd < 0)
    return -1;
  if (fstat (fd, &status) != 0)
    return error_errno (err, errno, "%s", name);
  if (!S_ISREG (status.st_mode) || status.st_size != line->size)
    return 0;
  auto_digest struct digest *digest = digest_new ();
  if (digest_file (digest, fd, &status, &halt, sum, err) < 0)
    return -1;
  return strcmp (digest_format (sum, text), line->sha256) == 0;
}

int
unchanged_file (int folder_fd, const char *name, const struct line *line,
                const struct heartbeat *heartbeat, struct error *err)
{
  struct stat status;
  if (line->mtime_ns == -1)
    return 1;
  if (fstatat (folder_fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT ? 0 : error_errno (err, errno, "%s", name);
  if (!S_ISREG (status.st_mode) || status.st_size != line->size)
    return 0;
  return fs_mtime_ns (&status) == line->mtime_ns ? 1
                                                 : has_sum (folder_fd, name, line, heartbeat, err);
}

static int
line_is_unchanged (int folder_fd, const char *attempt, const struct line *line,
                   const struct heartbeat *heartbeat, struct error *err)
{
  const char *path = line->path.data;
  const char *slash = strrchr (path, '/');
  int size = slash == NULL ? 0 : (int) (slash - path);
  struct error problem = ERROR_INIT;
  auto_free char *above = xasprintf ("%s/outputs/%s/%.*s", attempt, line->output, size, path);
  auto_fd int fd = fs_open_beneath (folder_fd, above, O_PATH | O_DIRECTORY, 0, &problem);
  if (fd >= 0)
    return unchanged_file (fd, slash == NULL ? path : slash + 1, line, heartbeat, err);
  if (problem.code == ENOENT || problem.code == ENOTDIR || problem.code == ELOOP)
    return 0;
  return error_set (err, problem.class, "%s", problem.message);
}

int
unchanged_attempt (int folder_fd, const char *attempt, struct lines *lines,
                   const struct heartbeat *heartbeat, struct error *err)
{
  for (;;)
    {
      int found = lines_next (lines, err);
      if (found <= 0)
        return found == 0 ? 1 : -1;
      if (heartbeat_renew (heartbeat, err) != 0)
        return -1;
      if (lines->line.folder)
        continue;
      int unchanged = line_is_unchanged (folder_fd, attempt, &lines->line, heartbeat, err);
      if (unchanged != 1)
        return unchanged;
    }
}
