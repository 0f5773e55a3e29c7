#include "cli/progress.h"

#include "cli/json_text.h"
#include "cli/words.h"
#include "common/clock.h"
#include "common/memory.h"
#include "common/text.h"
#include "common/units.h"
#include "common/utf8.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

enum
{
  BAR_MS = 100,
  PLAIN_FIRST_MS = 2000,
  PLAIN_MS = 5000,
  BAR_WIDTH_MAX = 24,
  WIDTH_DEFAULT = 80,
};

struct progress
{
  enum progress_kind kind;
  int64_t next; /* boot ms of the next drawing */
  bool drawn;   /* the bar stands on the terminal */
  int64_t told; /* shards settled when the last line was printed */
};

struct progress *
progress_new (enum progress_kind kind)
{
  struct progress *progress = xcalloc (1, sizeof *progress);
  const char *terminal = getenv ("TERM");
  bool able = isatty (STDERR_FILENO) && terminal != NULL && strcmp (terminal, "dumb") != 0;
  progress->kind = kind != PROGRESS_AUTO ? kind : able ? PROGRESS_BAR : PROGRESS_PLAIN;
  progress->next = clock_boot_ms () + (progress->kind == PROGRESS_PLAIN ? PLAIN_FIRST_MS : 0);
  progress->told = -1;
  return progress;
}

void
progress_free (struct progress *progress)
{
  free (progress);
}

/* ---- text ------------------------------------------------------------------------------- */

static void
put_part (struct buffer *out, const char *text)
{
  buffer_printf (out, "%s%s", out->size > 0 ? ", " : "", text);
}

static void
put_counts (struct buffer *out, const struct counters *counters)
{
  const struct job_status *counts = &counters->counts;
  char a[WORDS_COUNT_SIZE];
  char b[WORDS_COUNT_SIZE];
  bool open = counts->shards < 0;
  int64_t all = open ? fold_known (counters->fold) : counts->shards;
  auto_free char *shards =
      xasprintf ("%s/%s%s shard%s", words_count (counts->succeeded, a), words_count (all, b),
                 open ? "+" : "", all == 1 && !open ? "" : "s");
  put_part (out, shards);
  if (counts->atoms > 0)
    {
      auto_free char *atoms =
          xasprintf ("%s/%s file%s", words_count (counts->atoms_done, a),
                     words_count (counts->atoms, b), counts->atoms == 1 ? "" : "s");
      put_part (out, atoms);
    }
  if (counts->failed > 0)
    {
      auto_free char *failed = xasprintf ("%s failed", words_count (counts->failed, a));
      put_part (out, failed);
    }
  auto_free char *running = xasprintf ("%s running", words_count (counts->running, a));
  put_part (out, running);
}

static void
put_speed (struct buffer *out, const struct counters *counters)
{
  double rate = counters_rate (counters);
  int64_t left = counters_left (counters);
  if (rate > 0)
    {
      auto_free char *speed = xasprintf (rate < 10 ? "%.1f %s/s" : "%.0f %s/s", rate,
                                         counters->counts.atoms == 0 ? "shards" : "files");
      put_part (out, speed);
    }
  if (counters->fetches && counters->bytes_seen > 0)
    {
      char bytes[UNITS_TEXT_SIZE];
      char each[UNITS_TEXT_SIZE];
      auto_free char *inputs =
          xasprintf ("%s in at %s/s", units_format_size (counters->bytes_seen, bytes),
                     units_format_size ((int64_t) counters_bytes_rate (counters), each));
      put_part (out, inputs);
    }
  if (left >= 0)
    {
      char text[UNITS_TEXT_SIZE];
      /* Less than a second of what is left is a guess. */
      auto_free char *eta = xasprintf ("%s%s left", counters->counts.shards < 0 ? ">= " : "",
                                       left < 1000 ? "1s" : units_format_duration (left, text));
      put_part (out, eta);
    }
}

char *
progress_line (const struct counters *counters, bool attended)
{
  struct buffer line = { 0 };
  put_counts (&line, counters);
  if (attended)
    put_speed (&line, counters);
  return buffer_take (&line);
}

/* Cuts TEXT to WIDTH code points. */
static void
progress_cut (struct buffer *text, size_t width)
{
  size_t points = 0;
  for (size_t i = 0; i < text->size; i++)
    if (!utf8_continues (text->data[i]) && points++ == width)
      {
        text->size = i;
        text->data[i] = '\0';
      }
}

void
progress_bar (const struct counters *counters, size_t width, struct buffer *first,
              struct buffer *second)
{
  const struct job_status *counts = &counters->counts;
  int64_t total = counts->shards >= 0 ? counts->shards : fold_known (counters->fold);
  int64_t settled = counts->succeeded + counts->failed;
  size_t length = width / 4 < BAR_WIDTH_MAX ? width / 4 : BAR_WIDTH_MAX;
  size_t filled = total == 0 ? 0 : (size_t) (settled * (int64_t) length / total);
  buffer_putc (first, '[');
  for (size_t i = 0; i < length; i++)
    buffer_putc (first, i < filled ? '#' : i == filled ? '>' : ' ');
  if (counts->shards > 0)
    buffer_printf (first, "] %3d%%  ", (int) (settled * 100 / total));
  else
    buffer_puts (first, "]   ?%  ");
  auto_buffer struct buffer parts = { 0 };
  put_counts (&parts, counters);
  buffer_puts (first, parts.data);
  put_speed (second, counters);
  if (counters->last_failure != NULL)
    buffer_printf (second, "%slast failure: %s", second->size > 0 ? ", " : "",
                   counters->last_failure);
  progress_cut (first, width);
  progress_cut (second, width);
}

