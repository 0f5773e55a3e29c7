#include "worker/attempt.h"

#include "common/clock.h"
#include "common/fs.h"
#include "common/memory.h"
#include "policy/policy_check.h"
#include "result/result.h"
#include "result/result_store.h"
#include "worker/capture.h"
#include "worker/collect.h"
#include "worker/environment.h"
#include "worker/link_follower.h"
#include "worker/mounts.h"
#include "worker/patience.h"
#include "worker/reason.h"
#include "worker/record.h"
#include "worker/retry.h"
#include "worker/stage.h"
#include "worker/supervise.h"
#include "worker/workplace.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* One attempt while it runs. */
struct attempt_run
{
  const struct attempt *attempt;
  struct attempt_report *report;
  struct workplace workplace;
  struct capture captures[2]; /* stdout, stderr */
  struct mounts mounts;
  enum attempt_order order; /* the strongest that came */
  bool cut_short;           /* while it was sent away: its outcome says why */
};

/* ---- outcomes --------------------------------------------------------------------------- */

static void
set_outcome (struct attempt_report *report, enum outcome outcome, const char *reason)
{
  report->outcome = outcome;
  free (report->reason);
  report->reason = reason == NULL ? NULL : reason_line (reason);
}

/* The user's mistake is a failure of the attempt, everything else is ours. */
static void
set_failure (struct attempt_report *report, const struct error *err)
{
  set_outcome (report, err->class == ERROR_USER ? OUTCOME_FAILED : OUTCOME_INFRA, err->message);
}

static void
init_report (struct attempt_report *report)
{
  *report = (struct attempt_report){
    .exit_code = -1, .started = clock_wall_ms (), .cpu_us = -1, .peak_memory = -1
  };
}

void
attempt_report_failure (struct attempt_report *report, enum outcome outcome, const char *reason)
{
  init_report (report);
  report->ended = report->started;
  set_outcome (report, outcome, reason);
}

void
attempt_event (const struct shard *shard, uint32_t starts, const char *writer,
               struct attempt_report *report, struct event *event)
{
  *event = (struct event){ .kind = EVENT_FINISHED,
                           .job_id = xstrdup (shard->job_id),
                           .time = report->ended,
                           .writer = xstrdup (writer),
                           .generation = shard->generation,
                           .index = shard->index,
                           .shard_kind = shard->kind,
                           .attempt = shard->attempt,
                           .starts = starts,
                           .shards = -1,
                           .atoms = shard->atom_count,
                           .bytes = shard->bytes,
                           .report = *report };
  memcpy (event->digest, shard->digest, sizeof event->digest);
  *report = (struct attempt_report){ 0 };
}

/* What the end of the container means; DESIGN: the exit code is the command's word, but not after
 * we stopped it. */
static void
classify (struct attempt_run *run, const struct supervision *supervision,
          const struct container_exit *exit)
{
  struct attempt_report *report = run->report;
  const struct job *job = run->attempt->job;
  report->exit_code = exit->exit_code;
  report->signal = exit->signal;
  report->cpu_us = exit->cpu_us;
  report->peak_memory = exit->peak_memory;
  auto_free char *how = reason_of_exit (exit);
  if (supervision->order != ATTEMPT_GO_ON)
    set_outcome (report, OUTCOME_CANCELLED, "cancelled");
  else if (error_is_set (&supervision->output))
    set_failure (report, &supervision->output);
  else if (error_is_set (&supervision->excess))
    set_failure (report, &supervision->excess);
  else if (supervision->timed_out)
    {
      auto_free char *reason =
          xasprintf ("timeout after %lld ms, %s", (long long) job->timeout_ms, how);
      set_outcome (report, OUTCOME_TIMEOUT, reason);
    }
  else if (retry_is_success (job, exit->exit_code))
    set_outcome (report, OUTCOME_SUCCEEDED, NULL);
  else if (exit->oom)
    {
      auto_free char *reason = xasprintf ("out of memory, %s", how);
      set_outcome (report, OUTCOME_OOM, reason);
    }
  else
    set_outcome (report, OUTCOME_FAILED, how);
}

/* ---- steps ------------------------------------------------------------------------------ */

/* Open to everybody as long as the command runs: whoever it is inside must be able to write.
 * Outside nobody gets there, the attempt's own folder is closed. */
