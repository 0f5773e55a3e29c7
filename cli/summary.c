#include "cli/summary.h"

#include "cli/command.h"
#include "cli/failed_inputs.h"
#include "cli/log_tail.h"
#include "cli/words.h"
#include "common/memory.h"
#include "common/text.h"
#include "common/units.h"
#include "result/result.h"

#include <string.h>

enum
{
  REASONS_MAX = 6, /* lines of failures */
  NUMBERS_MAX = 8, /* shards named in one */
  NAMED_MAX = 8,   /* inputs that failed alone */
};

int
summary_exit_code (const struct counters *counters, const struct job_status *status)
{
  switch (status->state)
    {
    case JOB_SUCCEEDED:
    case JOB_PARTIAL:
      return EXIT_DONE;
    case JOB_CONFLICT:
      return EXIT_CONFLICT;
    case JOB_FAILED:
      if (status->class_name != NULL)
        return strcmp (status->class_name, error_class_name (ERROR_USER)) == 0 ? EXIT_USAGE
                                                                               : EXIT_MACHINE;
      return counters_only_infra (counters) ? EXIT_MACHINE : EXIT_JOB_FAILED;
    case JOB_CANCELLED:
    case JOB_QUEUED:
    case JOB_RUNNING:
    case JOB_MERGING:
      break;
    }
  return EXIT_JOB_FAILED;
}

static void
apply_to_counters (void *context, const struct event *event)
{
  counters_apply (context, event);
}

int
summary_read (const struct session *session, struct counters *counters, struct error *err)
{
  counters_init (counters, &session->job);
  return session_each_event (session, apply_to_counters, counters, err);
}

/* ---- failures --------------------------------------------------------------------------- */

static const char *
summary_reason_of (const struct counters_failure *failure)
{
  const char *reason = failure->report.reason;
  return reason != NULL && reason[0] != '\0' ? reason : outcome_name (failure->report.outcome);
}

static int
summary_by_number (const void *left, const void *right)
{
  uint32_t a = *(const uint32_t *) left;
  uint32_t b = *(const uint32_t *) right;
  return a > b ? 1 : a < b ? -1 : 0;
}

/* The line of those that failed as counters->failures[FIRST] did. */
static void
print_reason (FILE *out, const struct counters *counters, size_t first)
{
  const char *reason = summary_reason_of (&counters->failures[first]);
  auto_free char *text = text_shown (reason);
  if (counters->failures[first].kind == SHARD_REDUCE)
    {
      (void) fprintf (out, "            reduce: %s\n", text);
      return;
    }
  size_t count = 0;
  auto_free uint32_t *numbers = xcalloc (counters->failure_count, sizeof *numbers);
  for (size_t i = first; i < counters->failure_count; i++)
    if (counters->failures[i].kind == SHARD_MAP
        && strcmp (summary_reason_of (&counters->failures[i]), reason) == 0)
      numbers[count++] = counters->failures[i].index;
  qsort (numbers, count, sizeof *numbers, summary_by_number);
  (void) fprintf (out, "            shard%s ", count == 1 ? "" : "s");
  for (size_t i = 0; i < count && i < NUMBERS_MAX; i++)
    (void) fprintf (out, "%s%u", i > 0 ? ", " : "", numbers[i]);
  if (count > NUMBERS_MAX)
    (void) fprintf (out, " and %zu more", count - NUMBERS_MAX);
  (void) fprintf (out, ": %s\n", text);
}

static bool
is_first_of_its_reason (const struct counters *counters, size_t at)
{
  for (size_t i = 0; i < at; i++)
    if (counters->failures[i].kind == counters->failures[at].kind
        && strcmp (summary_reason_of (&counters->failures[i]),
                   summary_reason_of (&counters->failures[at]))
               == 0)
      return false;
  return true;
}

/* What the first of those lines' shard said last. */
static void
print_tail (FILE *out, const struct session *session, const struct counters *counters, size_t at)
{
  const struct counters_failure *failure = &counters->failures[at];
  auto_free char *tail = log_tail_of (session, counters, failure);
  if (tail == NULL)
    return;
  if (failure->kind == SHARD_REDUCE)
    (void) fprintf (out, "              stderr: %s\n", tail);
  else
    (void) fprintf (out, "              stderr of shard %u: %s\n", failure->index, tail);
}

void
summary_failures (FILE *out, const struct session *session, const struct counters *counters)
{
  int printed = 0;
  for (size_t i = 0; i < counters->failure_count; i++)
    {
      if (!is_first_of_its_reason (counters, i))
        continue;
      if (printed++ == REASONS_MAX)
        {
          (void) fputs ("            … `shoal status --shards` lists all\n", out);
          return;
        }
      print_reason (out, counters, i);
      print_tail (out, session, counters, i);
    }
}

/* ---- the screen ------------------------------------------------------------------------- */

