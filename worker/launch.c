#include "worker/launch.h"

#include "common/auto.h"
#include "common/fs.h"
#include "common/sys.h"
#include "worker/cgroup_v2.h"
#include "worker/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum
{
  SET_UP_FAILED = 125,  /* the child's exit code, for nobody: the error goes through the pipe */
  STACK_SIZE = 1 << 20, /* bytes, until it runs its program; only what it touches is used */
};

/* What the child gets. */
struct child
{
  const struct launch *launch;
  int go_read;
  int go_write; /* the parent's end */
  int report;
  int report_read; /* the parent's end */
  /* The launch's. Neither they nor the report are LAUNCH_EXTRA_FD. */
  int program;
  int extra;
};

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
set_up_descriptors (const struct child *child, struct error *err)
{
  const struct launch *launch = child->launch;
  auto_fd int null = launch->stdin_fd > 0 ? -1 : open ("/dev/null", O_RDONLY | O_CLOEXEC);
  int input = launch->stdin_fd > 0 ? launch->stdin_fd : null;
  if (input < 0 || dup2 (input, STDIN_FILENO) < 0 || dup2 (launch->stdout_fd, STDOUT_FILENO) < 0
      || dup2 (launch->stderr_fd, STDERR_FILENO) < 0)
    return error_errno (err, errno, "standard input and output");
  if (child->extra > 0 && dup2 (child->extra, LAUNCH_EXTRA_FD) < 0)
    return error_errno (err, errno, "descriptor %d", LAUNCH_EXTRA_FD);
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

/* Asks for SIGKILL when the parent ends. It may have ended before: then nobody reads REPORT. */
static int
die_with_parent (int report, struct error *err)
{
  struct pollfd reader = { .fd = report };
  if (prctl (PR_SET_PDEATHSIG, SIGKILL) != 0)
    return error_errno (err, errno, "prctl(PR_SET_PDEATHSIG)");
  if (poll (&reader, 1, 0) == 0)
    return 0;
  return error_set (err, ERROR_FATAL, "the slot process is gone");
}

/* A change of the user makes the kernel forget whose death is to be followed. */
static int
become_user (const struct child *child, struct error *err)
{
  const struct launch_user *user = child->launch->user;
  if (user == NULL)
    return 0;
  if (privileges_drop (user->uid, user->gid, err) != 0)
    return -1;
  return die_with_parent (child->report, err);
}

static int
prepare_child (const struct child *child, struct error *err)
{
  const struct launch *launch = child->launch;
  char byte = 0;
  /* What the caller of this whole program left open isn't the command's. Our pipes stay until the
   * program is started. */
  if (close_range (STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
    {
      (void) error_errno (err, errno, "close_range");
      return error_blame_machine (err);
    }
  if (die_with_parent (child->report, err) != 0)
    return -1;
  /* Nothing to read: the parent died before it could write the maps. */
  if (read (child->go_read, &byte, 1) != 1)
    return error_set (err, ERROR_FATAL, "the slot process is gone");
  if (set_up_namespaces (err) != 0)
    return error_blame_machine (err);
  if (launch->set_up (launch->context, err) != 0)
    return -1;
  /* Descriptors of the host's standard error are kept until here for sanitizers' reports. */
  if (set_up_descriptors (child, err) != 0 || become_user (child, err) != 0)
    return error_blame_machine (err);
  if (launch->cwd != NULL && chdir (launch->cwd) != 0)
    return error_set (err, ERROR_USER, "working folder %s: %s", launch->cwd, strerror (errno));
  return 0;
}

/* Never returns. The report's pipe closes when the program is started; before, an error is written
 * to it. */
static int
run_child (void *context)
{
  const struct child *child = context;
  const struct launch *launch = child->launch;
  struct error err = ERROR_INIT;
  (void) close (child->go_write);    /* else a dead parent wouldn't end the read … */
  (void) close (child->report_read); /* … and would seem to be there */
  reset_signals ();
  (void) setsid ();
  if (prepare_child (child, &err) == 0)
    {
      char *const *env = launch->env != NULL ? launch->env : environ;
      if (launch->program > 0)
        (void) fexecve (child->program, launch->argv, env);
      else
        (void) execvpe (launch->argv[0], launch->argv, env);
      (void) error_errno (&err, errno, "starting %s", launch->argv[0]);
      if (launch->program > 0) /* a container's runtime; else it is the command */
        (void) error_blame_machine (&err);
    }
  (void) !write (child->report, &err, sizeof err);
  _exit (SET_UP_FAILED);
}

/* ---- in the parent ---------------------------------------------------------------------- */

static int
write_map (pid_t pid, const char *name, const char *text, struct error *err)
{
  char path[64];
  (void) snprintf (path, sizeof path, "/proc/%d/%s", (int) pid, name);
  auto_fd int fd = open (path, O_WRONLY | O_CLOEXEC);
  if (fd >= 0 && fs_write_all (fd, text, strlen (text), path, err) == 0)
    return 0;
  if (fd < 0)
    (void) error_errno (err, errno, "%s", path);
  return error_blame_machine (err);
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

static int
launch_release (int go, struct error *err)
{
  return write (go, "", 1) == 1 ? 0 : error_errno (err, errno, "starting a process");
}

#ifdef __SANITIZE_THREAD__
/* ThreadSanitizer takes each clone for a fork, and would note in the memory that parent and child
 * share that a child with one thread goes on: it would see no lock of the parent's any more. This
 * is the same function by the name that it leaves alone. */
int __clone (int (*function) (void *), void *stack, int flags, void *context, ...);
#define clone __clone
#endif

/* What is cloned, and what comes of it. */
struct birth
{
  struct child *child;
  char *stack;
  int *pidfd;
  pid_t pid;
  int code; /* errno */
};

/* Runs the child in new namespaces. Without maps to write it may borrow our memory, as
 * posix_spawn's do: we stand still until it runs its program, and nothing is copied. */
static void
give_birth (void *context, int into)
{
  struct birth *birth = context;
  bool borrows = !birth->child->launch->user_namespace;
  int flags = CLONE_NEWPID | CLONE_NEWNS;
  if (into >= 0)
    {
      birth->pid =
          cgroup_v2_fork (into, (uint64_t) (flags | (borrows ? 0 : CLONE_NEWUSER)), birth->pidfd);
      if (birth->pid == 0)
        (void) run_child (birth->child);
    }
  else
    birth->pid =
        clone (run_child, birth->stack + STACK_SIZE,
               flags | CLONE_PIDFD | SIGCHLD | (borrows ? CLONE_VM | CLONE_VFORK : CLONE_NEWUSER),
               birth->child, birth->pidfd);
  birth->code = errno;
}

/* All signals are blocked meanwhile, as our handlers would run in the child. */
static pid_t
clone_child (struct child *child, char *stack, int *pidfd)
{
  struct cgroup *group = child->launch->group;
  struct birth birth = { .child = child, .stack = stack, .pidfd = pidfd };
  sigset_t all;
  sigset_t before;
  (void) sigfillset (&all);
  (void) pthread_sigmask (SIG_SETMASK, &all, &before);
  if (group != NULL)
    cgroup_call (group, give_birth, &birth);
  else
    give_birth (&birth, -1);
  (void) pthread_sigmask (SIG_SETMASK, &before, NULL);
  /* The child's frames were never left. */
  ASAN_UNPOISON_MEMORY_REGION (stack, STACK_SIZE);
  errno = birth.code;
  return birth.pid;
}

static pid_t
start_child (struct child *child, int *pidfd, struct error *err)
{
  char *stack = mmap (NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
  if (stack == MAP_FAILED)
    return error_errno (err, errno, "memory for a process");
  pid_t pid = clone_child (child, stack, pidfd);
  if (pid < 0)
    (void) error_errno (err, errno, "a process in namespaces of its own");
  (void) munmap (stack, STACK_SIZE);
  return pid;
}

/* Waits until the child runs its program: 0, or -1 with what it reported. */
static int
await_program (int report, struct error *err)
{
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

/* *COPY is FD under another number than LAUNCH_EXTRA_FD; -1 for none. */
static int
copy_clear (int fd, int *copy)
{
  *copy = fd > 0 ? fcntl (fd, F_DUPFD_CLOEXEC, LAUNCH_EXTRA_FD + 1) : -1;
  return fd > 0 && *copy < 0 ? -1 : 0;
}

/* Sees to it that *FD isn't LAUNCH_EXTRA_FD. */
static int
clear_extra (int *fd)
{
  int moved = *fd == LAUNCH_EXTRA_FD ? fcntl (*fd, F_DUPFD_CLOEXEC, LAUNCH_EXTRA_FD + 1) : *fd;
  if (moved < 0)
    return -1;
  if (moved != *fd)
    (void) close (*fd);
  *fd = moved;
  return 0;
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
  auto_fd int program = -1;
  auto_fd int extra = -1;
  if (clear_extra (&report_write) != 0 || copy_clear (launch->program, &program) != 0
      || copy_clear (launch->extra_fd, &extra) != 0)
    return error_errno (err, errno, "descriptors");
  struct child child = { .launch = launch,
                         .go_read = go_read,
                         .go_write = go_write,
                         .report = report_write,
                         .report_read = report_read,
                         .program = program,
                         .extra = extra };
  bool maps = launch->user_namespace;
  if (!maps && launch_release (go_write, err) != 0)
    return -1;
  pid_t pid = start_child (&child, pidfd, err);
  if (pid < 0)
    return error_blame_machine (err);
  auto_fd_ (&report_write);
  report_write = -1;
  auto_fd_ (&go_read);
  go_read = -1;
  if ((!maps || (write_maps (pid, err) == 0 && launch_release (go_write, err) == 0))
      && await_program (report_read, err) == 0)
    return pid;
  (void) kill (pid, SIGKILL);
  (void) waitpid (pid, NULL, 0);
  auto_fd_ (pidfd);
  *pidfd = -1;
  return -1;
}
