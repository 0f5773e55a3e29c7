#include "merger/report.h"

#include "common/clock.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/text.h"
#include "merger/manifest.h"

#include <stdlib.h>
#include <string.h>

enum
{
  SLOWEST = 20,
  FAILURES = 200,
  QUARANTINED = 200,
  BARS_MAX = 2000, /* shards drawn in the timeline */
  BUCKETS = 24,
  /* Durations are counted more finely than they are drawn: the longest isn't known before the
     end. */
  FINE = 64 * BUCKETS,
  CHART_WIDTH = 960,
  CHART_HEIGHT = 160,
};

/* What is kept of a shard for the timeline and the lists: plain numbers. */
struct span
{
  int64_t started;
  int64_t ended;
  uint32_t index;
  bool failed;
};

/* The first MOST of all that were added, in the order of COMPARE; the memory doesn't grow with the
 * shards. */
struct first_ones
{
  struct span *items; /* up to twice MOST */
  size_t count;
  size_t most;
  int (*compare) (const void *a, const void *b);
};

struct report
{
  const struct manifest *manifest;
  size_t count;
  int64_t last;    /* UTC ms: the latest end */
  int64_t longest; /* ms */
  struct first_ones earliest;
  struct first_ones slowest;
  uint32_t fine[FINE]; /* how many took FINE_MS × their number, ms, and less than the next */
  int64_t fine_ms;
  struct buffer failures; /* table rows */
  size_t failure_count;
};

static int64_t
duration (const struct span *span)
{
  return span->ended - span->started;
}

static int
by_start (const void *a, const void *b)
{
  const struct span *left = a;
  const struct span *right = b;
  return (left->started > right->started) - (left->started < right->started);
}

static int
by_duration (const void *a, const void *b)
{
  int64_t left = duration (a);
  int64_t right = duration (b);
  return (left < right) - (left > right);
}

/* ---- collecting ------------------------------------------------------------------------- */

static void
first_ones_init (struct first_ones *ones, size_t most, int (*compare) (const void *, const void *))
{
  *ones = (struct first_ones){ .items = xcalloc (2 * most, sizeof *ones->items),
                               .most = most,
                               .compare = compare };
}

static void
first_ones_sort (struct first_ones *ones)
{
  qsort (ones->items, ones->count, sizeof *ones->items, ones->compare);
  if (ones->count > ones->most)
    ones->count = ones->most;
}

static void
first_ones_add (struct first_ones *ones, const struct span *span)
{
  if (ones->count == 2 * ones->most)
    first_ones_sort (ones);
  ones->items[ones->count++] = *span;
}

static void
count_duration (struct report *report, int64_t ms)
{
  while (ms / report->fine_ms >= FINE)
    {
      for (size_t i = 0; i < FINE; i++)
        report->fine[i] = i < FINE / 2 ? report->fine[2 * i] + report->fine[2 * i + 1] : 0;
      report->fine_ms *= 2;
    }
  report->fine[ms / report->fine_ms]++;
}

struct report *
report_new (const struct manifest *manifest)
{
  struct report *report = xcalloc (1, sizeof *report);
  report->manifest = manifest;
  report->fine_ms = 1;
  first_ones_init (&report->earliest, BARS_MAX, by_start);
  first_ones_init (&report->slowest, SLOWEST, by_duration);
  return report;
}

void
report_free (struct report *report)
{
  if (report == NULL)
    return;
  free (report->earliest.items);
  free (report->slowest.items);
  buffer_release (&report->failures);
  free (report);
}

static bool
is_failed (const json_t *shard)
{
  const char *state = json_string_value (json_object_get (shard, "state"));
  return state != NULL && strcmp (state, "failed") == 0;
}

static void
add_failure (struct report *report, const char *name, const json_t *shard)
{
  if (report->failure_count++ >= FAILURES)
    return;
  const char *reason = json_string_value (json_object_get (shard, "reason"));
  const char *outcome = json_string_value (json_object_get (shard, "outcome"));
  buffer_printf (&report->failures, "<tr><td>%s</td><td>", name);
  text_put_html (&report->failures, outcome != NULL ? outcome : "");
  buffer_printf (&report->failures, "</td><td>%lld</td><td>",
                 (long long) json_integer_value (json_object_get (shard, "exit_code")));
  text_put_html (&report->failures, reason != NULL ? reason : "");
  buffer_puts (&report->failures, "</td></tr>\n");
}

