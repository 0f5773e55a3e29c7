/* launch.h — a child process that is the first of a PID namespace of its own, in a mount namespace
 * of its own.
 *
 * It has no descriptors but the standard three, and one more if it is given one. It dies with us,
 * and with it everything in its namespace: nothing is left running or mounted, whoever is killed.
 */
#ifndef SHOAL_WORKER_LAUNCH_H
#define SHOAL_WORKER_LAUNCH_H

#include "common/error.h"
#include "worker/cgroup.h"

#include <stdbool.h>
#include <sys/types.h>

/* Who the program is; it has no more than privileges_drop leaves. */
struct launch_user
{
  uid_t uid; /* -1: who we are */
  gid_t gid;
};

enum
{
  LAUNCH_EXTRA_FD = 3,
};

struct launch
{
  char *const *argv; /* looked up in PATH of ENV's, or ours … */
  int program;       /* … unless this isn't 0: a descriptor of the program */
  char *const *env;  /* NULL: ours */
  const char *cwd;   /* NULL: ours */
  int stdin_fd;      /* 0 or -1: the host's /dev/null */
  int stdout_fd;
  int stderr_fd;
  int extra_fd;        /* becomes descriptor LAUNCH_EXTRA_FD; 0: none */
  bool user_namespace; /* our own user and group become root in there */
  /* NULL: the program keeps our privileges, to give them up itself. */
  const struct launch_user *user;

  /* Called in the child, in its namespaces, before the program is started: mounts what it needs. */
  int (*set_up) (void *context, struct error *err);
  void *context;

  struct cgroup *group; /* the control group that it is born in; NULL: ours */
};

/* Starts it: the child's pid, and in *PIDFD a descriptor that becomes readable when it ended.
 * Returns when the program runs; -1 with ERR when something before failed. */
pid_t launch_start (const struct launch *launch, int *pidfd, struct error *err);

#endif
