#include "cli/tally.h"

#include "cli/words.h"
#include "common/memory.h"
#include "common/text.h"

#include <string.h>

void
tally_init (struct tally *tally, const struct job *job)
{
  *tally = (struct tally){ .fold = fold_new () };
  for (size_t i = 0; job != NULL && i < job->volume_count; i++)
    tally->fetches |= job->volumes[i].source[0] != '/';
  fold_fill_status (tally->fold, &tally->counts);
}

static void
release_failure (struct tally_failure *failure)
{
  attempt_report_release (&failure->report);
}

void
tally_release (struct tally *tally)
{
  for (size_t i = 0; i < tally->failure_count; i++)
    release_failure (&tally->failures[i]);
  free (tally->failures);
  free (tally->last_failure);
  fold_free (tally->fold);
  *tally = (struct tally){ 0 };
}

/* ---- failures --------------------------------------------------------------------------- */

static void
keep_failure (struct tally *tally, const struct event *event, uint32_t attempts)
{
  tally->failures = xrealloc (tally->failures, tally->failure_count + 1, sizeof *tally->failures);
  struct tally_failure *failure = &tally->failures[tally->failure_count++];
  *failure = (struct tally_failure){
    .index = event->index, .kind = event->shard_kind, .attempts = attempts, .report = event->report
  };
  failure->report.folder = xstrdup (event->report.folder);
  failure->report.reason = xstrdup (event->report.reason);
}

/* NULL: a reduce shard that was never heard of. */
static const struct shard_record *
record_of (const struct tally *tally, enum shard_kind kind, uint32_t index)
{
  return kind == SHARD_REDUCE ? fold_reduce (tally->fold) : fold_shard (tally->fold, index);
}

/* Drops the failures of shards that aren't failed any more. */
static void
drop_stale_failures (struct tally *tally)
{
  size_t kept = 0;
  for (size_t i = 0; i < tally->failure_count; i++)
    {
      struct tally_failure *failure = &tally->failures[i];
      const struct shard_record *record = record_of (tally, failure->kind, failure->index);
      if (record != NULL && record->state == SHARD_FAILED)
        tally->failures[kept++] = *failure;
      else
        release_failure (failure);
    }
  tally->failure_count = kept;
}

char *
tally_describe (const struct tally_failure *failure)
{
  const struct attempt_report *report = &failure->report;
  auto_free char *reason = text_shown (report->reason != NULL && report->reason[0] != '\0'
                                           ? report->reason
                                           : outcome_name (report->outcome));
  return failure->kind == SHARD_REDUCE ? xasprintf ("the reduce container: %s", reason)
                                       : xasprintf ("shard %u: %s", failure->index, reason);
}

bool
tally_only_infra (const struct tally *tally)
{
  for (size_t i = 0; i < tally->failure_count; i++)
    if (tally->failures[i].report.outcome != OUTCOME_INFRA)
      return false;
  return tally->failure_count > 0;
}

/* ---- events ----------------------------------------------------------------------------- */

/* What comes in is told beside the events: between an attempt's last byte and the event of its end
 * the sum would go down. */
static void
see_bytes (struct tally *tally, int64_t bytes)
{
  tally->bytes_seen = bytes > tally->bytes_seen ? bytes : tally->bytes_seen;
}

void
tally_coming (struct tally *tally, int64_t bytes, int64_t now)
{
  tally->bytes_coming = bytes;
  tally->coming_at = now;
  see_bytes (tally, tally->bytes_in + bytes);
}

static void
note_end (struct tally *tally, const struct event *event)
{
  const struct attempt_report *report = &event->report;
  tally->attempts++;
  tally->bytes_in += report->bytes_in > 0 ? report->bytes_in : 0;
  see_bytes (tally, tally->bytes_in);
  if (!report->final && report->outcome != OUTCOME_SUCCEEDED)
    tally->retries++;
  if (report->ended > tally->last_end)
    tally->last_end = report->ended;
  if (report->outcome == OUTCOME_SUCCEEDED || report->final)
    {
      size_t at = tally->window_count++ % TALLY_WINDOW;
      tally->window[at].started = report->started;
      tally->window[at].ended = report->ended;
      tally->window[at].atoms = event->atoms;
      tally->window[at].bytes = report->bytes_in > 0 ? report->bytes_in : 0;
    }
  if (report->outcome == OUTCOME_SUCCEEDED || report->outcome == OUTCOME_CANCELLED)
    return;
  const struct tally_failure failure = { .index = event->index,
                                         .kind = event->shard_kind,
                                         .report = *report };
  free (tally->last_failure);
  tally->last_failure = tally_describe (&failure);
}

