/* shoal status: counts, rate, time left, the failing shards with their reasons. */
#include "cli/commands.h"
#include "cli/json_text.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "cli/steer.h"
#include "cli/summary.h"
#include "cli/words.h"
#include "common/memory.h"
#include "common/text.h"
#include "common/units.h"
#include "merger/status_json.h"
#include "result/result.h"

#include <stdio.h>

struct status_args
{
  bool json;
  bool shards;
};

static int
status_set_json (void *context, const char *value, struct error *err)
{
  (void) value;
  (void) err;
  ((struct status_args *) context)->json = true;
  return 0;
}

static int
status_set_shards (void *context, const char *value, struct error *err)
{
  (void) value;
  (void) err;
  ((struct status_args *) context)->shards = true;
  return 0;
}

static const struct option_spec status_options[] = {
  { 0, "json", NULL, NULL, "print JSON: one object, or one per line with --shards", GROUP_OTHER,
    false, status_set_json },
  { 0, "shards", NULL, NULL, "print one line per shard", GROUP_OTHER, false, status_set_shards },
  { 0 },
};

/* ---- one shard -------------------------------------------------------------------------- */

static const char *
state_name (const struct shard_record *record, bool attended)
{
  static const char *const names[] = { "waiting", "running", "succeeded", "failed" };
  if (record->state == SHARD_FAILED && record->outcome == OUTCOME_CANCELLED)
    return "cancelled";
  /* Whoever ran it is gone. */
  bool lost = record->state == SHARD_RUNNING && !attended;
  return names[lost ? SHARD_WAITING : record->state];
}

static void
print_shard (const struct counters *counters, enum shard_kind kind, uint32_t index, bool attended,
             bool json)
{
  const struct shard_record *record =
      kind == SHARD_REDUCE ? fold_reduce (counters->fold) : fold_shard (counters->fold, index);
  const char *state = state_name (record, attended);
  const struct counters_failure *failure =
      record->state == SHARD_FAILED ? counters_failure_of (counters, kind, index) : NULL;
  const char *reason = failure == NULL ? NULL : failure->report.reason;
  bool ran = shard_attempts (record) > 0;
  if (json)
    {
      json_t *object = json_object ();
      if (kind == SHARD_REDUCE)
        (void) json_object_set_new (object, "reduce", json_true ());
      else
        json_set_number (object, "shard", index);
      json_set_text (object, "state", state);
      json_set_number (object, "generation", record->generation);
      json_set_number (object, "attempts", shard_attempts (record));
      if (ran)
        {
          json_set_text (object, "outcome", outcome_name ((enum outcome) record->outcome));
          (void) json_object_set_new (object, "exit_code", json_integer (record->exit_code));
        }
      json_set_text (object, "reason", reason);
      json_put_line (object, stdout);
      return;
    }
  auto_free char *text = text_shown (reason);
  auto_free char *exit_code = ran ? xasprintf ("%d", record->exit_code) : xstrdup ("-");
  auto_free char *name = kind == SHARD_REDUCE ? xstrdup ("reduce") : xasprintf ("%u", index);
  (void) printf ("%s\t%s\t%u\t%s\t%s\t%s\n", name, state, shard_attempts (record),
                 ran ? outcome_name ((enum outcome) record->outcome) : "-", exit_code, text);
}

static void
print_shards (const struct counters *counters, bool attended, bool json)
{
  if (!json)
    (void) puts ("shard\tstate\tattempts\toutcome\texit\treason");
  for (uint32_t i = 0; i < fold_known (counters->fold); i++)
    print_shard (counters, SHARD_MAP, i, attended, json);
  if (fold_reduce (counters->fold) != NULL)
    print_shard (counters, SHARD_REDUCE, 0, attended, json);
}

/* ---- the job ---------------------------------------------------------------------------- */

static json_t *
failures_json (const struct counters *counters)
{
  json_t *array = json_array ();
  for (size_t i = 0; i < counters->failure_count; i++)
    {
      const struct counters_failure *failure = &counters->failures[i];
      json_t *object = json_object ();
      if (failure->kind == SHARD_REDUCE)
        (void) json_object_set_new (object, "reduce", json_true ());
      else
        json_set_number (object, "shard", failure->index);
      json_set_number (object, "attempts", failure->attempts);
      json_set_text (object, "outcome", outcome_name (failure->report.outcome));
      (void) json_object_set_new (object, "exit_code", json_integer (failure->report.exit_code));
      json_set_text (object, "reason", failure->report.reason);
      (void) json_array_append_new (array, object);
    }
  return array;
}

