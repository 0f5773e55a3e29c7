/* command.h — a command that an agent was asked to run, and its start. */
#ifndef SHOAL_WORKER_AGENT_COMMAND_H
#define SHOAL_WORKER_AGENT_COMMAND_H

#include "worker/agent/protocol.h"

#include <sys/types.h>

struct agent_command
{
  char *words; /* what argv and env point into */
  char **argv;
  char **env; /* the agent's own variables, and the request's over them */
};

/* Reads the words of REQUEST from FDS (AGENT_DESCRIPTORS of them). NULL, or why they are none.
 * COMMAND is to be released in either case. */
const char *command_read (struct agent_command *command, const struct agent_request *request,
                          const int *fds);
void command_release (struct agent_command *command);

struct command_failure
{
  enum agent_step step;
  int code; /* errno */
};

/* Starts it; SELF_FD is the agent's program. Its process, or -1 with FAILURE. */
pid_t command_start (const struct agent_command *command, const struct agent_request *request,
                     const int *fds, int self_fd, struct command_failure *failure);

#endif
