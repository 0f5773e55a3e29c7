#include "cli/guarded.h"

#include "common/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* The signals that end us; what was ignored when we were started stays ignored. */
static void
guarded_signals (sigset_t *set)
{
  static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
  (void) sigemptyset (set);
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
    if (!signal_is_ignored (signals[i]))
      (void) sigaddset (set, signals[i]);
}

static int
guarded_wait (pid_t child, const sigset_t *set, struct error *err)
{
  sigset_t all = *set;
  (void) sigaddset (&all, SIGCHLD);
  for (;;)
    {
      int status = 0;
      pid_t ended = waitpid (child, &status, WNOHANG);
      if (ended < 0 && errno != EINTR)
        return error_errno (err, errno, "waiting for process %d", (int) child);
      if (ended == child && WIFEXITED (status))
        return WEXITSTATUS (status);
      if (ended == child)
        return error_set (err, ERROR_TRANSIENT, "process %d was killed by signal %d", (int) child,
                          WTERMSIG (status));
      int signal = sigwaitinfo (&all, NULL);
      if (signal > 0 && signal != SIGCHLD)
        (void) kill (child, signal);
    }
}

int
guarded_begin (bool *is_parent, struct error *err)
{
  sigset_t set;
  sigset_t with_child;
  guarded_signals (&set);
  with_child = set;
  (void) sigaddset (&with_child, SIGCHLD);
  (void) fflush (NULL);
  if (sigprocmask (SIG_BLOCK, &with_child, NULL) != 0)
    return error_errno (err, errno, "blocking signals");
  pid_t parent = getpid ();
  pid_t child = fork ();
  *is_parent = child != 0;
  if (child < 0)
    return error_errno (err, errno, "starting a process");
  if (child > 0)
    return guarded_wait (child, &set, err);
  (void) sigprocmask (SIG_SETMASK, &set, NULL);
  if (prctl (PR_SET_PDEATHSIG, SIGTERM) != 0)
    return error_errno (err, errno, "prctl(PR_SET_PDEATHSIG)");
  return getppid () == parent ? 0 : error_set (err, ERROR_FATAL, "the parent process is gone");
}