static void
print_json (const struct session *session, const struct counters *counters,
            const struct job_status *status, const struct job_settings *settings,
            const char *folder, const char *trouble)
{
  const struct job_status *counts = &counters->counts;
  bool ended = job_state_is_terminal (status->state);
  json_t *object = json_object ();
  json_set_text (object, "job", session->job.id);
  json_set_text (object, "state", job_state_name (status->state));
  json_set_text (object, "reason", status->reason);
  json_set_text (object, "queue", session->fleet ? session->job.queue : NULL);
  if (settings != NULL && !ended)
    status_json_set_settings (object, settings);
  json_set_text (object, "trouble", trouble);
  json_set_text (object, "webhook", status->webhook);
  json_set_number (object, "process", session_owner (session) > 0 ? session_owner (session) : -1);
  json_set_number (object, "shards", counts->shards);
  json_set_number (object, "succeeded", counts->succeeded);
  json_set_number (object, "failed", counts->failed);
  json_set_number (object, "running", counts->running);
  json_set_number (object, "atoms", counts->atoms);
  json_set_number (object, "atoms_done", counts->atoms_done);
  json_set_number (object, "attempts", counters->attempts);
  json_set_number (object, "generation", counts->generation);
  if (counters_rate (counters) > 0 && (ended || session_is_attended (session)))
    (void) json_object_set_new (object, "rate", json_real (counters_rate (counters)));
  if (!ended && session_is_attended (session))
    json_set_number (object, "left_ms", counters_left (counters));
  (void) json_object_set_new (object, "failures", failures_json (counters));
  json_set_text (object, "result", folder);
  json_put_line (object, stdout);
}

/* Why a job of a fleet doesn't get on: what its merger says, or "no worker serves queue gpu since
 * …". NULL: nothing is known. The caller frees. */
static char *
trouble_of (const struct session *session, const struct job_status *status, struct error *err)
{
  int64_t since = 0;
  if (!session->fleet || job_state_is_terminal (status->state))
    return NULL;
  if (status->reason != NULL)
    return xstrdup (status->reason);
  if (bus_queue_served (session->bus, session->job.queue, &since, err)
      != 0) /* or nobody can tell */
    return NULL;
  if (since == 0)
    return xasprintf ("no worker has served queue %s so far", session->job.queue);
  auto_free char *time = words_time (since);
  return xasprintf ("no worker has served queue %s since %s", session->job.queue, time);
}

static void
print_running (const struct session *session, const struct counters *counters,
               const struct job_settings *settings, const char *folder, const char *trouble)
{
  pid_t owner = session_owner (session);
  auto_free char *line = progress_line (counters, session_is_attended (session));
  auto_free char *id = text_shown (session->job.id);
  auto_free char *shown = text_shown (folder);
  if (session->fleet)
    (void) printf ("job %s is %s\n", id,
                   fold_planned (counters->fold) || counters->ran ? "running"
                                                                  : "waiting for a producer");
  else if (owner > 0)
    (void) printf ("job %s is running (process %d)\n", id, (int) owner);
  else
    (void) printf ("job %s is unfinished and not running\n", id);
  auto_free char *set = settings == NULL ? NULL : steer_words (settings);
  if (set != NULL)
    (void) printf ("  set       %s\n", set);
  (void) printf ("  progress  %s\n", line);
  auto_free char *why = text_shown (trouble);
  if (trouble != NULL)
    (void) printf ("  trouble   %s\n", why);
  if (counters->failure_count > 0)
    {
      (void) puts ("  failed");
      summary_failures (stdout, session, counters);
    }
  (void) printf ("  result    %s\n", shown);
  auto_free char *location = text_word (session->location);
  if (!session_is_attended (session))
    (void) printf ("  next      shoal resume %s\n", location);
}

static int
status_run (int argc, char **argv, struct error *err)
{
  struct status_args args = { 0 };
  auto_bus_args struct bus_args bus;
  bus_args_init (&bus);
  const struct option_set sets[] = { { status_options, &args }, { bus_options, &bus } };
  int first = options_operands (sets, 2, argc, argv, 1, 1, command_status.synopsis, err);
  if (first < 0)
    return first;
  auto_session struct session session = SESSION_READER;
  auto_counters struct counters counters = { 0 };
  auto_job_status struct job_status status = { 0 };
  if (bus_args_finish (&bus, err) != 0 || session_open (&session, argv[first], &bus, err) != 0
      || summary_read (&session, &counters, err) != 0
      || session_status (&session, &status, err) != 0)
    return -1;
  auto_free char *folder =
      session.folder_fd < 0 ? xstrdup (session.location) : result_shown (session.location, err);
  if (folder == NULL)
    return -1;
  auto_free char *trouble = trouble_of (&session, &status, err);
  if (error_is_set (err))
    return -1;
  auto_settings struct settings *known = steer_known (session.bus);
  struct job_settings settings = { 0 };
  if (known != NULL)
    settings = settings_of (known, &session.job);
  if (!session_is_attended (&session)) /* whoever ran them is gone */
    counters.counts.running = 0;
  if (args.shards)
    print_shards (&counters, session_is_attended (&session), args.json);
  else if (args.json)
    print_json (&session, &counters, &status, known == NULL ? NULL : &settings, folder, trouble);
  else if (job_state_is_terminal (status.state))
    summary_print (stdout, &session, &counters, &status);
  else
    print_running (&session, &counters, known == NULL ? NULL : &settings, folder, trouble);
  return EXIT_DONE;
}

const struct command command_status = {
  .name = "status",
  .synopsis = "status [--json] [--shards] RESULT|JOB",
  .summary = "print progress, rate, time left and failing shards",
  .help = "Columns of --shards: shard (\"reduce\" for the reduce container), state, attempts, "
          "outcome,\n"
          "exit code, reason.\n"
          "\n"
          "  shoal status resized\n"
          "  shoal status --bus kafka://broker:9092 resize-2019\n",
  .options = { status_options, bus_options },
  .run = status_run,
};
