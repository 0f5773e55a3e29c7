#include "cli/restore.h"

#include "cli/changes.h"
#include "cli/reopen.h"
#include "cli/summary.h"
#include "common/memory.h"
#include "common/text.h"
#include "merger/verdict.h"
#include "result/attempt_pack.h"
#include "result/result.h"
#include "result/result_rest.h"
#include "result/result_store.h"

#include <stdio.h>

int
restore_is_left (const struct session *session, struct error *err)
{
  auto_free char *claimed = result_job (session->folder_fd); /* by a producer, there and here */
  if (!result_is_remote (session->location) || claimed == NULL)
    return 1;
  auto_result_store struct result_store *store =
      result_store_open (session->location, session_credentials (session), err);
  return store == NULL ? -1 : result_store_is_claimed (store, err);
}

int
restore_check_left (const struct session *session, struct error *err)
{
  int left = restore_is_left (session, err);
  if (left != 0)
    return left < 0 ? -1 : 0;
  return error_set (err, ERROR_USER,
                    "%s: the result no longer exists: run its original command again",
                    session->location);
}

int
restore_stands (const struct session *session, const struct job_status *status, struct error *err)
{
  return verdict_is_done (status->state)
             ? result_rest_stands (session->location, session_credentials (session),
                                   session->folder_fd, session->job.output_count > 0, err)
             : 1;
}

int
restore_check_stands (const struct session *session, struct error *err)
{
  auto_job_status struct job_status status = { 0 };
  if (session_status (session, &status, err) != 0)
    return -1;
  struct error why = ERROR_INIT;
  int stands = result_is_remote (session->location) ? restore_stands (session, &status, &why) : 1;
  if (stands < 0) /* who waits for a fleet needs no credentials for its storage */
    {
      auto_free char *reason = text_shown (why.message);
      (void) fprintf (stderr, "shoal: cannot check whether the result still exists: %s\n", reason);
    }
  if (stands != 0)
    return 0;
  return error_set (err, ERROR_USER,
                    "job %s has ended, and its result is no longer at %s: choose another --id",
                    session->job.id, session->location);
}

/* ---- making it again -------------------------------------------------------------------- */

/* 1, 0 or -1. */
static int
restore_is_gone (const struct result_rest *rest, const char *attempt, struct error *err)
{
  int has = attempt == NULL ? 1 : result_rest_has (rest, attempt, err);
  return has < 0 ? -1 : !has;
}

/* Shards whose attempts REST lacks. The caller frees GONE's `named`. */
static int
find_gone (const struct fold *fold, const struct result_rest *rest, struct reopen_choice *gone,
           struct error *err)
{
  int64_t shards = fold_known (fold);
  gone->named = xcalloc ((size_t) shards, sizeof *gone->named);
  for (uint32_t i = 0; i < shards; i++)
    {
      auto_free char *attempt = fold_folder_name (fold, i);
      int is = restore_is_gone (rest, attempt, err);
      if (is < 0)
        return -1;
      if (is > 0)
        gone->named[gone->named_count++] = i;
    }
  auto_free char *reduce = fold_reduce_folder_name (fold);
  int is = restore_is_gone (rest, reduce, err);
  gone->reduce = is > 0;
  return is < 0 ? -1 : 0;
}

int
restore_reopen (struct session *session, struct job_status *status, struct error *err)
{
  auto_result_rest struct result_rest rest = { 0 };
  auto_counters struct counters counters = { 0 };
  struct reopen_choice gone = { 0 };
  if (result_rest_open (&rest, session->location, session_credentials (session), session->folder_fd,
                        err)
          != 0
      || summary_read (session, &counters, err) != 0)
    return -1;
  int result = find_gone (counters.fold, &rest, &gone, err);
  bool merges = gone.named_count == 0 && !gone.reduce;
  enum on_conflict policy = fold_on_conflict (counters.fold, session->job.on_conflict);
  if (result == 0 && !merges) /* looked at before the pack goes, which stays when they changed */
    result = changes_check_pins (session, err);
  if (result == 0) /* what is in it is run again: before that, as a kill may fall between */
    result = attempt_pack_remove (session->folder_fd, err);
  if (result == 0)
    result =
        merges ? reopen_merge (session, policy, status, err) : reopen_shards (session, &gone, err);
  free (gone.named);
  return result < 0 ? -1 : merges;
}
