#include "cli/pilot.h"

#include "bus/hold.h"
#include "cli/words.h"
#include "common/memory.h"
#include "common/units.h"
#include "merger/pilot.h"

#include <string.h>

/* What a shard of the pilot needed. */
struct pilot_sample
{
  uint32_t index;
  int64_t atoms;
  int64_t ms;
  int64_t peak_memory; /* bytes; 0 and below: not known */
  int64_t bytes_out;   /* -1: not known */
};

struct pilot
{
  const struct job *job;
  bool let_go;   /* the pilot's shards are */
  bool over;     /* … and all others, or there is nothing to let go */
  int64_t basis; /* of the fold, as last seen */
  struct pilot_sample *samples;
  size_t count;
  bool complete; /* shards that aren't of the pilot have succeeded too */
};

struct pilot *
pilot_new (const struct job *job)
{
  struct pilot *pilot = xcalloc (1, sizeof *pilot);
  pilot->job = job;
  pilot->over = job->pilot < 0;
  pilot->basis = -1;
  return pilot;
}

void
pilot_free (struct pilot *pilot)
{
  if (pilot == NULL)
    return;
  free (pilot->samples);
  free (pilot);
}

/* The sample of shard INDEX; another attempt's is written over. NULL: it isn't of the pilot, which
 * has passed then. */
static struct pilot_sample *
pilot_sample_of (struct pilot *pilot, uint32_t index)
{
  for (size_t i = 0; i < pilot->count; i++)
    if (pilot->samples[i].index == index)
      return &pilot->samples[i];
  if ((int64_t) pilot->count == pilot->job->pilot)
    return NULL;
  pilot->samples = xrealloc (pilot->samples, pilot->count + 1, sizeof *pilot->samples);
  return &pilot->samples[pilot->count++];
}

void
pilot_add (struct pilot *pilot, const struct event *event)
{
  const struct attempt_report *report = &event->report;
  if (pilot->over || pilot->complete || event->kind != EVENT_FINISHED
      || event->shard_kind != SHARD_MAP || report->outcome != OUTCOME_SUCCEEDED)
    return;
  struct pilot_sample *sample = pilot_sample_of (pilot, event->index);
  pilot->complete = sample == NULL;
  if (sample != NULL)
    *sample = (struct pilot_sample){ .index = event->index,
                                     .atoms = event->atoms,
                                     .ms = report->ended - report->started,
                                     .peak_memory = report->peak_memory,
                                     .bytes_out = report->bytes_out };
}

static int
let_pilot_go (struct pilot *pilot, struct bus *bus, const struct fold *fold, struct error *err)
{
  int64_t n = pilot->job->pilot;
  auto_free uint32_t *indexes = xcalloc ((size_t) n, sizeof *indexes);
  for (int64_t i = 0; i < n; i++)
    indexes[i] = pilot_shard (i, n, fold_shards (fold));
  pilot->let_go = true;
  return bus_let_go (bus, pilot->job->id, indexes, (size_t) n, err);
}

int
pilot_tend (struct pilot *pilot, struct bus *bus, const struct fold *fold, struct error *err)
{
  if (pilot->over || pilot->basis == fold_basis (fold))
    return 0;
  pilot->basis = fold_basis (fold);
  enum pilot_state state = pilot_state (pilot->job, fold);
  switch (state)
    {
    case PILOT_OPEN:
    case PILOT_FAILED: /* the merger gives the job up */
      return 0;
    case PILOT_RUNS:
      return pilot->let_go ? 0 : let_pilot_go (pilot, bus, fold, err);
    case PILOT_NONE:
    case PILOT_PASSED:
      break;
    }
  pilot->over = true;
  if (bus_let_go (bus, pilot->job->id, NULL, 0, err) != 0)
    return -1;
  return state == PILOT_PASSED && pilot->let_go;
}

/* ---- what the whole job needs ----------------------------------------------------------- */

/* The least and the most that was seen, scaled to the whole; HIGH -1: not known. */
struct pilot_range
{
  double low;
  double high;
  size_t count; /* of the shards that it is from */
};

static void
range_add (struct pilot_range *range, double value)
{
  range->low = range->count == 0 || value < range->low ? value : range->low;
  range->high = range->count == 0 || value > range->high ? value : range->high;
  range->count++;
}

