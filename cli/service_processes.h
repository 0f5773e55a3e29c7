/* service_processes.h — producer, worker and merger as children of this process: started, restarted
 * when they crash, stopped.
 *
 *     supervisor ── spawn ──► shoal producer | worker | merger --bus … --job … --parent PID
 *                ◄── one pipe: what they write to stderr, line by line
 *                ◄── a number in shared memory: bytes of inputs that come to the worker
 *
 * They are killed by the kernel when this process ends, and ignore the terminal's Ctrl-C, which is
 * the supervisor's to deal with.
 */
#ifndef SHOAL_CLI_SERVICE_PROCESSES_H
#define SHOAL_CLI_SERVICE_PROCESSES_H

#include "cli/run_options.h"
#include "cli/session.h"

#include <stdbool.h>
#include <sys/types.h>

enum service_name
{
  SERVICE_PRODUCER,
  SERVICE_WORKER,
  SERVICE_MERGER,
  SERVICES, /* how many */
};

struct service
{
  bool wanted;   /* is to run until it ends by itself */
  pid_t pid;     /* 0: doesn't run */
  int64_t since; /* boot ms of its start */
  int64_t due;   /* boot ms of its next start */
  int crashes;   /* one after the other */
  int status;    /* as waitpid gave it last */
};

struct services
{
  const struct session *session;
  const struct run_options *options;
  struct service service[SERVICES];
  int pipe_read; /* non-blocking */
  int pipe_write;
  int meter_fd;
  int64_t *meter;
  struct buffer said; /* an unfinished line of theirs */
  char *last_line;    /* the last whole one */
};

int services_init (struct services *services, const struct session *session,
                   const struct run_options *options, struct error *err);

/* Starts those that are wanted, don't run and are due. */
int services_start (struct services *services, struct error *err);

/* Takes the exit of a child off the kernel: which service ended (its `pid` is 0, `status` is set),
 * or -1: none. */
int services_reap (struct services *services);

/* SERVICE ended though it shouldn't have: has it started again after a pause. ERROR_TRANSIENT when
 * it did so too often. */
int services_crashed (struct services *services, enum service_name service, struct error *err);

void services_signal (const struct services *services, enum service_name service, int signal);
bool services_running (const struct services *services);

/* Bytes of inputs that came for shards that haven't ended. */
int64_t services_coming (const struct services *services);

/* What the children said: the next whole line, the caller frees; NULL: none now. */
char *services_line (struct services *services);

/* Kills what still runs. */
void services_release (struct services *services);
#define auto_services AUTO (services_release)

#endif