void
report_add (struct report *report, uint32_t index, const json_t *shard)
{
  auto_free char *name = xasprintf ("%u", index);
  bool failed = is_failed (shard);
  if (failed)
    add_failure (report, name, shard);
  int64_t started = json_integer_value (json_object_get (shard, "started"));
  int64_t ended = json_integer_value (json_object_get (shard, "ended"));
  if (started <= 0 || ended < started)
    return;
  const struct span span = { .started = started, .ended = ended, .index = index, .failed = failed };
  report->count++;
  report->last = ended > report->last ? ended : report->last;
  report->longest = duration (&span) > report->longest ? duration (&span) : report->longest;
  first_ones_add (&report->earliest, &span);
  first_ones_add (&report->slowest, &span);
  count_duration (report, duration (&span));
}

void
report_add_reduce (struct report *report, const json_t *reduce)
{
  if (is_failed (reduce))
    add_failure (report, "reduce", reduce);
}

/* ---- parts ------------------------------------------------------------------------------ */

static void
report_put_quarantined (const struct job *job, struct buffer *out)
{
  size_t count = job->quarantined.count;
  if (count == 0)
    return;
  buffer_printf (out, "<h2>Quarantined inputs (%zu)</h2>\n<ul>\n", count);
  for (size_t i = 0; i < count && i < QUARANTINED; i++)
    {
      auto_free char *path = text_shown (job->quarantined.items[i]);
      buffer_puts (out, "<li><code>");
      text_put_html (out, path);
      buffer_puts (out, "</code></li>\n");
    }
  buffer_puts (out,
               count > QUARANTINED ? "<li>… quarantined.txt has all</li>\n</ul>\n" : "</ul>\n");
}

static void
report_put_head (const struct report *report, struct buffer *out)
{
  const struct job_status *status = report->manifest->status;
  const struct job *job = report->manifest->job;
  buffer_puts (out, "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>shoal: ");
  text_put_html (out, job->id);
  buffer_puts (out, "</title>\n<style>body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;"
                    "margin:2rem auto;padding:0 1rem;color:#1c2530}h1{font-size:1.4rem}"
                    "h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse}"
                    "td,th{padding:.15rem .9rem .15rem 0;text-align:left;vertical-align:top}"
                    "svg{width:100%;height:auto;background:#f4f6f8}.ok{fill:#3b82c4}"
                    ".bad{fill:#c43b3b}code{background:#f4f6f8}</style>\n<h1>Job ");
  text_put_html (out, job->id);
  buffer_printf (out, ": %s</h1>\n", job_state_name (status->state));
  if (status->reason != NULL)
    {
      buffer_puts (out, "<p>");
      text_put_html (out, status->reason);
      buffer_puts (out, "</p>\n");
    }
  if (fold_left_out (report->manifest->fold) != NULL)
    {
      buffer_puts (out, "<p>Left out of the inputs: ");
      text_put_html (out, fold_left_out (report->manifest->fold));
      buffer_puts (out, "</p>\n");
    }
  report_put_quarantined (job, out);
  buffer_puts (out, "<p><code>");
  text_put_html (out, job->image);
  for (size_t i = 0; i < job->command.count; i++)
    {
      buffer_putc (out, ' ');
      text_put_html (out, job->command.items[i]);
    }
  buffer_puts (out, "</code></p>\n");
  buffer_printf (out,
                 "<table><tr><th>shards</th><th>succeeded</th><th>failed</th><th>files in</th>"
                 "</tr><tr><td>%lld</td><td>%lld</td><td>%lld</td><td>%lld</td></tr></table>\n",
                 (long long) status->shards, (long long) status->succeeded,
                 (long long) status->failed, (long long) status->atoms);
}

