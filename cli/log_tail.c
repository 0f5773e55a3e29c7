#include "cli/log_tail.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/text.h"
#include "result/result.h"

#include <fcntl.h>
#include <unistd.h>

enum
{
  TAIL_BYTES = 4096, /* that are read from a file's end */
  TAIL_SHOWN = 160,
};

static bool
is_blank (char byte)
{
  return byte == '\n' || byte == '\r' || byte == ' ' || byte == '\t' || byte == '\0';
}

/* The last line in the SIZE bytes at TEXT that isn't blank, cut off behind it; NULL: none. */
static char *
last_line (char *text, size_t size)
{
  while (size > 0 && is_blank (text[size - 1]))
    size--;
  text[size] = '\0';
  size_t begin = size;
  while (begin > 0 && text[begin - 1] != '\n' && text[begin - 1] != '\r' && text[begin - 1] != '\0')
    begin--;
  return begin == size ? NULL : text + begin;
}

char *
log_tail_of (const struct session *session, const struct counters *counters,
             const struct counters_failure *failure)
{
  auto_free char *folder = failure->kind == SHARD_REDUCE
                               ? fold_reduce_folder_name (counters->fold)
                               : fold_folder_name (counters->fold, failure->index);
  if (folder == NULL || session->folder_fd < 0)
    return NULL;
  auto_free char *path = xasprintf (RESULT_ATTEMPTS "/%s/stderr", folder);
  /* The tree may have been exchanged since the session was opened. */
  auto_fd int root = result_open (session->location, NULL);
  auto_fd int fd = root < 0 ? -1 : fs_open_beneath (root, path, O_RDONLY, 0, NULL);
  struct stat status;
  char text[TAIL_BYTES + 1];
  if (fd < 0 || fstat (fd, &status) != 0)
    return NULL;
  off_t from = status.st_size > TAIL_BYTES ? status.st_size - TAIL_BYTES : 0;
  ssize_t got = pread (fd, text, TAIL_BYTES, from);
  const char *line = got <= 0 ? NULL : last_line (text, (size_t) got);
  if (line == NULL)
    return NULL;
  struct buffer shown = { 0 };
  text_put_shown (&shown, line, TAIL_SHOWN);
  return buffer_take (&shown);
}