static int
make_outputs (struct attempt_run *run, struct error *err)
{
  const struct job *job = run->attempt->job;
  const struct workplace *workplace = &run->workplace;
  for (size_t i = 0; i < job->output_count; i++)
    {
      auto_free char *path = xasprintf ("outputs/%s", job->outputs[i].name);
      if (fs_make_folders (workplace->folder_fd, path, 0755, err) != 0)
        goto failed;
      auto_fd int fd = fs_open_beneath (workplace->folder_fd, path, O_RDONLY | O_DIRECTORY, 0, err);
      if (fd < 0)
        goto failed;
      if (fchmod (fd, 0777) != 0)
        {
          (void) error_errno (err, errno, "%s", path);
          goto failed;
        }
      if (mounts_add (&run->mounts, fd, xstrdup (job->outputs[i].path), true, true, err) != 0)
        goto failed;
    }
  return 0;
failed:
  err->class = ERROR_TRANSIENT;
  return -1;
}

static int
open_workplace (struct attempt_run *run, struct error *err)
{
  const struct attempt *attempt = run->attempt;
  const struct shard *shard = attempt->shard;
  auto_free char *name =
      result_attempt_name (shard->index, shard->generation, shard->attempt, attempt->starts);
  if (workplace_make (&run->workplace, attempt->job->results, attempt->scratch, name, err) != 0)
    return -1;
  /* What was opened counts, whatever the path has become since it was looked at. */
  if (!result_is_remote (attempt->job->results)
      && policy_check_folder (attempt->policy, POLICY_RESULT, run->workplace.result_fd, err) != 0)
    return -1;
  int folder = run->workplace.folder_fd;
  int64_t limit = attempt->job->log_limit;
  if (capture_open (&run->captures[0], folder, "stdout", limit, err) != 0
      || capture_open (&run->captures[1], folder, "stderr", limit, err) != 0)
    {
      err->class = ERROR_TRANSIENT;
      return -1;
    }
  return make_outputs (run, err);
}

/* The time that the job gives one part of the attempt begins. */
static void
start_patience (const struct attempt_run *run, struct patience *patience, int64_t limit_ms,
                int64_t otherwise)
{
  patience->control = &run->attempt->control;
  patience_start (patience, limit_ms, otherwise, run->order);
}

static void
set_late (struct attempt_report *report, const struct patience *patience)
{
  auto_free char *reason = patience_reason (patience);
  set_outcome (report, OUTCOME_TIMEOUT, reason);
}

/* -1: with the outcome. */
static int
make_mounts (struct attempt_run *run, struct error *err)
{
  const struct attempt *attempt = run->attempt;
  struct patience patience = { .doing = "staging the inputs", .option = "--stage-timeout" };
  const struct halt halt = patience_halt (&patience);
  const struct stage stage = { .job = attempt->job,
                               .shard = attempt->shard,
                               .result_fd = run->workplace.result_fd,
                               .scratch_fd = run->workplace.scratch_fd,
                               .policy = attempt->policy,
                               .totals = attempt->totals,
                               .halt = &halt };
  start_patience (run, &patience, attempt->job->stage_timeout_ms, ATTEMPT_STAGE_MS);
  int result = stage_in (&stage, &run->mounts, &run->report->bytes_in, err);
  run->order = patience.order;
  if (result == 0)
    result = mounts_arrange (&run->mounts, err);
  if (result == 0)
    return 0;
  if (patience.late)
    set_late (run->report, &patience);
  else if (patience.stopped)
    set_outcome (run->report, OUTCOME_CANCELLED, "cancelled");
  else
    set_failure (run->report, err);
  return -1;
}

/* Waiting for a place to run isn't time that the attempt took. */
static bool
may_go (struct attempt_run *run)
{
  const struct attempt_control *control = &run->attempt->control;
  int64_t since = clock_wall_ms ();
  if (run->order == ATTEMPT_GO_ON && control->await != NULL)
    run->order = control->await (control->context);
  run->report->started += clock_wall_ms () - since;
  if (run->order == ATTEMPT_GO_ON)
    return true;
  set_outcome (run->report, OUTCOME_CANCELLED, "cancelled");
  return false;
}

/* The reduce container is another image: what was said about the first one's entrypoint and folder
 * isn't meant for it. */
