/* pod_link.h — a connection to the agent of a pod (agent/protocol.h), and what is asked by it.
 *
 * An agent that isn't there, or doesn't answer as one, is ERROR_TRANSIENT. */
#ifndef SHOAL_WORKER_POD_LINK_H
#define SHOAL_WORKER_POD_LINK_H

#include "common/error.h"
#include "common/strlist.h"
#include "worker/agent/protocol.h"

#include <stdbool.h>

/* Connects to SOCKET and asks who is there: ME. A descriptor, or -1. */
int pod_link_open (const char *socket, struct agent_answer *me, struct error *err);

/* Whether the agent at SOCKET, which has nothing to do, answers within seconds; false with ERR. */
bool pod_link_answers (const char *socket, struct error *err);

/* What lies at PATH in the other container: ANSWER, whose code isn't 0 where nothing does. */
int pod_link_look (int fd, const char *path, struct agent_answer *answer, struct error *err);

struct pod_command
{
  const struct strlist *argv;
  const struct strlist *env; /* over the container's own */
  const char *workdir;       /* NULL: the container's */
  bool no_network;
  bool probe; /* the agent's own program instead */
  int stdout_fd;
  int stderr_fd;
};

/* Has it started; FD becomes readable when it has ended. */
int pod_link_run (int fd, const struct pod_command *command, struct error *err);

/* Nothing where the agent is gone. */
void pod_link_signal (int fd, int number);

/* How the command ended: 1 with ANSWER; 0: the agent has gone meanwhile. */
int pod_link_end (int fd, struct agent_answer *answer, struct error *err);

#endif
