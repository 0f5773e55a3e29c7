#include "cli/summary.h"

#include "cli/command.h"
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
};

int
summary_exit_code (const struct tally *tally, const struct job_status *status)
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
      return tally_only_infra (tally) ? EXIT_MACHINE : EXIT_JOB_FAILED;
    case JOB_CANCELLED:
    case JOB_QUEUED:
    case JOB_RUNNING:
    case JOB_MERGING:
      break;
    }
  return EXIT_JOB_FAILED;
}

static void
apply_to_tally (void *context, const struct event *event)
{
  tally_apply (context, event);
}

int
summary_read (const struct session *session, struct tally *tally, struct error *err)
{
  tally_init (tally, &session->job);
  return session_each_event (session, apply_to_tally, tally, err);
}

/* ---- failures --------------------------------------------------------------------------- */

static const char *
reason_of (const struct tally_failure *failure)
{
  const char *reason = failure->report.reason;
  return reason != NULL && reason[0] != '\0' ? reason : outcome_name (failure->report.outcome);
}

static int
by_number (const void *left, const void *right)
{
  uint32_t a = *(const uint32_t *) left;
  uint32_t b = *(const uint32_t *) right;
  return a > b ? 1 : a < b ? -1 : 0;
}

/* The line of those that failed as tally->failures[FIRST] did. */
static void
print_reason (FILE *out, const struct tally *tally, size_t first)
{
  const char *reason = reason_of (&tally->failures[first]);
  auto_free char *text = text_shown (reason);
  if (tally->failures[first].kind == SHARD_REDUCE)
    {
      (void) fprintf (out, "            reduce: %s\n", text);
      return;
    }
  size_t count = 0;
  auto_free uint32_t *numbers = xcalloc (tally->failure_count, sizeof *numbers);
  for (size_t i = first; i < tally->failure_count; i++)
    if (tally->failures[i].kind == SHARD_MAP
        && strcmp (reason_of (&tally->failures[i]), reason) == 0)
      numbers[count++] = tally->failures[i].index;
  qsort (numbers, count, sizeof *numbers, by_number);
  (void) fprintf (out, "            shard%s ", count == 1 ? "" : "s");
  for (size_t i = 0; i < count && i < NUMBERS_MAX; i++)
    (void) fprintf (out, "%s%u", i > 0 ? ", " : "", numbers[i]);
  if (count > NUMBERS_MAX)
    (void) fprintf (out, " and %zu more", count - NUMBERS_MAX);
  (void) fprintf (out, ": %s\n", text);
}

static bool
is_first_of_its_reason (const struct tally *tally, size_t at)
{
  for (size_t i = 0; i < at; i++)
    if (tally->failures[i].kind == tally->failures[at].kind
        && strcmp (reason_of (&tally->failures[i]), reason_of (&tally->failures[at])) == 0)
      return false;
  return true;
}

void
summary_failures (FILE *out, const struct tally *tally)
{
  int printed = 0;
  for (size_t i = 0; i < tally->failure_count; i++)
    {
      if (!is_first_of_its_reason (tally, i))
        continue;
      if (printed++ == REASONS_MAX)
        {
          (void) fputs ("            … `shoal status --shards` lists all\n", out);
          return;
        }
      print_reason (out, tally, i);
    }
}

/* ---- the screen ------------------------------------------------------------------------- */

static void
print_counts (FILE *out, const struct tally *tally)
{
  const struct job_status *counts = &tally->counts;
  int64_t shards = counts->shards >= 0 ? counts->shards : fold_known (tally->fold);
  char a[WORDS_COUNT_SIZE];
  char b[WORDS_COUNT_SIZE];
  (void) fprintf (out, "  shards    %s of %s succeeded", words_count (counts->succeeded, a),
                  words_count (shards, b));
  if (counts->failed > 0)
    (void) fprintf (out, ", %s failed", words_count (counts->failed, a));
  int64_t rest = shards - counts->succeeded - counts->failed;
  if (rest > 0)
    (void) fprintf (out, ", %s not run", words_count (rest, a));
  if (tally->retries > 0)
    {
      auto_free char *retries = words_plural (tally->retries, "attempt");
      (void) fprintf (out, " (%s retried)", retries);
    }
  (void) fputc ('\n', out);
  if (counts->atoms > 0)
    (void) fprintf (out, "  files     %s of %s\n", words_count (counts->atoms_done, a),
                    words_count (counts->atoms, b));
}

static void
print_next (FILE *out, const struct session *session, const struct tally *tally,
            const struct job_status *status)
{
  auto_free char *place = text_word (session_name (session));
  if (status->state == JOB_CONFLICT)
    (void) fprintf (out, "  next      shoal merge %s --on-conflict first|last|rename|concat\n",
                    place);
  else if (tally->counts.failed > 0 || tally->failure_count > 0)
    (void) fprintf (out,
                    "  next      shoal logs %s --failed\n"
                    "            shoal retry %s --failed\n",
                    place, place);
  else if (status->state == JOB_CANCELLED)
    (void) fprintf (out, " next      `shoal retry %s` runs the rest\n", place);
}

void
summary_print (FILE *out, const struct session *session, const struct tally *tally,
               const struct job_status *status)
{
  auto_free char *folder = result_shown (session->place, NULL);
  char text[UNITS_TEXT_SIZE];
  auto_free char *id = text_shown (session->job.id);
  (void) fprintf (out, "shoal: job %s %s", id, job_state_name (status->state));
  if (tally->first_start > 0 && tally->last_end >= tally->first_start)
    (void) fprintf (out, " in %s",
                    units_format_duration (tally->last_end - tally->first_start, text));
  if (status->reason != NULL)
    {
      auto_free char *reason = text_shown (status->reason);
      (void) fprintf (out, ": %s", reason);
    }
  (void) fputc ('\n', out);
  print_counts (out, tally);
  if (tally->failure_count > 0)
    {
      (void) fputs ("  failed\n", out);
      summary_failures (out, tally);
    }
  if (fold_left_out (tally->fold) != NULL)
    {
      auto_free char *left_out = text_shown (fold_left_out (tally->fold));
      (void) fprintf (out, "  left out  %s\n", left_out);
    }
  auto_free char *place = text_shown (folder != NULL           ? folder
                                      : status->result != NULL ? status->result
                                                               : session->place);
  (void) fprintf (out, "  result    %s\n", place);
  print_next (out, session, tally, status);
}
