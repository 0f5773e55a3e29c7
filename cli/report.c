/* shoal report: how the job went, as people read it: timeline, slowest shards, failures. */
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/summary.h"
#include "cli/words.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/text.h"
#include "common/units.h"
#include "result/result.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum
{
  COLUMNS = 60, /* of the timeline */
  SLOWEST = 5,  /* shards that are named */
  BAR_WIDTH = 30,
};

static int
set_output (void *context, const char *value, struct error *err)
{
  (void) err;
  *(const char **) context = value;
  return 0;
}

static const struct option_spec report_options[] = {
  { 'o', "output", NULL, "FILE", "copy the result's report.html to FILE", GROUP_OTHER, false,
    set_output },
  { 0 },
};

/* ---- what ran --------------------------------------------------------------------------- */

struct report_run
{
  uint32_t index;
  bool reduce;
  int64_t started;
  int64_t ended;
};

struct history
{
  struct report_run *runs; /* attempts that ended */
  size_t count;
  size_t capacity;
  int64_t cpu_us;
  int64_t peak_memory;
  int64_t bytes_in;
  int64_t bytes_out;
  int64_t files_out;
};

static void
report_add_known (int64_t *sum, int64_t number)
{
  if (number > 0)
    *sum += number;
}

static void
report_add_event (void *context, const struct event *event)
{
  struct history *history = context;
  const struct attempt_report *report = &event->report;
  if (event->kind != EVENT_FINISHED || report->started == 0)
    return;
  if (history->count == history->capacity)
    {
      history->capacity = history->capacity == 0 ? 256 : history->capacity * 2;
      history->runs = xrealloc (history->runs, history->capacity, sizeof *history->runs);
    }
  history->runs[history->count++] =
      (struct report_run){ .index = event->index,
                           .reduce = event->shard_kind == SHARD_REDUCE,
                           .started = report->started,
                           .ended = report->ended };
  report_add_known (&history->cpu_us, report->cpu_us);
  report_add_known (&history->bytes_in, report->bytes_in);
  report_add_known (&history->bytes_out, report->bytes_out);
  report_add_known (&history->files_out, report->files_out);
  if (report->peak_memory > history->peak_memory)
    history->peak_memory = report->peak_memory;
}

/* ---- timeline --------------------------------------------------------------------------- */

static int
report_by_time (const void *left, const void *right)
{
  int64_t a = *(const int64_t *) left;
  int64_t b = *(const int64_t *) right;
  return (a > b) - (a < b);
}

/* How many attempts ran at once, at most. */
static size_t
most_at_once (const struct history *history)
{
  auto_free int64_t *starts = xcalloc (history->count, sizeof *starts);
  auto_free int64_t *ends = xcalloc (history->count, sizeof *ends);
  for (size_t i = 0; i < history->count; i++)
    {
      starts[i] = history->runs[i].started;
      ends[i] = history->runs[i].ended;
    }
  qsort (starts, history->count, sizeof *starts, report_by_time);
  qsort (ends, history->count, sizeof *ends, report_by_time);
  size_t most = 0;
  for (size_t started = 0, ended = 0; started < history->count; started++)
    {
      while (ended < started && ends[ended] <= starts[started])
        ended++;
      most = started + 1 - ended > most ? started + 1 - ended : most;
    }
  return most;
}

/* Takes the pauses between runs out of the times of HISTORY. */
static void
leave_out_pauses (struct history *history, const struct counters *counters)
{
  for (size_t i = 0; i < history->count; i++)
    {
      struct report_run *run = &history->runs[i];
      run->started -= counters_paused (counters, run->started);
      run->ended -= counters_paused (counters, run->ended);
    }
}