void
tally_apply (struct tally *tally, const struct event *event)
{
  enum fold_change change = fold_apply (tally->fold, event);
  fold_fill_status (tally->fold, &tally->counts);
  if (event->kind == EVENT_STARTED)
    {
      tally->ran = true;
      if (tally->first_start == 0)
        tally->first_start = event->time;
      if (tally->clock_start == 0)
        tally->clock_start = event->time;
    }
  if (change == FOLD_REOPENED)
    drop_stale_failures (tally);
  if (event->kind != EVENT_FINISHED || change == FOLD_NOTHING)
    return;
  note_end (tally, event);
  /* What the shard is now says whether it failed, not what became of this attempt. */
  const struct shard_record *record = record_of (tally, event->shard_kind, event->index);
  if (record->state == SHARD_SUCCEEDED)
    drop_stale_failures (tally);
  else if (record->state == SHARD_FAILED && event->report.final
           && event->report.outcome != OUTCOME_CANCELLED)
    keep_failure (tally, event, shard_attempts (record));
}

/* ---- speed ------------------------------------------------------------------------------ */

void
tally_restart_clock (struct tally *tally)
{
  tally->window_count = 0;
  tally->clock_start = 0;
}

/* Atoms of what ended, or shards where there are no atoms. */
static int64_t
worth (const struct tally *tally, size_t at)
{
  return tally->counts.atoms == 0 ? 1 : tally->window[at].atoms;
}

static int64_t
bytes_of (const struct tally *tally, size_t at)
{
  return tally->window[at].bytes;
}

/* How much of what ended, by WORTH of each, and of MORE that is here at NOW (0: nothing), came a
 * second. */
static double
rate_of (const struct tally *tally, int64_t (*worth_of) (const struct tally *tally, size_t at),
         int64_t more, int64_t now)
{
  size_t count = tally->window_count < TALLY_WINDOW ? tally->window_count : TALLY_WINDOW;
  int64_t begin = more > 0 && count == 0 && tally->clock_start > 0 ? tally->clock_start : INT64_MAX;
  int64_t end = more > 0 ? now : 0;
  int64_t done = more;
  for (size_t i = 0; i < count; i++)
    {
      begin = tally->window[i].started < begin ? tally->window[i].started : begin;
      end = tally->window[i].ended > end ? tally->window[i].ended : end;
      done += worth_of (tally, i);
    }
  return end <= begin ? 0 : (double) done * 1000.0 / (double) (end - begin);
}

double
tally_rate (const struct tally *tally)
{
  return rate_of (tally, worth, 0, 0);
}

double
tally_bytes_rate (const struct tally *tally)
{
  return rate_of (tally, bytes_of, tally->bytes_coming, tally->coming_at);
}

/* While the plan is open: what is known of it is worth as much a shard as what was done. */
int64_t
tally_left (const struct tally *tally)
{
  const struct job_status *counts = &tally->counts;
  double rate = tally_rate (tally);
  int64_t settled = counts->succeeded + counts->failed;
  int64_t shards = counts->shards >= 0 ? counts->shards : fold_known (tally->fold);
  if (rate <= 0 || settled == 0)
    return -1;
  double left = (double) (shards - settled);
  if (counts->atoms > 0 && counts->shards > 0)
    left *= (double) counts->atoms / (double) counts->shards;
  else if (counts->atoms != 0)
    left *= (double) counts->atoms_done / (double) settled;
  return left < 0 ? 0 : (int64_t) (left * 1000.0 / rate);
}
