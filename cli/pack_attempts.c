#include "cli/pack_attempts.h"

#include "common/fs.h"
#include "common/memory.h"
#include "common/text.h"
#include "result/attempt_pack.h"
#include "result/result.h"
#include "result/result_store.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Names of the attempts that count, in the order of the shards. */
static void
list_attempts (const struct fold *fold, struct strlist *attempts)
{
  for (uint32_t i = 0; i < fold_known (fold); i++)
    {
      char *folder = fold_folder_name (fold, i);
      if (folder != NULL)
        strlist_take (attempts, folder);
    }
  char *reduce = fold_reduce_folder_name (fold);
  if (reduce != NULL)
    strlist_take (attempts, reduce);
}

/* Removes those that are in the pack: all of them, but beside a pack of an earlier time. */
static int
remove_attempts (int root_fd, const struct strlist *attempts, struct error *err)
{
  auto_attempt_pack struct attempt_pack *pack = attempt_pack_open (root_fd, err);
  auto_fd int folder = fs_open_beneath (root_fd, RESULT_ATTEMPTS, O_RDONLY | O_DIRECTORY, 0, err);
  if (pack == NULL || folder < 0)
    return -1;
  for (size_t i = 0; i < attempts->count; i++)
    if (attempt_pack_has (pack, attempts->items[i])
        && fs_remove_tree (folder, attempts->items[i], err) != 0)
      return -1;
  return 0;
}

/* Links to attempts that are gone. What else is there is somebody's. */
static void
remove_links (int root_fd, const struct fold *fold)
{
  static const char ours[] = "../" RESULT_ATTEMPTS "/";
  auto_fd int folder = fs_open_beneath (root_fd, "shards", O_RDONLY | O_DIRECTORY, 0, NULL);
  for (int64_t i = 0; folder >= 0 && i <= fold_known (fold); i++)
    {
      char target[sizeof ours];
      auto_free char *name =
          i == fold_known (fold) ? xstrdup ("reduce") : xasprintf ("%05lld", (long long) i);
      ssize_t size = readlinkat (folder, name, target, sizeof target);
      if (size >= (ssize_t) strlen (ours) && memcmp (target, ours, strlen (ours)) == 0)
        (void) unlinkat (folder, name, 0);
    }
  (void) unlinkat (root_fd, "shards", AT_REMOVEDIR);
}

static int
pack_session (const struct session *session, const struct counters *counters, struct error *err)
{
  auto_strlist struct strlist attempts = { 0 };
  /* The tree was exchanged since the session was opened. */
  auto_fd int root = result_open (session->location, err);
  if (root < 0)
    return -1;
  list_attempts (counters->fold, &attempts);
  if (attempts.count == 0)
    return 0;
  /* A run that was killed may have written it, and not yet removed all that is in it. */
  if ((!attempt_pack_is_there (root) && attempt_pack_write (root, &attempts, err) != 0)
      || remove_attempts (root, &attempts, err) != 0)
    return -1;
  remove_links (root, counters->fold);
  return 0;
}

int
pack_attempts_check_job (const struct job *job, struct error *err)
{
  if (job->reduce_image != NULL)
    return error_set (err, ERROR_USER,
                      "--pack-attempts keeps no outputs but the result's, and with --reduce those "
                      "of the shards aren't in it: leave one of them out");
  if (job->on_conflict == CONFLICT_FIRST || job->on_conflict == CONFLICT_LAST)
    return error_set (err, ERROR_USER,
                      "--pack-attempts keeps no outputs but the result's, and with --on-conflict "
                      "%s not all of the shards' are in it: leave one of them out",
                      on_conflict_name (job->on_conflict));
  return 0;
}

void
pack_attempts_of (const struct session *session, const struct counters *counters,
                  const struct job_status *status)
{
  struct error err = ERROR_INIT;
  if (status->state != JOB_SUCCEEDED)
    return;
  if (session->fleet || result_is_remote (session->location))
    (void) error_set (&err, ERROR_USER, "--pack-attempts is for results in a folder");
  else if (pack_attempts_check_job (&session->job, &err) == 0
           && pack_session (session, counters, &err) == 0)
    return;
  auto_free char *reason = text_shown (err.message);
  (void) fprintf (stderr, "shoal: the result is complete, but its attempts can't be packed: %s\n",
                  reason);
}

int
pack_attempts_check (const struct session *session, struct error *err)
{
  if (session->folder_fd < 0 || !attempt_pack_is_there (session->folder_fd))
    return 0;
  return error_set (err, ERROR_USER,
                    "%s: its shards were packed (--pack-attempts), so that none can run or be "
                    "merged again: run the job anew, by `shoal run --again` or with another "
                    "--results",
                    session_name (session));
}
