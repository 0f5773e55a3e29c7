#include "cli/counters.h"

#include "cli/words.h"
#include "common/memory.h"
#include "common/text.h"

#include <string.h>

void
counters_init (struct counters *counters, const struct job *job)
{
  *counters = (struct counters){ .fold = fold_new () };
  for (size_t i = 0; job != NULL && i < job->volume_count; i++)
    counters->fetches |= job->volumes[i].source[0] != '/';
  fold_fill_status (counters->fold, &counters->counts);
}

static void
release_failure (struct counters_failure *failure)
{
  attempt_report_release (&failure->report);
}

void
counters_release (struct counters *counters)
{
  for (size_t i = 0; i < counters->failure_count; i++)
    release_failure (&counters->failures[i]);
  free (counters->failures);
  free (counters->last_failure);
  free (counters->first_links);
  free (counters->pauses);
  free (counters->last_writer);
  fold_free (counters->fold);
  *counters = (struct counters){ 0 };
}

/* ---- failures --------------------------------------------------------------------------- */

static void
keep_failure (struct counters *counters, const struct event *event, uint32_t attempts)
{
  counters->failures =
      xrealloc (counters->failures, counters->failure_count + 1, sizeof *counters->failures);
  struct counters_failure *failure = &counters->failures[counters->failure_count++];
  *failure = (struct counters_failure){
    .index = event->index, .kind = event->shard_kind, .attempts = attempts, .report = event->report
  };
  failure->report.folder = xstrdup (event->report.folder);
  failure->report.reason = xstrdup (event->report.reason);
}

/* NULL: a reduce shard that was never heard of. */
static const struct shard_record *
record_of (const struct counters *counters, enum shard_kind kind, uint32_t index)
{
  return kind == SHARD_REDUCE ? fold_reduce (counters->fold) : fold_shard (counters->fold, index);
}

/* Drops the failures of shards that aren't failed any more. */
static void
drop_stale_failures (struct counters *counters)
{
  size_t kept = 0;
  for (size_t i = 0; i < counters->failure_count; i++)
    {
      struct counters_failure *failure = &counters->failures[i];
      const struct shard_record *record = record_of (counters, failure->kind, failure->index);
      if (record != NULL && record->state == SHARD_FAILED)
        counters->failures[kept++] = *failure;
      else
        release_failure (failure);
    }
  counters->failure_count = kept;
}

char *
counters_describe (const struct counters_failure *failure)
{
  const struct attempt_report *report = &failure->report;
  auto_free char *reason = text_shown (report->reason != NULL && report->reason[0] != '\0'
                                           ? report->reason
                                           : outcome_name (report->outcome));
  return failure->kind == SHARD_REDUCE ? xasprintf ("the reduce container: %s", reason)
                                       : xasprintf ("shard %u: %s", failure->index, reason);
}

const struct counters_failure *
counters_failure_of (const struct counters *counters, enum shard_kind kind, uint32_t index)
{
  for (size_t i = 0; i < counters->failure_count; i++)
    if (counters->failures[i].kind == kind
        && (kind == SHARD_REDUCE || counters->failures[i].index == index))
      return &counters->failures[i];
  return NULL;
}

bool
counters_only_infra (const struct counters *counters)
{
  for (size_t i = 0; i < counters->failure_count; i++)
    if (counters->failures[i].report.outcome != OUTCOME_INFRA)
      return false;
  return counters->failure_count > 0;
}

/* ---- events ----------------------------------------------------------------------------- */

/* What comes in is told beside the events: between an attempt's last byte and the event of its end
 * the sum would go down. */
static void
counters_set_bytes (struct counters *counters, int64_t bytes)
{
  counters->bytes_seen = bytes > counters->bytes_seen ? bytes : counters->bytes_seen;
}

void
counters_coming (struct counters *counters, int64_t bytes, int64_t now)
{
  counters->bytes_coming = bytes;
  counters->coming_at = now;
  counters_set_bytes (counters, counters->bytes_in + bytes);
}

