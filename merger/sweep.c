#include "merger/sweep.h"

#include "common/fs.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "result/result.h"
#include "result/result_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

/* Calls REMOVE for each name in FOLDER that FITS; a removal during readdir(3) is fine. */
static int
sweep_folder (int folder_fd, const char *folder,
              bool (*fits) (int dirfd, const char *name, const struct fold *fold),
              const struct fold *fold, struct error *err)
{
  auto_fd int fd = fs_open_beneath (folder_fd, folder, O_RDONLY | O_DIRECTORY, 0, err);
  int copy = fd < 0 ? -1 : fcntl (fd, F_DUPFD_CLOEXEC, 0);
  auto_dir DIR *dir = copy < 0 ? NULL : fdopendir (copy);
  if (dir == NULL)
    return error_is_set (err) ? -1 : error_errno (err, errno, "%s", folder);
  for (const struct dirent *entry = readdir (dir); entry != NULL; entry = readdir (dir))
    if (entry->d_name[0] != '.' && fits (fd, entry->d_name, fold)
        && fs_remove_tree (fd, entry->d_name, err) != 0)
      return -1;
  return 0;
}

static bool
is_dead_build (int dirfd, const char *name, const struct fold *fold)
{
  (void) fold;
  if (strncmp (name, "build.", 6) != 0)
    return false;
  auto_fd int fd = openat (dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  return fd >= 0 && flock (fd, LOCK_EX | LOCK_NB) == 0;
}

int
sweep_builds (int folder_fd, struct error *err)
{
  return sweep_folder (folder_fd, RESULT_STATE, is_dead_build, NULL, err);
}

bool
sweep_counts (const struct fold *fold, const char *name)
{
  unsigned int index = 0, generation = 0;
  /* One of a later generation than we know: we stood still, and another merger has it in hand. */
  if (sscanf (name, "%u.g%u", &index, &generation) != 2 || generation > fold_generation (fold))
    return true;
  auto_free char *winner = (int64_t) index == fold_shards (fold) ? fold_reduce_folder_name (fold)
                                                                 : fold_folder_name (fold, index);
  return winner != NULL && strcmp (winner, name) == 0;
}

static bool
is_loser (int dirfd, const char *name, const struct fold *fold)
{
  (void) dirfd;
  return !sweep_counts (fold, name);
}

int
sweep_attempts (int folder_fd, const struct fold *fold, struct error *err)
{
  return sweep_folder (folder_fd, RESULT_ATTEMPTS, is_loser, fold, err);
}

static bool
counts (void *context, const char *name)
{
  return sweep_counts (context, name);
}

void
sweep_store (const struct job *job, struct fold *fold, bool older_stands,
             const struct heartbeat *heartbeat)
{
  struct error err = ERROR_INIT;
  if (!result_is_remote (job->results))
    return;
  bool stay = older_stands || getenv ("SHOAL_KEEP_ATTEMPTS") != NULL;
  auto_result_store struct result_store *store =
      result_store_open (job->results, job->credentials, &err);
  const struct halt halt = heartbeat_halt (heartbeat);
  if (store != NULL)
    result_store_set_halt (store, &halt);
  if (store != NULL && result_store_end_uploads (store, counts, fold, &err) == 0
      && (stay || result_store_sweep (store, counts, fold, &err) == 0))
    return;
  /* The result stands; who may not remove there has to do with what lies beside it. */
  auto_free char *location = text_log (job->results);
  log_failure (LOG_WARN, "cleanup_failed", &err, "job=%s results=%s", job->id, location);
}