static struct job
job_of_container (const struct attempt *attempt)
{
  struct job view = *attempt->job;
  if (attempt->shard->kind == SHARD_REDUCE)
    {
      view.has_entrypoint = false;
      view.workdir = NULL;
    }
  return view;
}

static int
attempt_make_scratch (const struct workplace *workplace, struct error *err)
{
  if (mkdirat (workplace->scratch_fd, "run", 0755) != 0)
    return error_set (err, ERROR_TRANSIENT, "%s/run: %s", workplace->scratch, strerror (errno));
  int fd = fs_open_beneath (workplace->scratch_fd, "run", O_RDONLY | O_DIRECTORY, 0, err);
  return fd >= 0 ? fd : error_blame_machine (err);
}

static int
run_container (struct attempt_run *run, struct error *err)
{
  const struct attempt *attempt = run->attempt;
  bool reduce = attempt->shard->kind == SHARD_REDUCE;
  const struct job job = job_of_container (attempt);
  auto_free char *id = xasprintf ("shoal-%d-%s", (int) getpid (), run->workplace.name);
  auto_fd int scratch = attempt_make_scratch (&run->workplace, err);
  if (scratch < 0)
    return -1;
  auto_strlist struct strlist env = { 0 };
  environment_fill (&job, attempt->shard, attempt->starts, &env);
  const struct container container = {
    .id = id,
    .job = &job,
    .policy = attempt->policy,
    .image = reduce ? job.reduce_image : job.image,
    .image_id = reduce ? job.reduce_image_id : job.image_id,
    .command = reduce ? &job.reduce_command : &job.command,
    .env = env,
    .mounts = run->mounts.items,
    .mount_count = run->mounts.count,
    .scratch_fd = scratch,
    .stdout_fd = run->captures[0].write_fd,
    .stderr_fd = run->captures[1].write_fd,
  };
  struct supervision supervision = { .runtime = attempt->runtime,
                                     .control = &attempt->control,
                                     .captures = run->captures,
                                     .timeout_ms = job.timeout_ms,
                                     .usage = usage_new (run->workplace.folder_fd, &job) };
  struct container_exit exit = { .exit_code = -1, .cpu_us = -1, .peak_memory = -1 };
  int result = supervise (&supervision, &container, &exit, err);
  usage_free (supervision.usage);
  run->order = supervision.order;
  if (result == 0)
    classify (run, &supervision, &exit);
  else if (supervision.order != ATTEMPT_GO_ON)
    set_outcome (run->report, OUTCOME_CANCELLED, "cancelled");
  else
    set_failure (run->report, err);
  if (supervision.order == ATTEMPT_KILL)
    return error_set (err, ERROR_TRANSIENT, "killed");
  return 0;
}

/* Collecting was ended early: nothing is kept of the outputs, what was printed is. */
static int
give_up (struct attempt_run *run, const struct patience *patience, struct error *err)
{
  struct attempt_report *report = run->report;
  report->files_out = report->bytes_out = 0;
  if (patience->stopped)
    set_outcome (report, OUTCOME_CANCELLED, "cancelled");
  else if (report->outcome == OUTCOME_SUCCEEDED)
    set_late (report, patience);
  return run->order == ATTEMPT_KILL
             ? -1
             : collect_nothing (run->workplace.folder_fd, run->attempt->job, err);
}

/* Takes the outputs over. An attempt that had succeeded fails with what can't be kept of them. */
static int
collect (struct attempt_run *run, struct error *err)
{
  const struct attempt *attempt = run->attempt;
  const struct job *job = attempt->job;
  struct attempt_report *report = run->report;
  struct collected collected = { 0 };
  struct patience patience = { .doing = "collecting the outputs",
                               .option = "--collect-timeout",
                               .grace_ms = ATTEMPT_CANCEL_COLLECT_MS };
  const struct halt halt = patience_halt (&patience);
  bool sharded = job->glob != NULL && attempt->shard->kind == SHARD_MAP;
  int64_t shard = sharded ? (int64_t) attempt->shard->index : -1;
  start_patience (run, &patience, job->collect_timeout_ms, ATTEMPT_COLLECT_MS);
  auto_link_follower struct link_follower *links = link_follower_new (
      job, run->workplace.folder_fd, &run->mounts, container_user_of (attempt->runtime), &halt);
  int result =
      collect_outputs (run->workplace.folder_fd, job, shard, links, &halt, &collected, err);
  run->order = patience.order;
  report->files_out = collected.files;
  report->bytes_out = collected.bytes;
  if (patience.late || patience.stopped)
    return give_up (run, &patience, err);
  auto_free char *left = link_follower_tell (links);
  if (result != 0 && report->outcome == OUTCOME_SUCCEEDED)
    set_failure (report, err);
  else if (left != NULL && report->outcome == OUTCOME_SUCCEEDED)
    set_outcome (report, OUTCOME_SUCCEEDED, left);
  return result == 0 || err->class == ERROR_USER ? 0 : -1;
}

