/* shoal merge: the result assembled again from what the shards left; nothing is run. */
#include "cli/commands.h"
#include "cli/pack_attempts.h"
#include "cli/reopen.h"
#include "cli/restore.h"
#include "cli/run_options.h"
#include "cli/session.h"
#include "cli/storage_options.h"
#include "cli/supervise.h"
#include "common/memory.h"
#include "common/text.h"

struct merge_args
{
  int on_conflict; /* -1: the job's */
};

static int
set_on_conflict (void *context, const char *value, struct error *err)
{
  int policy = on_conflict_from_name (value);
  if (policy < 0)
    return error_set (err, ERROR_USER, "\"%s\" is none of fail, first, last, rename, concat",
                      value);
  ((struct merge_args *) context)->on_conflict = policy;
  return 0;
}

static const struct option_spec merge_options[] = {
  { 0, "on-conflict", NULL, "POLICY", "two shards, one path: fail, first, last, rename or concat",
    GROUP_OTHER, false, set_on_conflict },
  { 0 },
};

static int
merge_check_ended (struct session *session, struct job_status *status, struct error *err)
{
  if (session_status (session, status, err) != 0)
    return -1;
  auto_free char *location = text_word (session->location);
  if (!job_state_is_terminal (status->state))
    return error_set (err, ERROR_USER,
                      "%s: the job has not ended yet: `shoal resume %s` continues it",
                      session->location, location);
  if (status->class_name != NULL)
    return error_set (err, ERROR_USER,
                      "%s: the job could not be planned, so there is nothing to merge",
                      session->location);
  return 0;
}

static int
merge_run (int argc, char **argv, struct error *err)
{
  struct merge_args args = { .on_conflict = -1 };
  struct run_options options = { 0 };
  const struct option_set sets[] = { { merge_options, &args },
                                     { supervise_options, &options },
                                     { storage_options, NULL } };
  int first = options_operands (sets, 3, argc, argv, 1, 1, command_merge.synopsis, err);
  if (first < 0)
    return first;
  auto_session struct session session = SESSION_INIT;
  if (session_open (&session, argv[first], NULL, err) != 0 || session_lock (&session, err) != 0
      || restore_check_left (&session, err) != 0 || pack_attempts_check (&session, err) != 0)
    return -1;
  enum on_conflict policy =
      args.on_conflict < 0 ? session.job.on_conflict : (enum on_conflict) args.on_conflict;
  auto_job_status struct job_status status = { 0 };
  if (merge_check_ended (&session, &status, err) != 0
      || reopen_merge (&session, policy, &status, err) != 0)
    return -1;
  return supervise_and_report (&session, &options, true, err);
}

const struct command command_merge = {
  .name = "merge",
  .synopsis = "merge [--on-conflict POLICY] RESULT",
  .summary = "rebuild the result from finished shards, without running any",
  .help =
      "Policies for two shards that wrote the same path: fail keeps only the shards' own folders;\n"
      "first and last go by shard number; rename keeps all under different names; concat\n"
      "concatenates them.\n"
      "\n"
      "  shoal merge resized --on-conflict last\n",
  .options = { merge_options, supervise_options, storage_options },
  .run = merge_run,
};
