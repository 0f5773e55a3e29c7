#include "worker/launch.h"

#include "common/auto.h"
#include "common/fs.h"
#include "common/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum
{
  SET_UP_FAILED = 125, /* the child's exit code, for nobody: the error goes through the pipe */
};

static pid_t
clone_child (uint64_t flags, int *pidfd)
{
  struct clone_args args = {
    .flags = flags | CLONE_PIDFD,
    .pidfd = (uint64_t) (uintptr_t) pidfd,
    .exit_signal = SIGCHLD,
  };
  return (pid_t) syscall (SYS_clone3, &args, sizeof args);
}

/* ---- in the child ----------------------------------------------------------------------- */

static void
reset_signals (void)
{
  sigset_t none;
  (void) sigemptyset (&none);
  for (int signal_number = 1; signal_number < NSIG; signal_number++)
    (void) signal (signal_number, SIG_DFL);
  (void) sigprocmask (SIG_SETMASK, &none, NULL);
}

static int
set_up_descriptors (const struct launch *launch, struct error *err)
{
  auto_fd int null = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null < 0 || dup2 (null, STDIN_FILENO) < 0 || dup2 (launch->stdout_fd, STDOUT_FILENO) < 0
      || dup2 (launch->stderr_fd, STDERR_FILENO) < 0)
    return error_errno (err, errno, "standard input and output");
  return 0;
}

/* What /proc shows must be this PID namespace: the runtime looks itself up there. */
static int
set_up_namespaces (struct error *err)
{
  if (mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
    return error_errno (err, errno, "making mounts private");
  if (mount ("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
    return error_errno (err, errno, "mounting /proc");
  return 0;
}

static int
prepare_child (const struct launch *launch, int go, struct error *err)
{
  char byte = 0;
  if (prctl (PR_SET_PDEATHSIG, SIGKILL) != 0)
    return error_errno (err, errno, "prctl(PR_SET_PDEATHSIG)");
  /* Nothing to read: the parent died before it could write the maps. */
  if (read (go, &byte, 1) != 1)
    return error_set (err, ERROR_FATAL, "the slot is gone");
  /* Descriptors of the host's standard error are kept until here for sanitizers' reports. */
  if (set_up_namespaces (err) != 0 || launch->set_up (launch->context, err) != 0
      || set_up_descriptors (launch, err) != 0)
    return -1;
  if (launch->cwd != NULL && chdir (launch->cwd) != 0)
    return error_errno (err, errno, "working folder %s", launch->cwd);
  return 0;
}

/* Never returns. The pipe REPORT closes when the program is started; before, an error is written to it. */
static void
run_child (const struct launch *launch, int go, int report)
{
  struct error err = ERROR_INIT;
  reset_signals ();
  (void) setsid ();
  if (prepare_child (launch, go, &err) == 0)
    {
      char *const *env = launch->env != NULL ? launch->env : environ;
      if (launch->program > 0)
        (void) fexecve (launch->program, launch->argv, env);
      else
        (void) execvpe (launch->argv[0], launch->argv, env);
      (void) error_errno (&err, errno, "starting %s", launch->argv[0]);
    }
  (void) !write (report, &err, sizeof err);
  _exit (SET_UP_FAILED);
}

/* ---- in the parent ---------------------------------------------------------------------- */

static int
write_map (pid_t pid, const char *name, const char *text, struct error *err)
{
  char path[64];
  (void) snprintf (path, sizeof path, "/proc/%d/%s", (int) pid, name);
  auto_fd int fd = open (path, O_WRONLY | O_CLOEXEC);
  if (fd < 0)
    return error_errno (err, errno, "%s", path);
  return fs_write_all (fd, text, strlen (text), path, err);
}

/* Our user is root in there, and nobody else exists. */
static int
write_maps (pid_t pid, struct error *err)
{
  char uids[32];
  char gids[32];
  (void) snprintf (uids, sizeof uids, "0 %d 1\n", (int) geteuid ());
  (void) snprintf (gids, sizeof gids, "0 %d 1\n", (int) getegid ());
  if (write_map (pid, "setgroups", "deny", err) != 0 || write_map (pid, "uid_map", uids, err) != 0)
    return -1;
  return write_map (pid, "gid_map", gids, err);
}

/* Lets the child go on and waits until it runs its program: 0, or -1 with what it reported. */
static int
let_go (const struct launch *launch, pid_t pid, int go, int report, struct error *err)
{
  if (launch->user_namespace && write_maps (pid, err) != 0)
    return -1;
  if (write (go, "", 1) != 1)
    return error_errno (err, errno, "starting a process");
  struct error reported = ERROR_INIT;
  ssize_t got = 0;
  do
    got = read (report, &reported, sizeof reported);
  while (got < 0 && errno == EINTR);
  if (got == 0)
    return 0;
  if (got == sizeof reported && err != NULL)
    {
      reported.message[sizeof reported.message - 1] = '\0';
      *err = reported;
      return -1;
    }
  return error_set (err, ERROR_TRANSIENT, "starting a process failed");
}

pid_t
launch_start (const struct launch *launch, int *pidfd, struct error *err)
{
  int go[2];
  int report[2];
  if (sys_before_spawn () != 0)
    return error_errno (err, errno, "starting a process");
  if (pipe2 (go, O_CLOEXEC) != 0)
    return error_errno (err, errno, "pipe");
  auto_fd int go_read = go[0];
  auto_fd int go_write = go[1];
  if (pipe2 (report, O_CLOEXEC) != 0)
    return error_errno (err, errno, "pipe");
  auto_fd int report_read = report[0];
  auto_fd int report_write = report[1];
  uint64_t flags = CLONE_NEWPID | CLONE_NEWNS | (launch->user_namespace ? CLONE_NEWUSER : 0);
  pid_t pid = clone_child (flags, pidfd);
  if (pid == 0)
    {
      (void) close (go_write); /* else a dead parent wouldn't end the read */
      run_child (launch, go_read, report_write);
    }
  if (pid < 0)
    return error_errno (err, errno, "a process in namespaces of its own");
  auto_fd_ (&report_write);
  report_write = -1;
  auto_fd_ (&go_read);
  go_read = -1;
  if (let_go (launch, pid, go_write, report_read, err) == 0)
    return pid;
  (void) kill (pid, SIGKILL);
  (void) waitpid (pid, NULL, 0);
  auto_fd_ (pidfd);
  *pidfd = -1;
  return -1;
}