/* Two digits of VALUE, which is shown in units of BASE; the rest is cut off, or with UP rounded
 * up. */
static int64_t
two_digits (double value, double base, bool up)
{
  double tenths = value * 10 / base;
  double unit = 1;
  while (tenths / unit >= 100)
    unit *= 10;
  int64_t digits = (int64_t) (tenths / unit);
  digits += up && (double) digits < tenths / unit;
  return (int64_t) ((double) digits * unit * base / 10);
}

static const char *
format_rough_duration (double ms, bool up, char text[static UNITS_TEXT_SIZE])
{
  return units_format_duration (two_digits (ms, 1, up), text);
}

static const char *
format_rough_size (double bytes, bool up, char text[static UNITS_TEXT_SIZE])
{
  double base = 1;
  while (bytes / base >= 1024)
    base *= 1024;
  return units_format_size (two_digits (bytes, base, up), text);
}

/* "2m10s to 2m50s", "about 2m" where all needed the same. The caller frees. */
static char *
range_text (const struct pilot_range *range,
            const char *(*format) (double value, bool up, char text[static UNITS_TEXT_SIZE]))
{
  char low[UNITS_TEXT_SIZE];
  char high[UNITS_TEXT_SIZE];
  if (range->count == 0)
    return xstrdup ("not known");
  (void) format (range->low, false, low);
  (void) format (range->high, true, high);
  if (range->count == 1 || strcmp (low, high) == 0)
    return xasprintf ("%s%s", range->high > 0 ? "about " : "", high);
  return xasprintf ("%s to %s", low, high);
}

/* A shard with less than half of what the largest has, as the last one may, says little of the
 * others: it spends its time on beginning and ending. */
static bool
sample_counts (const struct pilot *pilot, const struct pilot_sample *sample)
{
  int64_t most = 0;
  for (size_t i = 0; i < pilot->count; i++)
    most = pilot->samples[i].atoms > most ? pilot->samples[i].atoms : most;
  return sample->atoms > 0 && sample->atoms >= most - most / 2;
}

void
pilot_tell (const struct pilot *pilot, const struct counters *counters, int64_t slots,
            struct strlist *lines)
{
  const struct job_status *counts = &counters->counts;
  int64_t left = counts->shards - counts->succeeded;
  int64_t at_once = slots < left ? slots : left;
  int64_t turns = at_once > 0 ? (left + at_once - 1) / at_once : 0;
  double atoms_a_shard =
      left > 0 ? (double) (counts->atoms - counts->atoms_done) / (double) left : 0;
  struct pilot_range time = { 0 };
  struct pilot_range output = { 0 };
  int64_t memory = 0;
  for (size_t i = 0; i < pilot->count; i++)
    {
      const struct pilot_sample *sample = &pilot->samples[i];
      memory = sample->peak_memory > memory ? sample->peak_memory : memory;
      if (!sample_counts (pilot, sample))
        continue;
      double atoms = (double) sample->atoms;
      double spent = counters_elapsed (counters) > 0 ? (double) counters_elapsed (counters) : 0;
      range_add (&time, spent + (double) sample->ms / atoms * atoms_a_shard * (double) turns);
      if (sample->bytes_out >= 0)
        range_add (&output, (double) sample->bytes_out / atoms * (double) counts->atoms);
    }
  char a[UNITS_TEXT_SIZE];
  char b[UNITS_TEXT_SIZE];
  auto_free char *passed = words_plural (counts->succeeded, "shard");
  auto_free char *durations = range_text (&time, format_rough_duration);
  auto_free char *sizes = range_text (&output, format_rough_size);
  strlist_addf (lines, "shoal: pilot: %s succeeded, %lld follow%s; the whole job, by %s:", passed,
                (long long) left, left == 1 ? "s" : "", pilot->count == 1 ? "this one" : "these");
  strlist_addf (lines, "  time      %s, %lld at a time", durations, (long long) at_once);
  if (memory > 0)
    strlist_addf (lines, "  memory    up to %s a shard, %s for %lld at a time",
                  units_format_size (memory, a), units_format_size (memory * at_once, b),
                  (long long) at_once);
  else
    strlist_add (lines, "  memory    not known");
  strlist_addf (lines, "  output    %s", sizes);
}
