/* progress.h — what a person or a program sees while a job runs: a bar, lines, JSON, or nothing.
 *
 * The bar takes two lines at the bottom of the terminal and is drawn again in place; notes come out
 * above it.
 */
#ifndef SHOAL_CLI_PROGRESS_H
#define SHOAL_CLI_PROGRESS_H

#include "cli/counters.h"
#include "cli/run_options.h"

struct progress;

/* KIND AUTO is a bar when stderr is a terminal, else lines. */
struct progress *progress_new (enum progress_kind kind);

/* Tells of EVENT, which COUNTERS has taken in already. */
void progress_event (struct progress *progress, const struct counters *counters,
                     const struct event *event);

/* Draws again if it is time. Call it a few times a second. */
void progress_tick (struct progress *progress, const struct counters *counters);

/* A line for people, above the bar (without the newline). */
void progress_note (struct progress *progress, const char *line);

/* The end: the bar goes, STATUS is told as JSON. */
void progress_finish (struct progress *progress, const struct counters *counters,
                      const struct job_status *status);
void progress_free (struct progress *progress);

static inline void
auto_progress_ (struct progress **progress)
{
  progress_free (*progress);
}
#define auto_progress AUTO (auto_progress_)

/* "12/40 shards, 1,200/4,000 files, 1 failed, 2 running, 80 files/s, 35s left": 12 succeeded, and 1
 * of the 40 failed. Without speed and time when nobody works on it (ATTENDED is false). The caller
 * frees. */
char *progress_line (const struct counters *counters, bool attended);

/* The bar's two lines for a terminal of WIDTH columns, without newlines; the caller releases. */
void progress_bar (const struct counters *counters, size_t width, struct buffer *first,
                   struct buffer *second);

#endif
