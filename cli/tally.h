/* tally.h — what a person wants to know of a job, as a fold over its events: counts, rate, time
 * left, why shards failed.
 *
 * Adds to the merger's fold what is for people only. Memory: the fold's, and a line for each failed
 * shard.
 */
#ifndef SHOAL_CLI_TALLY_H
#define SHOAL_CLI_TALLY_H

#include "merger/fold.h"

struct tally_failure
{
  uint32_t index;
  enum shard_kind kind;
  uint32_t attempts; /* that ended */
  struct attempt_report report;
};

enum
{
  TALLY_WINDOW = 128, /* attempts that the rate is taken from */
};

struct tally
{
  struct fold *fold;
  struct job_status counts; /* kept up to date; no strings in it */

  struct tally_failure
      *failures; /* of shards that are failed now, in the order in which they failed */
  size_t failure_count;
  char *last_failure; /* "shard 7: exit code 3"; NULL: none yet */
  bool ran;           /* an attempt was started, ever */

  struct
  {
    int64_t started;
    int64_t ended;
    int64_t atoms;
    int64_t bytes; /* of its inputs */
  } window[TALLY_WINDOW];
  size_t window_count; /* ever added */

  bool fetches;         /* inputs come from servers: their bytes are worth telling */
  int64_t bytes_in;     /* of the inputs of all attempts that ended */
  int64_t bytes_coming; /* … of those that run, as far as they are here … */
  int64_t coming_at;    /* … at UTC ms */
  int64_t bytes_seen;   /* the most that both were together */
  int64_t clock_start;  /* UTC ms of the first attempt since the speed was forgotten; 0: none */

  int64_t first_start; /* UTC ms, 0: none */
  int64_t last_end;
  int64_t attempts; /* that ended */
  int64_t retries;  /* … and were followed by another */
};

/* JOB: whose events will come; NULL: nothing is known of it. */
void tally_init (struct tally *tally, const struct job *job);
void tally_release (struct tally *tally);
#define auto_tally AUTO (tally_release)

void tally_apply (struct tally *tally, const struct event *event);

/* BYTES of inputs are here, at NOW (UTC ms), for attempts that haven't ended. */
void tally_coming (struct tally *tally, int64_t bytes, int64_t now);

/* Forgets the speed so far: a pause lies between what was and what comes. */
void tally_restart_clock (struct tally *tally);

/* Atoms (shards where a job has no atoms) a second; 0: not known. */
double tally_rate (const struct tally *tally);

/* Bytes of inputs a second, likewise; what is coming included. */
double tally_bytes_rate (const struct tally *tally);

/* Milliseconds left by that rate, of what is planned so far; -1: not known. */
int64_t tally_left (const struct tally *tally);

/* Whether every failure is the machine's and not the command's. */
bool tally_only_infra (const struct tally *tally);

/* "shard 7: exit code 3"; the caller frees. */
char *tally_describe (const struct tally_failure *failure);

#endif