/* ---- the end ---------------------------------------------------------------------------- */

static bool
attempt_is_over (void *context)
{
  return halt_check (context, NULL) != 0;
}

/* Takes the attempt to where the result is kept. Its outputs aren't needed here any more. */
static int
send_away (struct attempt_run *run, struct error *err)
{
  const struct job *job = run->attempt->job;
  const struct workplace *workplace = &run->workplace;
  struct patience patience = { .doing = "sending the outputs",
                               .option = "--collect-timeout",
                               .grace_ms = ATTEMPT_CANCEL_SEND_MS };
  struct halt halt = patience_halt (&patience);
  if (!result_is_remote (job->results))
    return 0;
  start_patience (run, &patience, job->collect_timeout_ms, ATTEMPT_COLLECT_MS);
  auto_result_store struct result_store *store =
      result_store_open (job->results, job->credentials, err);
  int result = store == NULL ? -1
                             : result_store_send (store, workplace->folder_fd, workplace->folder,
                                                  workplace->name, attempt_is_over, &halt, err);
  run->order = patience.order;
  if (result == 0)
    return fs_remove_tree (workplace->folder_fd, "outputs", err);
  run->cut_short = patience.late || patience.stopped;
  if (patience.late)
    set_late (run->report, &patience);
  else if (patience.stopped)
    set_outcome (run->report, OUTCOME_CANCELLED, "cancelled");
  return -1;
}

static int
complete (struct attempt_run *run, struct error *err)
{
  struct attempt_report *report = run->report;
  if (collect (run, err) != 0)
    return -1;
  report->ended = clock_wall_ms ();
  report->folder = xstrdup (run->workplace.name);
  if (record_write (run->workplace.folder_fd, run->attempt, report, err) != 0
      || send_away (run, err) != 0)
    return -1;
  return workplace_keep (&run->workplace, err);
}

/* Completes the folder and gives it its place. Where that fails the attempt counts as ours to
 * repeat, also one that had failed: what its command printed would be lost. */
static int
attempt_keep (struct attempt_run *run, struct error *err)
{
  if (complete (run, err) == 0)
    return 0;
  free (take (&run->report->folder));
  if (run->report->outcome != OUTCOME_CANCELLED && !run->cut_short)
    set_outcome (run->report, OUTCOME_INFRA, err->message);
  return -1;
}

/* Nothing is kept of the attempt, because of ERR or because it was killed. */
static void
attempt_discard (struct attempt_run *run, const struct error *err)
{
  struct attempt_report *report = run->report;
  workplace_discard (&run->workplace);
  report->files_out = report->bytes_out = 0;
  report->ended = clock_wall_ms ();
  if (report->outcome == OUTCOME_SUCCEEDED)
    set_outcome (report, OUTCOME_INFRA, err->message);
}

void
attempt_run (const struct attempt *attempt, struct attempt_report *report)
{
  struct error err = ERROR_INIT;
  struct attempt_run run = { .attempt = attempt,
                             .report = report,
                             .workplace = WORKPLACE_INIT,
                             .captures = { CAPTURE_INIT, CAPTURE_INIT } };
  init_report (report);
  bool kept = false;
  if (open_workplace (&run, &err) != 0)
    set_failure (report, &err);
  else if (make_mounts (&run, &err) != 0 || !may_go (&run))
    kept = run.order != ATTEMPT_KILL && attempt_keep (&run, &err) == 0;
  else if (run_container (&run, &err) == 0)
    kept = attempt_keep (&run, &err) == 0;
  if (!kept)
    attempt_discard (&run, &err);
  mounts_release (&run.mounts);
  capture_release (&run.captures[0]);
  capture_release (&run.captures[1]);
  workplace_release (&run.workplace);
}