/* An attempt ran from STARTED to ENDED: what was taken for a pause meanwhile was none. */
static void
trim_pauses (struct counters *counters, int64_t started, int64_t ended)
{
  for (size_t i = counters->pause_count; i > 0; i--)
    {
      struct counters_pause *pause = &counters->pauses[i - 1];
      if (started >= pause->end)
        return;
      if (ended <= pause->begin)
        continue;
      if (started > pause->begin)
        pause->end = started;
      else
        pause->begin = ended < pause->end ? ended : pause->end;
    }
}

/* Nobody worked between two attempts when another process ran the second one, or the job was opened
 * again between them. */
static void
counters_add_work (struct counters *counters, const struct event *event)
{
  const struct attempt_report *report = &event->report;
  /* What was taken over from an earlier run took its time there. */
  if (!counters->ran || report->started <= 0 || report->ended < report->started)
    return;
  trim_pauses (counters, report->started, report->ended);
  bool same = counters->last_writer != NULL && text_same (counters->last_writer, event->writer);
  if (counters->last_end > 0 && report->started > counters->last_end && !same)
    {
      counters->pauses =
          xrealloc (counters->pauses, counters->pause_count + 1, sizeof *counters->pauses);
      counters->pauses[counters->pause_count++] =
          (struct counters_pause){ .begin = counters->last_end, .end = report->started };
    }
  if (report->ended > counters->last_end)
    counters->last_end = report->ended;
  if (counters->first_start == 0 || report->started < counters->first_start)
    counters->first_start = report->started;
  free (counters->last_writer);
  counters->last_writer = event->writer == NULL ? NULL : xstrdup (event->writer);
}

int64_t
counters_paused (const struct counters *counters, int64_t time)
{
  int64_t paused = 0;
  for (size_t i = 0; i < counters->pause_count && counters->pauses[i].begin < time; i++)
    paused += (counters->pauses[i].end < time ? counters->pauses[i].end : time)
              - counters->pauses[i].begin;
  return paused;
}

int64_t
counters_elapsed (const struct counters *counters)
{
  if (counters->first_start == 0 || counters->last_end < counters->first_start)
    return -1;
  return counters->last_end - counters->first_start
         - counters_paused (counters, counters->last_end);
}

static void
counters_add_end (struct counters *counters, const struct event *event)
{
  const struct attempt_report *report = &event->report;
  counters->attempts++;
  counters->bytes_in += report->bytes_in > 0 ? report->bytes_in : 0;
  counters_set_bytes (counters, counters->bytes_in);
  if (!report->final && report->outcome != OUTCOME_SUCCEEDED)
    counters->retries++;
  counters_add_work (counters, event);
  if (report->outcome == OUTCOME_SUCCEEDED || report->final)
    {
      size_t at = counters->window_count++ % COUNTERS_WINDOW;
      counters->window[at].started = report->started;
      counters->window[at].ended = report->ended;
      counters->window[at].atoms = event->atoms;
      counters->window[at].succeeded = report->outcome == OUTCOME_SUCCEEDED;
      counters->window[at].bytes = report->bytes_in > 0 ? report->bytes_in : 0;
    }
  /* A success has a reason where its outputs have links that lead out of them. */
  if (report->outcome == OUTCOME_SUCCEEDED && report->reason != NULL && counters->linking++ == 0)
    counters->first_links =
        xasprintf ("%s %u: %s", event->shard_kind == SHARD_REDUCE ? "reduce" : "shard",
                   event->index, report->reason);
  if (report->outcome == OUTCOME_SUCCEEDED || report->outcome == OUTCOME_CANCELLED)
    return;
  const struct counters_failure failure = { .index = event->index,
                                            .kind = event->shard_kind,
                                            .report = *report };
  free (counters->last_failure);
  counters->last_failure = counters_describe (&failure);
}