static void
put_histogram (const struct report *report, struct buffer *out)
{
  int64_t longest = report->longest > 0 ? report->longest : 1;
  size_t buckets[BUCKETS] = { 0 };
  size_t highest = 1;
  for (int64_t i = 0; i < FINE && i * report->fine_ms <= longest; i++)
    {
      size_t bucket = (size_t) (i * report->fine_ms * (BUCKETS - 1) / longest);
      buckets[bucket] += report->fine[i];
      if (buckets[bucket] > highest)
        highest = buckets[bucket];
    }
  char text[UNITS_TEXT_SIZE];
  buffer_printf (out, "<h2>Duration of shards (0 to %s)</h2>\n<svg viewBox=\"0 0 %d %d\">\n",
                 units_format_duration (longest, text), CHART_WIDTH, CHART_HEIGHT);
  for (int i = 0; i < BUCKETS; i++)
    {
      int height = (int) (buckets[i] * (CHART_HEIGHT - 10) / highest);
      buffer_printf (out,
                     "<rect class=\"ok\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\">"
                     "<title>%zu shard%s</title></rect>\n",
                     i * CHART_WIDTH / BUCKETS + 2, CHART_HEIGHT - height,
                     CHART_WIDTH / BUCKETS - 4, height, buckets[i], buckets[i] == 1 ? "" : "s");
    }
  buffer_puts (out, "</svg>\n");
}

/* One bar a shard, from its start to its end, the first ones on top. */
static void
put_timeline (const struct report *report, struct buffer *out)
{
  const struct first_ones *earliest = &report->earliest;
  size_t bars = earliest->count;
  int64_t first = earliest->items[0].started;
  int64_t last = report->last > first ? report->last : first + 1;
  double height = bars < 40 ? 12 : 480.0 / (double) bars;
  char text[UNITS_TEXT_SIZE];
  buffer_printf (out, "<h2>Timeline (%s%s)</h2>\n<svg viewBox=\"0 0 %d %.0f\">\n",
                 units_format_duration (last - first, text),
                 bars < report->count ? ", first 2,000 shards" : "", CHART_WIDTH,
                 height * (double) bars);
  for (size_t i = 0; i < bars; i++)
    {
      const struct span *span = &earliest->items[i];
      double scale = (double) CHART_WIDTH / (double) (last - first);
      double width = (double) duration (span) * scale;
      buffer_printf (out,
                     "<rect class=\"%s\" x=\"%.1f\" y=\"%.2f\" width=\"%.1f\" height=\"%.2f\">"
                     "<title>shard %u: %s</title></rect>\n",
                     span->failed ? "bad" : "ok", (double) (span->started - first) * scale,
                     height * (double) i, width < 1 ? 1 : width, height * 0.85, span->index,
                     units_format_duration (duration (span), text));
    }
  buffer_puts (out, "</svg>\n");
}

static void
put_slowest (const struct report *report, struct buffer *out)
{
  buffer_puts (out, "<h2>Slowest shards</h2>\n<table><tr><th>shard</th><th>time</th></tr>\n");
  for (size_t i = 0; i < report->slowest.count; i++)
    {
      const struct span *span = &report->slowest.items[i];
      char text[UNITS_TEXT_SIZE];
      buffer_printf (out, "<tr><td>%u</td><td>%s</td></tr>\n", span->index,
                     units_format_duration (duration (span), text));
    }
  buffer_puts (out, "</table>\n");
}

int
report_write (struct report *report, int folder_fd, struct error *err)
{
  auto_buffer struct buffer out = { 0 };
  report_put_head (report, &out);
  if (report->failure_count > 0)
    {
      buffer_printf (&out,
                     "<h2>Failed shards (%zu)</h2>\n<table><tr><th>shard</th><th>outcome</th>"
                     "<th>exit code</th><th>reason</th></tr>\n",
                     report->failure_count);
      buffer_append (&out, report->failures.data, report->failures.size);
      buffer_puts (&out, "</table>\n");
    }
  if (report->count > 0)
    {
      put_histogram (report, &out);
      first_ones_sort (&report->earliest);
      put_timeline (report, &out);
      first_ones_sort (&report->slowest);
      put_slowest (report, &out);
    }
  buffer_puts (&out, "</html>\n");
  return fs_write_file (folder_fd, "report.html", buffer_bytes (&out), err);
}
