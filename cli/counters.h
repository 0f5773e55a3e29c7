/* counters.h — what a person wants to know of a job, as a fold over its events: counts, rate, time
 * left, why shards failed.
 *
 * Adds to the merger's fold what is for people only. Memory: the fold's, and a line for each failed
 * shard.
 */
#ifndef SHOAL_CLI_COUNTERS_H
#define SHOAL_CLI_COUNTERS_H

#include "merger/fold.h"

struct counters_failure
{
  uint32_t index;
  enum shard_kind kind;
  uint32_t attempts; /* that ended */
  struct attempt_report report;
};

/* Between a run and the next one: a retry, a resume. */
struct counters_pause
{
  int64_t begin; /* UTC ms */
  int64_t end;
};

enum
{
  COUNTERS_WINDOW = 128, /* attempts that the rate is taken from */
};

struct counters
{
  struct fold *fold;
  struct job_status counts; /* kept up to date; no strings in it */

  struct counters_failure
      *failures; /* of shards that are failed now, in the order in which they failed */
  size_t failure_count;
  int64_t linking;    /* attempts with links that lead out of their outputs … */
  char *first_links;  /* … and which those of the first are; NULL: none */
  char *last_failure; /* "shard 7: exit code 3"; NULL: none yet */
  bool ran;           /* an attempt was started, ever */

  struct
  {
    int64_t started;
    int64_t ended;
    int64_t atoms;
    int64_t bytes; /* of its inputs */
    bool succeeded;
  } window[COUNTERS_WINDOW];
  size_t window_count; /* ever added */

  bool fetches;         /* inputs come from servers: their bytes are worth telling */
  int64_t bytes_in;     /* of the inputs of all attempts that ended */
  int64_t bytes_coming; /* … of those that run, as far as they are here … */
  int64_t coming_at;    /* … at UTC ms */
  int64_t bytes_seen;   /* the most that both were together */
  int64_t clock_start;  /* UTC ms of the first attempt since the speed was forgotten; 0: none */

  int64_t first_start; /* UTC ms, 0: none */
  int64_t last_end;
  struct counters_pause *pauses; /* in which nobody worked on the job, in their order */
  size_t pause_count;
  char *last_writer; /* of the attempt that ended last; NULL: the job was opened again since */
  int64_t attempts;  /* that ended */
  int64_t retries;   /* … and were followed by another */
};

/* JOB: whose events will come; NULL: nothing is known of it. */
void counters_init (struct counters *counters, const struct job *job);
void counters_release (struct counters *counters);
#define auto_counters AUTO (counters_release)

void counters_apply (struct counters *counters, const struct event *event);

/* BYTES of inputs are here, at NOW (UTC ms), for attempts that haven't ended. */
void counters_coming (struct counters *counters, int64_t bytes, int64_t now);

/* Forgets the speed so far: a pause lies between what was and what comes. */
void counters_restart_clock (struct counters *counters);

/* Milliseconds from the first attempt's start to the last one's end, without the pauses; -1: none
 * has ended. */
int64_t counters_elapsed (const struct counters *counters);

/* Milliseconds of the pauses before TIME (UTC ms). */
int64_t counters_paused (const struct counters *counters, int64_t time);

/* Atoms (shards where a job has no atoms) that succeed a second; 0: not known. */
double counters_rate (const struct counters *counters);

/* Bytes of inputs a second, likewise; what is coming included. */
double counters_bytes_rate (const struct counters *counters);

/* Milliseconds left of what is planned so far, by how fast shards end, also those that fail; -1:
 * not known, or nothing is left. */
int64_t counters_left (const struct counters *counters);

/* The failure of a shard that is failed now; NULL: it isn't. Valid until the next event. */
const struct counters_failure *counters_failure_of (const struct counters *counters,
                                                    enum shard_kind kind, uint32_t index);

/* Whether every failure is the machine's and not the command's. */
bool counters_only_infra (const struct counters *counters);

/* "shard 7: exit code 3"; the caller frees. */
char *counters_describe (const struct counters_failure *failure);

#endif
