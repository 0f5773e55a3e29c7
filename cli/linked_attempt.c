#include "cli/linked_attempt.h"

#include "common/fs.h"
#include "common/memory.h"
#include "result/result.h"
#include "worker/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

static int
link_files (int from_fd, const char *from, int to_fd, const char *to, struct error *err)
{
  auto_place struct place place = PLACE_INIT;
  int64_t bytes = 0;
  auto_fd int source = fs_open_beneath (from_fd, from, O_RDONLY | O_DIRECTORY, 0, err);
  auto_fd int target =
      source < 0 ? -1 : fs_open_beneath (to_fd, to, O_RDONLY | O_DIRECTORY, 0, err);
  if (target < 0)
    return -1;
  place.source_fd = source;
  place.target_fd = target;
  return place_folder (&place, "", PLACE_LINK_OR_COPY, NULL, &bytes, err) != 0 ? -1 : 0;
}

int
linked_attempt_make (int from_fd, const char *old, int to_fd, const char *new, struct error *err)
{
  auto_free char *from = xasprintf (RESULT_ATTEMPTS "/%s", old);
  auto_free char *making = xasprintf (RESULT_TMP "/%s", new);
  auto_free char *to = xasprintf (RESULT_ATTEMPTS "/%s", new);
  if (fs_remove_tree (to_fd, making, err) != 0 || fs_remove_tree (to_fd, to, err) != 0
      || fs_make_folders (to_fd, making, 0755, err) != 0
      || link_files (from_fd, from, to_fd, making, err) != 0)
    return -1;
  return renameat (to_fd, making, to_fd, to) == 0 ? 0 : error_errno (err, errno, "%s", to);
}