static void
print_counts (FILE *out, const struct counters *counters)
{
  const struct job_status *counts = &counters->counts;
  int64_t shards = counts->shards >= 0 ? counts->shards : fold_known (counters->fold);
  char a[WORDS_COUNT_SIZE];
  char b[WORDS_COUNT_SIZE];
  if (counts->shards < 0 && shards == 0)
    {
      (void) fputs ("  shards    not planned\n", out);
      return;
    }
  (void) fprintf (out, "  shards    %s of %s succeeded", words_count (counts->succeeded, a),
                  words_count (shards, b));
  if (counts->failed > 0)
    (void) fprintf (out, ", %s failed", words_count (counts->failed, a));
  int64_t rest = shards - counts->succeeded - counts->failed;
  if (rest > 0)
    (void) fprintf (out, ", %s not run", words_count (rest, a));
  if (counters->retries > 0)
    {
      auto_free char *retries = words_plural (counters->retries, "attempt");
      (void) fprintf (out, " (%s retried)", retries);
    }
  (void) fputc ('\n', out);
  if (counts->atoms > 0)
    (void) fprintf (out, "  files     %s of %s\n", words_count (counts->atoms_done, a),
                    words_count (counts->atoms, b));
}

/* Inputs whose shards had no other. *SEVERAL: whether shards failed that have more. */
static int64_t
print_failed_alone (FILE *out, const struct session *session, const struct counters *counters,
                    bool *several)
{
  auto_strlist struct strlist paths = { 0 };
  int64_t alone = session->fleet
                      ? 0
                      : failed_inputs_alone (session, counters, NAMED_MAX, &paths, several, NULL);
  if (alone <= 0)
    return 0;
  auto_free char *inputs = words_plural (alone, "input");
  (void) fprintf (out, "  inputs    %s failed alone: ", inputs);
  for (size_t i = 0; i < paths.count; i++)
    {
      auto_free char *path = text_shown (paths.items[i]);
      (void) fprintf (out, "%s%s", i == 0 ? "" : ", ", path);
    }
  (void) fputs (alone > NAMED_MAX ? " …\n" : "\n", out);
  return alone;
}

static void
print_next (FILE *out, const struct session *session, const struct counters *counters,
            const struct job_status *status, int64_t alone, bool several)
{
  auto_free char *location = text_word (session_name (session));
  if (status->state == JOB_CONFLICT)
    (void) fprintf (out, "  next      shoal merge %s --on-conflict first|last|rename|concat\n",
                    location);
  else if (counters->counts.failed > 0 || counters->failure_count > 0)
    (void) fprintf (out,
                    "  next      shoal logs %s --failed\n"
                    "            shoal retry %s --failed%s\n",
                    location, location,
                    several     ? ", or --split: in smaller shards"
                    : alone > 0 ? ", or --quarantine: without these inputs"
                                : "");
  else if (status->state == JOB_CANCELLED && counters->counts.shards < 0)
    (void) fputs ("  next      submit the job again, with another --id and --results\n", out);
  else if (status->state == JOB_CANCELLED)
    (void) fprintf (out, "  next      `shoal retry %s` runs the rest\n", location);
}

void
summary_print (FILE *out, const struct session *session, const struct counters *counters,
               const struct job_status *status)
{
  auto_free char *folder = result_shown (session->location, NULL);
  char text[UNITS_TEXT_SIZE];
  auto_free char *id = text_shown (session->job.id);
  (void) fprintf (out, "shoal: job %s %s", id, job_state_name (status->state));
  int64_t elapsed = counters_elapsed (counters);
  if (elapsed >= 0)
    (void) fprintf (out, " in %s", units_format_duration (elapsed, text));
  if (status->reason != NULL)
    {
      auto_free char *reason = text_shown (status->reason);
      (void) fprintf (out, ": %s", reason);
    }
  (void) fputc ('\n', out);
  print_counts (out, counters);
  if (counters->failure_count > 0)
    {
      (void) fputs ("  failed\n", out);
      summary_failures (out, session, counters);
    }
  bool several = false;
  int64_t alone =
      counters->failure_count == 0 ? 0 : print_failed_alone (out, session, counters, &several);
  if (fold_left_out (counters->fold) != NULL)
    {
      auto_free char *left_out = text_shown (fold_left_out (counters->fold));
      (void) fprintf (out, "  left out  %s\n", left_out);
    }
  if (counters->linking > 0)
    {
      auto_free char *links = text_shown (counters->first_links);
      (void) fprintf (out, "  links     %s", links);
      auto_free char *more = words_plural (counters->linking - 1, "more attempt");
      if (counters->linking > 1)
        (void) fprintf (out, ", and %s", more);
      (void) fputc ('\n', out);
    }
  auto_free char *location = text_shown (folder != NULL           ? folder
                                         : status->result != NULL ? status->result
                                                                  : session->location);
  (void) fprintf (out, "  result    %s\n", location);
  print_next (out, session, counters, status, alone, several);
}

int
summary_tell (const struct session *session, const struct counters *counters,
              const struct job_status *status, bool quiet)
{
  int code = summary_exit_code (counters, status);
  if (!quiet || code != EXIT_DONE)
    summary_print (stderr, session, counters, status);
  return code;
}
