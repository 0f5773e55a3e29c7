#include "cli/progress.h"

#include "cli/json_text.h"
#include "cli/words.h"
#include "common/clock.h"
#include "common/memory.h"
#include "common/text.h"
#include "common/units.h"

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
put_counts (struct buffer *out, const struct tally *tally)
{
  const struct job_status *counts = &tally->counts;
  char a[WORDS_COUNT_SIZE];
  char b[WORDS_COUNT_SIZE];
  bool open = counts->shards < 0;
  auto_free char *shards = xasprintf (
      "%s/%s%s shards", words_count (counts->succeeded + counts->failed, a),
      words_count (open ? fold_known (tally->fold) : counts->shards, b), open ? "+" : "");
  put_part (out, shards);
  if (counts->atoms > 0)
    {
      auto_free char *atoms = xasprintf ("%s/%s files", words_count (counts->atoms_done, a),
                                         words_count (counts->atoms, b));
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
put_speed (struct buffer *out, const struct tally *tally)
{
  double rate = tally_rate (tally);
  int64_t left = tally_left (tally);
  if (rate > 0)
    {
      auto_free char *speed = xasprintf (rate < 10 ? "%.1f %s/s" : "%.0f %s/s", rate,
                                         tally->counts.atoms == 0 ? "shards" : "files");
      put_part (out, speed);
    }
  if (tally->fetches && tally->bytes_seen > 0)
    {
      char bytes[UNITS_TEXT_SIZE];
      char each[UNITS_TEXT_SIZE];
      auto_free char *inputs =
          xasprintf ("%s in at %s/s", units_format_size (tally->bytes_seen, bytes),
                     units_format_size ((int64_t) tally_bytes_rate (tally), each));
      put_part (out, inputs);
    }
  if (left >= 0)
    {
      char text[UNITS_TEXT_SIZE];
      auto_free char *eta = xasprintf ("%s%s left", tally->counts.shards < 0 ? ">= " : "",
                                       units_format_duration (left, text));
      put_part (out, eta);
    }
}

char *
progress_line (const struct tally *tally)
{
  struct buffer line = { 0 };
  put_counts (&line, tally);
  put_speed (&line, tally);
  return buffer_take (&line);
}

/* Cuts TEXT to WIDTH code points. */
static void
cut (struct buffer *text, size_t width)
{
  size_t points = 0;
  for (size_t i = 0; i < text->size; i++)
    if (((unsigned char) text->data[i] & 0xc0) != 0x80 && points++ == width)
      {
        text->size = i;
        text->data[i] = '\0';
      }
}

void
progress_bar (const struct tally *tally, size_t width, struct buffer *first, struct buffer *second)
{
  const struct job_status *counts = &tally->counts;
  int64_t total = counts->shards >= 0 ? counts->shards : fold_known (tally->fold);
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
  put_counts (&parts, tally);
  buffer_puts (first, parts.data);
  put_speed (second, tally);
  if (tally->last_failure != NULL)
    buffer_printf (second, "%slast failure: %s", second->size > 0 ? ", " : "", tally->last_failure);
  cut (first, width);
  cut (second, width);
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
draw (struct progress *progress, const struct tally *tally)
{
  auto_buffer struct buffer first = { 0 };
  auto_buffer struct buffer second = { 0 };
  progress_bar (tally, terminal_width (), &first, &second);
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
progress_tick (struct progress *progress, const struct tally *tally)
{
  int64_t now = clock_boot_ms ();
  if (now < progress->next)
    return;
  if (progress->kind == PROGRESS_BAR)
    {
      draw (progress, tally);
      progress->next = now + BAR_MS;
    }
  else if (progress->kind == PROGRESS_PLAIN)
    {
      auto_free char *line = progress_line (tally);
      (void) fprintf (stderr, "%s\n", line);
      progress->next = now + PLAIN_MS;
      progress->told = tally->counts.succeeded + tally->counts.failed;
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
set_counts (json_t *object, const struct tally *tally)
{
  const struct job_status *counts = &tally->counts;
  json_set_number (object, "shards", counts->shards);
  json_set_number (object, "succeeded", counts->succeeded);
  json_set_number (object, "failed", counts->failed);
  json_set_number (object, "running", counts->running);
  json_set_number (object, "atoms", counts->atoms);
  json_set_number (object, "atoms_done", counts->atoms_done);
  json_set_number (object, "bytes_in", tally->bytes_in);
  json_set_number (object, "left_ms", tally_left (tally));
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
progress_event (struct progress *progress, const struct tally *tally, const struct event *event)
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
  set_counts (counts, tally);
  (void) json_object_set_new (object, "counts", counts);
  put_json (object);
}

/* ---- the end ---------------------------------------------------------------------------- */

void
progress_finish (struct progress *progress, const struct tally *tally,
                 const struct job_status *status)
{
  erase (progress);
  bool any = fold_known (tally->fold) > 0;
  if (progress->kind == PROGRESS_PLAIN && any
      && progress->told != tally->counts.succeeded + tally->counts.failed)
    {
      progress->next = 0;
      progress_tick (progress, tally);
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
  set_counts (counts, tally);
  (void) json_object_set_new (object, "counts", counts);
  put_json (object);
}