void
counters_apply (struct counters *counters, const struct event *event)
{
  enum fold_change change = fold_apply (counters->fold, event);
  fold_fill_status (counters->fold, &counters->counts);
  if (event->kind == EVENT_STARTED)
    {
      counters->ran = true;
      if (counters->clock_start == 0)
        counters->clock_start = event->time;
    }
  if (change == FOLD_REOPENED)
    {
      drop_stale_failures (counters);
      free (counters->last_writer);
      counters->last_writer = NULL;
    }
  if (event->kind != EVENT_FINISHED || change == FOLD_NOTHING)
    return;
  counters_add_end (counters, event);
  /* What the shard is now says whether it failed, not what became of this attempt. */
  const struct shard_record *record = record_of (counters, event->shard_kind, event->index);
  if (record->state == SHARD_SUCCEEDED)
    drop_stale_failures (counters);
  else if (record->state == SHARD_FAILED && event->report.final
           && event->report.outcome != OUTCOME_CANCELLED)
    keep_failure (counters, event, shard_attempts (record));
}

/* ---- speed ------------------------------------------------------------------------------ */

void
counters_restart_clock (struct counters *counters)
{
  counters->window_count = 0;
  counters->clock_start = 0;
}

/* Atoms of what ended, or shards where there are no atoms. */
static int64_t
worth (const struct counters *counters, size_t at)
{
  return counters->counts.atoms == 0 ? 1 : counters->window[at].atoms;
}

static int64_t
worth_if_succeeded (const struct counters *counters, size_t at)
{
  return counters->window[at].succeeded ? worth (counters, at) : 0;
}

static int64_t
counters_bytes_of (const struct counters *counters, size_t at)
{
  return counters->window[at].bytes;
}

/* How much of what ended, by WORTH of each, and of MORE that is here at NOW (0: nothing), came a
 * second. */
static double
rate_of (const struct counters *counters,
         int64_t (*worth_of) (const struct counters *counters, size_t at), int64_t more,
         int64_t now)
{
  size_t count =
      counters->window_count < COUNTERS_WINDOW ? counters->window_count : COUNTERS_WINDOW;
  int64_t begin =
      more > 0 && count == 0 && counters->clock_start > 0 ? counters->clock_start : INT64_MAX;
  int64_t end = more > 0 ? now : 0;
  int64_t done = more;
  for (size_t i = 0; i < count; i++)
    {
      begin = counters->window[i].started < begin ? counters->window[i].started : begin;
      end = counters->window[i].ended > end ? counters->window[i].ended : end;
      done += worth_of (counters, i);
    }
  int64_t paused = counters_paused (counters, end) - counters_paused (counters, begin);
  return end - begin <= paused ? 0 : (double) done * 1000.0 / (double) (end - begin - paused);
}

double
counters_rate (const struct counters *counters)
{
  return rate_of (counters, worth_if_succeeded, 0, 0);
}

double
counters_bytes_rate (const struct counters *counters)
{
  return rate_of (counters, counters_bytes_of, counters->bytes_coming, counters->coming_at);
}

/* Of all shards that ended, also those that failed: they took their time as well. While the plan is
 * open: what is known of it is worth as much a shard as what was done. */
int64_t
counters_left (const struct counters *counters)
{
  const struct job_status *counts = &counters->counts;
  double rate = rate_of (counters, worth, 0, 0);
  int64_t settled = counts->succeeded + counts->failed;
  int64_t shards = counts->shards >= 0 ? counts->shards : fold_known (counters->fold);
  if (rate <= 0 || settled == 0 || settled >= shards || fold_cancelled (counters->fold))
    return -1;
  double left = (double) (shards - settled);
  if (counts->atoms > 0 && counts->shards > 0)
    left *= (double) counts->atoms / (double) counts->shards;
  else if (counts->atoms != 0)
    left *= (double) counts->atoms_done / (double) settled;
  return (int64_t) (left * 1000.0 / rate);
}
