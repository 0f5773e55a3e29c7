#include "worker/workplace.h"

#include "common/fs.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/scratch.h"
#include "common/sys.h"
#include "common/text.h"
#include "common/unique.h"
#include "result/result.h"
#include "result/result_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define SCRATCH_PREFIX "shoal-"

enum
{
  SWEEP_TRIES = 200,
  SWEEP_PAUSE_MS = 5,
};

static void
remove_quietly (int dirfd, const char *name)
{
  if (dirfd >= 0 && name != NULL)
    scratch_remove (dirfd, name);
}

/* ---- making ----------------------------------------------------------------------------- */

static int
workplace_make_folder (struct workplace *workplace, const char *location, struct error *err)
{
  workplace->result_fd = result_open (location, err);
  if (workplace->result_fd < 0)
    return -1;
  auto_free char *root = result_folder (location, err);
  if (root == NULL || fs_make_folders (workplace->result_fd, RESULT_TMP, 0755, err) != 0
      || fs_make_folders (workplace->result_fd, RESULT_ATTEMPTS, 0755, err) != 0)
    return -1;
  auto_free char *path = xasprintf (RESULT_TMP "/%s", workplace->name);
  workplace->folder_fd = scratch_make (workplace->result_fd, path, 0700, err);
  workplace->folder = xasprintf ("%s/%s", root, path);
  return workplace->folder_fd < 0 ? -1 : 0;
}

static int
workplace_make_scratch (struct workplace *workplace, const char *scratch, struct error *err)
{
  if (scratch == NULL)
    {
      workplace->scratch_parent =
          fs_open_beneath (workplace->result_fd, RESULT_TMP, O_RDONLY | O_DIRECTORY, 0, err);
      workplace->scratch_name = xasprintf ("%s.scratch", workplace->name);
      workplace->scratch = xasprintf ("%s.scratch", workplace->folder);
    }
  else
    {
      auto_free char *absolute = realpath (scratch, NULL);
      if (absolute == NULL)
        return error_errno (err, errno, "scratch folder %s", scratch);
      workplace->scratch_parent = fs_open_folder (AT_FDCWD, absolute, err);
      char unique[UNIQUE_SIZE];
      workplace->scratch_name =
          xasprintf (SCRATCH_PREFIX "%s-%s", unique_text (unique), workplace->name);
      workplace->scratch = xasprintf ("%s/%s", absolute, workplace->scratch_name);
    }
  if (workplace->scratch_parent < 0)
    return -1;
  workplace->scratch_fd =
      scratch_make (workplace->scratch_parent, workplace->scratch_name, 0700, err);
  return workplace->scratch_fd < 0 ? -1 : 0;
}

int
workplace_make (struct workplace *workplace, const char *location, const char *scratch,
                const char *name, struct error *err)
{
  *workplace = (struct workplace) WORKPLACE_INIT;
  workplace->name = xstrdup (name);
  if (workplace_make_folder (workplace, location, err) == 0
      && workplace_make_scratch (workplace, scratch, err) == 0)
    return 0;
  workplace_discard (workplace);
  if (err != NULL)
    err->class = ERROR_TRANSIENT;
  return -1;
}

void
workplace_release (struct workplace *workplace)
{
  auto_fd_ (&workplace->result_fd);
  auto_fd_ (&workplace->folder_fd);
  auto_fd_ (&workplace->scratch_parent);
  auto_fd_ (&workplace->scratch_fd);
  free (workplace->name);
  free (workplace->folder);
  free (workplace->scratch_name);
  free (workplace->scratch);
  *workplace = (struct workplace) WORKPLACE_INIT;
}

/* ---- the end ---------------------------------------------------------------------------- */

int
workplace_keep (struct workplace *workplace, struct error *err)
{
  remove_quietly (workplace->scratch_parent, workplace->scratch_name);
  auto_free char *from = xasprintf (RESULT_TMP "/%s", workplace->name);
  auto_free char *to = xasprintf (RESULT_ATTEMPTS "/%s", workplace->name);
  if (fchmod (workplace->folder_fd, 0755) != 0)
    return error_errno (err, errno, "%s", from);
  if (sys_rename (workplace->result_fd, from, workplace->result_fd, to, 0) == 0)
    return 0;
  if (errno != EEXIST && errno != ENOTEMPTY)
    return error_errno (err, errno, "renaming %s to %s", from, to);
  /* A worker finished this very attempt, released or lost it before it was settled: it never
   * counted. */
  if (fs_remove_tree (workplace->result_fd, to, err) != 0)
    return -1;
  if (sys_rename (workplace->result_fd, from, workplace->result_fd, to, 0) != 0)
    return error_errno (err, errno, "renaming %s to %s", from, to);
  return 0;
}

void
workplace_discard (struct workplace *workplace)
{
  if (workplace->scratch_fd >= 0)
    remove_quietly (workplace->scratch_parent, workplace->scratch_name);
  if (workplace->folder_fd < 0)
    return;
  auto_free char *path = xasprintf (RESULT_TMP "/%s", workplace->name);
  remove_quietly (workplace->result_fd, path);
}

/* ---- sweeping --------------------------------------------------------------------------- */

int
workplace_sweep (const char *location, const char *scratch)
{
  int swept = 0;
  auto_fd int result = result_open (location, NULL);
  auto_fd int tmp =
      result < 0 ? -1 : fs_open_beneath (result, RESULT_TMP, O_RDONLY | O_DIRECTORY, 0, NULL);
  if (tmp >= 0)
    swept += scratch_sweep (tmp, "", "");
  auto_fd int scratch_fd = scratch == NULL ? -1 : fs_open_folder (AT_FDCWD, scratch, NULL);
  if (scratch_fd >= 0)
    swept += scratch_sweep (scratch_fd, SCRATCH_PREFIX, "");
  return swept;
}

void
workplace_sweep_behind (const char *location, const char *scratch, const char *name)
{
  auto_fd int result = result_open (location, NULL);
  auto_free char *path = xasprintf (RESULT_TMP "/%s", name);
  for (int i = 0; i < SWEEP_TRIES; i++)
    {
      (void) workplace_sweep (location, scratch);
      if (result < 0 || !fs_exists (result, path))
        return;
      (void) poll (NULL, 0, SWEEP_PAUSE_MS);
    }
}

void
workplace_forget (const struct job *job, const char *name)
{
  const char *location = job->results;
  auto_fd int result = result_open (location, NULL);
  auto_free char *path = xasprintf (RESULT_ATTEMPTS "/%s", name);
  if (result >= 0)
    remove_quietly (result, path);
  if (!result_is_remote (location))
    return;
  struct error err = ERROR_INIT;
  auto_result_store struct result_store *store =
      result_store_open (location, job->credentials, &err);
  if (store != NULL && result_store_forget (store, name, &err) == 0)
    return;
  auto_free char *reason = text_log (err.message);
  auto_free char *where = text_log (location);
  log_warn ("cleanup_failed", "results=%s attempt=%s reason=%s", where, name, reason);
}