/* ---- the bar on the terminal ------------------------------------------------------------ */

static size_t
terminal_width (void)
{
  struct winsize size = { 0 };
  if (ioctl (STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20)
    return WIDTH_DEFAULT - 1;
  return (size_t) size.ws_col - 1;
}

/* The cursor rests at the first line's start. */
static void
erase (struct progress *progress)
{
  if (progress->drawn)
    (void) fputs ("\r\033[J", stderr);
  progress->drawn = false;
}

static void
draw (struct progress *progress, const struct counters *counters)
{
  auto_buffer struct buffer first = { 0 };
  auto_buffer struct buffer second = { 0 };
  progress_bar (counters, terminal_width (), &first, &second);
  (void) fprintf (stderr, "\r\033[K%s\n\033[K%s\r\033[1A", first.data,
                  second.data == NULL ? "" : second.data);
  (void) fflush (stderr);
  progress->drawn = true;
}

void
progress_note (struct progress *progress, const char *line)
{
  auto_free char *shown = text_shown (line);
  erase (progress);
  (void) fprintf (stderr, "%s\n", shown);
  (void) fflush (stderr);
  if (progress->kind == PROGRESS_BAR)
    progress->next = 0;
}

void
progress_tick (struct progress *progress, const struct counters *counters)
{
  int64_t now = clock_boot_ms ();
  if (now < progress->next)
    return;
  if (progress->kind == PROGRESS_BAR)
    {
      draw (progress, counters);
      progress->next = now + BAR_MS;
    }
  else if (progress->kind == PROGRESS_PLAIN)
    {
      auto_free char *line = progress_line (counters, true);
      (void) fprintf (stderr, "%s%s%s\n", line,
                      counters->last_failure == NULL ? "" : ", last failure: ",
                      counters->last_failure == NULL ? "" : counters->last_failure);
      progress->next = now + PLAIN_MS;
      progress->told = counters->counts.succeeded + counters->counts.failed;
    }
}

/* ---- JSON ------------------------------------------------------------------------------- */

static void
put_json (json_t *object)
{
  json_put_line (object, stdout);
  (void) fflush (stdout);
}

static void
set_counts (json_t *object, const struct counters *counters)
{
  const struct job_status *counts = &counters->counts;
  json_set_number (object, "shards", counts->shards);
  json_set_number (object, "succeeded", counts->succeeded);
  json_set_number (object, "failed", counts->failed);
  json_set_number (object, "running", counts->running);
  json_set_number (object, "atoms", counts->atoms);
  json_set_number (object, "atoms_done", counts->atoms_done);
  json_set_number (object, "bytes_in", counters->bytes_in);
  json_set_number (object, "left_ms", counters_left (counters));
}

static void
set_report (json_t *object, const struct attempt_report *report)
{
  json_set_text (object, "outcome", outcome_name (report->outcome));
  (void) json_object_set_new (object, "final", json_boolean (report->final));
  (void) json_object_set_new (object, "exit_code", json_integer (report->exit_code));
  json_set_number (object, "signal", report->signal > 0 ? report->signal : -1);
  json_set_text (object, "reason", report->reason);
  json_set_number (object, "ms", report->ended - report->started);
}

void
progress_event (struct progress *progress, const struct counters *counters,
                const struct event *event)
{
  if (progress->kind != PROGRESS_JSON || event->kind == EVENT_UNKNOWN)
    return;
  json_t *object = json_object ();
  json_set_text (object, "event", event_kind_name (event->kind));
  json_set_number (object, "time", event->time);
  json_set_text (object, "job", event->job_id);
  if (event->kind == EVENT_STARTED || event->kind == EVENT_FINISHED)
    {
      if (event->shard_kind == SHARD_REDUCE)
        (void) json_object_set_new (object, "reduce", json_true ());
      json_set_number (object, "shard", event->index);
      json_set_number (object, "generation", event->generation);
      json_set_number (object, "attempt", event->attempt);
    }
  if (event->kind == EVENT_FINISHED)
    set_report (object, &event->report);
  json_set_text (object, "reason", event->reason);
  json_t *counts = json_object ();
  set_counts (counts, counters);
  (void) json_object_set_new (object, "counts", counts);
  put_json (object);
}

/* ---- the end ---------------------------------------------------------------------------- */

void
progress_finish (struct progress *progress, const struct counters *counters,
                 const struct job_status *status)
{
  erase (progress);
  bool any = fold_known (counters->fold) > 0;
  if (progress->kind == PROGRESS_PLAIN && any
      && progress->told != counters->counts.succeeded + counters->counts.failed)
    {
      progress->next = 0;
      progress_tick (progress, counters);
    }
  (void) fflush (stderr);
  if (progress->kind != PROGRESS_JSON)
    return;
  json_t *object = json_object ();
  json_set_text (object, "event", "done");
  json_set_text (object, "job", status->job_id);
  json_set_text (object, "state", job_state_name (status->state));
  json_set_text (object, "reason", status->reason);
  json_set_text (object, "result", status->result);
  json_t *counts = json_object ();
  set_counts (counts, counters);
  (void) json_object_set_new (object, "counts", counts);
  put_json (object);
}
