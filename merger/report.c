#include "merger/report.h"

#include "common/clock.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/text.h"
#include "merger/manifest.h"
#include "merger/report_failures.h"
#include "merger/report_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum
{
  SLOWEST = 20,
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

/* Of the attempts that count, together; -1: not known of any. */
struct report_usage
{
  int64_t cpu_us;
  int64_t peak_memory; /* the most of a shard */
  int64_t bytes_in;
  int64_t bytes_out;
  int64_t files_out;
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
  struct report_failures *failures;
  struct report_usage usage;
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
report_new (const struct manifest *manifest, int folder_fd)
{
  struct report *report = xcalloc (1, sizeof *report);
  report->manifest = manifest;
  report->fine_ms = 1;
  report->failures = report_failures_new (folder_fd);
  report->usage = (struct report_usage){ -1, 0, -1, -1, -1 };
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
  report_failures_free (report->failures);
  free (report);
}

static bool
is_failed (const json_t *shard)
{
  const char *state = json_string_value (json_object_get (shard, "state"));
  return state != NULL && strcmp (state, "failed") == 0;
}

static void
add_known (int64_t *sum, const json_t *shard, const char *key)
{
  const json_t *number = json_object_get (shard, key);
  if (json_is_integer (number) && json_integer_value (number) >= 0)
    *sum = (*sum < 0 ? 0 : *sum) + json_integer_value (number);
}

static void
add_usage (struct report_usage *usage, const json_t *shard)
{
  int64_t peak = json_integer_value (json_object_get (shard, "peak_memory"));
  add_known (&usage->cpu_us, shard, "cpu_us");
  add_known (&usage->bytes_in, shard, "bytes_in");
  add_known (&usage->bytes_out, shard, "bytes_out");
  add_known (&usage->files_out, shard, "files_out");
  usage->peak_memory = peak > usage->peak_memory ? peak : usage->peak_memory;
}

void
report_add (struct report *report, uint32_t index, const json_t *shard)
{
  auto_free char *name = xasprintf ("%u", index);
  bool failed = is_failed (shard);
  if (failed)
    report_failures_add (report->failures, name, shard);
  add_usage (&report->usage, shard);
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
    report_failures_add (report->failures, "reduce", reduce);
  add_usage (&report->usage, reduce);
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

/* VALUE as a cell; what isn't known says so. */
static void
put_cell (struct buffer *out, int64_t value,
          const char *(*format) (int64_t value, char text[static UNITS_TEXT_SIZE]))
{
  char text[UNITS_TEXT_SIZE];
  buffer_printf (out, "<td>%s</td>", value < 0 ? "not known" : format (value, text));
}

static const char *
format_number (int64_t value, char text[static UNITS_TEXT_SIZE])
{
  (void) snprintf (text, UNITS_TEXT_SIZE, "%lld", (long long) value);
  return text;
}

static void
report_put_head (const struct report *report, struct buffer *out)
{
  const struct job_status *status = report->manifest->status;
  const struct job *job = report->manifest->job;
  buffer_puts (out, "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>shoal: ");
  text_put_html (out, job->id);
  buffer_puts (out,
               "</title>\n<style>body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;"
               "margin:2rem auto;padding:0 1rem;color:#1c2530}h1{font-size:1.4rem}"
               "h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;margin:.6rem 0}"
               "td,th{padding:.15rem .9rem .15rem 0;text-align:left;vertical-align:top}"
               "svg{width:100%;height:auto;background:#f4f6f8}.ok{fill:#3b82c4}"
               ".bad{fill:#c43b3b}code,pre{background:#f4f6f8}pre{margin:.2rem 0;padding:.4rem;"
               "white-space:pre-wrap;overflow-wrap:anywhere}.facts th{font-weight:normal;"
               "color:#5a6675}</style>\n<h1>Job ");
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
  report_put_job (job, out);
  buffer_puts (out, "<table><tr><th>shards</th><th>succeeded</th><th>failed</th><th>files in</th>"
                    "</tr><tr>");
  put_cell (out, status->shards, format_number);
  put_cell (out, status->succeeded, format_number);
  put_cell (out, status->failed, format_number);
  put_cell (out, status->atoms, format_number);
  buffer_puts (out, "</tr></table>\n");
}

static void
put_usage (const struct report_usage *usage, struct buffer *out)
{
  buffer_puts (out, "<table><tr><th>CPU time</th><th>most memory of a shard</th><th>data in</th>"
                    "<th>data out</th><th>files out</th></tr><tr>");
  put_cell (out, usage->cpu_us < 0 ? -1 : usage->cpu_us / 1000, units_format_duration);
  put_cell (out, usage->peak_memory > 0 ? usage->peak_memory : -1, units_format_size);
  put_cell (out, usage->bytes_in, units_format_size);
  put_cell (out, usage->bytes_out, units_format_size);
  put_cell (out, usage->files_out, format_number);
  buffer_puts (out, "</tr></table>\n");
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
  put_usage (&report->usage, &out);
  report_failures_put (report->failures, &out);
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