/* How many attempts ran, on average, in each column. */
static void
print_timeline (const struct history *history)
{
  static const char *const levels[] = { " ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
  int64_t begin = INT64_MAX;
  int64_t end = 0;
  for (size_t i = 0; i < history->count; i++)
    {
      begin = history->runs[i].started < begin ? history->runs[i].started : begin;
      end = history->runs[i].ended > end ? history->runs[i].ended : end;
    }
  if (history->count == 0 || end <= begin)
    return;
  double width = (double) (end - begin) / COLUMNS;
  double busy[COLUMNS] = { 0 };
  for (size_t i = 0; i < history->count; i++)
    for (int column = 0; column < COLUMNS; column++)
      {
        double left = (double) begin + width * column;
        double from =
            (double) history->runs[i].started > left ? (double) history->runs[i].started : left;
        double to = (double) history->runs[i].ended < left + width ? (double) history->runs[i].ended
                                                                   : left + width;
        busy[column] += to > from ? (to - from) / width : 0;
      }
  double most = 0;
  for (int column = 0; column < COLUMNS; column++)
    most = busy[column] > most ? busy[column] : most;
  (void) fputs ("  timeline  ", stdout);
  for (int column = 0; column < COLUMNS; column++)
    (void) fputs (levels[(int) (busy[column] / most * 8 + 0.5)], stdout);
  char text[UNITS_TEXT_SIZE];
  auto_free char *shards = words_plural ((int64_t) most_at_once (history), "shard");
  (void) printf ("\n            %s, %s in parallel at most\n",
                 units_format_duration (end - begin, text), shards);
}

/* ---- slowest ---------------------------------------------------------------------------- */

static int
longer_first (const void *left, const void *right)
{
  const struct report_run *a = left;
  const struct report_run *b = right;
  int64_t difference = (b->ended - b->started) - (a->ended - a->started);
  return difference > 0 ? 1 : difference < 0 ? -1 : 0;
}

static void
print_slowest (struct history *history)
{
  if (history->count < 2)
    return;
  qsort (history->runs, history->count, sizeof *history->runs, longer_first);
  const struct report_run *middle = &history->runs[history->count / 2];
  int64_t longest = history->runs[0].ended - history->runs[0].started;
  char text[UNITS_TEXT_SIZE];
  (void) printf ("  slowest   (median %s)\n",
                 units_format_duration (middle->ended - middle->started, text));
  for (size_t i = 0; i < history->count && i < SLOWEST; i++)
    {
      const struct report_run *run = &history->runs[i];
      int64_t took = run->ended - run->started;
      int length = longest == 0 ? 0 : (int) (took * BAR_WIDTH / longest);
      auto_free char *name = run->reduce ? xstrdup ("reduce") : xasprintf ("shard %u", run->index);
      (void) printf ("            %-12s %8s  %.*s\n", name, units_format_duration (took, text),
                     length, "##############################");
    }
}

static void
print_totals (const struct history *history)
{
  char a[UNITS_TEXT_SIZE];
  char b[UNITS_TEXT_SIZE];
  auto_free char *files = words_plural (history->files_out, "file");
  (void) printf ("  data      %s in, %s in %s out\n", units_format_size (history->bytes_in, a),
                 units_format_size (history->bytes_out, b), files);
  (void) printf ("  machine   %s CPU", units_format_duration (history->cpu_us / 1000, a));
  if (history->peak_memory > 0)
    (void) printf (", %s peak memory per shard", units_format_size (history->peak_memory, b));
  (void) putchar ('\n');
}

/* ---- the command ------------------------------------------------------------------------ */

/* Whether FD is one of the files at the result's top, which are shoal's own. */
static bool
is_in_result (const struct session *session, int fd)
{
  static const char *const names[] = { "report.html", "manifest.json", "stdout", "stderr",
                                       RESULT_QUARANTINED };
  struct stat one;
  struct stat other;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (fstat (fd, &one) == 0 && fstatat (session->folder_fd, names[i], &other, 0) == 0
        && one.st_dev == other.st_dev && one.st_ino == other.st_ino)
      return true;
  return false;
}

static int
copy_report (const struct session *session, const char *file, struct error *err)
{
  auto_fd int source = fs_open_beneath (session->folder_fd, "report.html", O_RDONLY, 0, err);
  if (source < 0)
    return error_wrap (err, "%s: no report yet", session->location);
  auto_fd int target = open (file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (target < 0)
    return error_errno (err, errno, "%s", file);
  if (is_in_result (session, target))
    return error_set (err, ERROR_USER, "%s is a file of the result: choose another", file);
  if (ftruncate (target, 0) != 0 && errno != EINVAL) /* a pipe or a terminal has no length */
    return error_errno (err, errno, "%s", file);
  return fs_append (source, target, err) < 0 ? -1 : 0;
}

static int
print_report (const struct session *session, struct history *history, struct error *err)
{
  auto_counters struct counters counters = { 0 };
  auto_job_status struct job_status status = { 0 };
  if (summary_read (session, &counters, err) != 0 || session_status (session, &status, err) != 0
      || session_each_event (session, report_add_event, history, err) != 0)
    return -1;
  auto_free char *command = text_words (session->job.image, &session->job.command);
  char when[CLOCK_TEXT_SIZE];
  (void) printf ("%s\n", command);
  (void) printf ("submitted %s\n\n", clock_format (session->job.submitted, when));
  summary_print (stdout, session, &counters, &status);
  leave_out_pauses (history, &counters);
  print_timeline (history);
  print_slowest (history);
  print_totals (history);
  return EXIT_DONE;
}

static int
report_run (int argc, char **argv, struct error *err)
{
  const char *output = NULL;
  auto_bus_args struct bus_args bus;
  bus_args_init (&bus);
  const struct option_set sets[] = { { report_options, &output }, { bus_options, &bus } };
  int first = options_operands (sets, 2, argc, argv, 1, 1, command_report.synopsis, err);
  if (first < 0)
    return first;
  auto_session struct session session = SESSION_READER;
  if (bus_args_finish (&bus, err) != 0 || session_open (&session, argv[first], &bus, err) != 0)
    return -1;
  if (output != NULL)
    return copy_report (&session, output, err);
  struct history history = { 0 };
  int result = print_report (&session, &history, err);
  free (history.runs);
  return result;
}

const struct command command_report = {
  .name = "report",
  .synopsis = "report [-o FILE] RESULT|JOB",
  .summary = "print a job's timeline, slowest shards and failures",
  .help = "The result's report.html shows the same in a browser, offline.\n"
          "\n"
          "  shoal report resized\n",
  .options = { report_options, bus_options },
  .run = report_run,
};
