/* parts.h — producer, worker and merger as children of this process: started, restarted when they
 * crash, stopped.
 *
 *     supervisor ── spawn ──► shoal producer | worker | merger --bus … --job … --parent PID
 *                ◄── one pipe: what they write to stderr, line by line
 *                ◄── a number in shared memory: bytes of inputs that come to the worker
 *
 * They are killed by the kernel when this process ends, and ignore the terminal's Ctrl-C, which is
 * the supervisor's to deal with.
 */
#ifndef SHOAL_CLI_PARTS_H
#define SHOAL_CLI_PARTS_H

#include "cli/run_options.h"
#include "cli/session.h"

#include <stdbool.h>
#include <sys/types.h>

enum part_name
{
  PART_PRODUCER,
  PART_WORKER,
  PART_MERGER,
  PARTS, /* how many */
};

struct part
{
  bool wanted;   /* is to run until it ends by itself */
  pid_t pid;     /* 0: doesn't run */
  int64_t since; /* boot ms of its start */
  int64_t due;   /* boot ms of its next start */
  int crashes;   /* one after the other */
  int status;    /* as waitpid gave it last */
};

struct parts
{
  const struct session *session;
  const struct run_options *options;
  struct part part[PARTS];
  int pipe_read; /* non-blocking */
  int pipe_write;
  int meter_fd;
  int64_t *meter;
  struct buffer said; /* an unfinished line of theirs */
  char *last_line;    /* the last whole one */
};

int parts_init (struct parts *parts, const struct session *session,
                const struct run_options *options, struct error *err);

/* Starts those that are wanted, don't run and are due. */
int parts_start (struct parts *parts, struct error *err);

/* Takes the exit of a child off the kernel: which part ended (its `pid` is 0, `status` is set), or
 * -1: none. */
int parts_reap (struct parts *parts);

/* PART ended though it shouldn't have: has it started again after a pause. ERROR_TRANSIENT when it
 * did so too often. */
int parts_crashed (struct parts *parts, enum part_name part, struct error *err);

void parts_signal (const struct parts *parts, enum part_name part, int signal);
bool parts_running (const struct parts *parts);

/* Bytes of inputs that came for shards that haven't ended. */
int64_t parts_coming (const struct parts *parts);

/* What the children said: the next whole line, the caller frees; NULL: none now. */
char *parts_line (struct parts *parts);

/* Kills what still runs. */
void parts_release (struct parts *parts);
#define auto_parts AUTO (parts_release)

#endif
