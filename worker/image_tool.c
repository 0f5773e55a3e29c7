#include "worker/image_tool.h"

#include "common/spawn.h"
#include "common/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum
{
  SAID_MAX = 1500, /* bytes of a program's stderr that go into an error */
  READ_SIZE = 4096,
};

/* The ends of pipes: the program's output, its errors, and why it couldn't be started. */
struct pipes
{
  int out[2];
  int err[2];
  int start[2];
};

#define PIPES_INIT                                                                                 \
  {                                                                                                \
    { -1, -1 }, { -1, -1 }, { -1, -1 }                                                             \
  }

static void
pipes_release (struct pipes *pipes)
{
  auto_fd_ (&pipes->out[0]);
  auto_fd_ (&pipes->out[1]);
  auto_fd_ (&pipes->err[0]);
  auto_fd_ (&pipes->err[1]);
  auto_fd_ (&pipes->start[0]);
  auto_fd_ (&pipes->start[1]);
}
#define auto_pipes AUTO (pipes_release)

static int
pipes_open (struct pipes *pipes, struct error *err)
{
  if (pipe2 (pipes->out, O_CLOEXEC) == 0 && pipe2 (pipes->err, O_CLOEXEC) == 0
      && pipe2 (pipes->start, O_CLOEXEC) == 0)
    return 0;
  return error_errno (err, errno, "pipe");
}

static void
pipes_close_ends (struct pipes *pipes)
{
  auto_fd_ (&pipes->out[1]);
  auto_fd_ (&pipes->err[1]);
  auto_fd_ (&pipes->start[1]);
  pipes->out[1] = pipes->err[1] = pipes->start[1] = -1;
}

/* ---- in the child ----------------------------------------------------------------------- */

static int
image_tool_prepare (const struct image_tool *tool, const struct image_tmp *tmp,
                    const struct pipes *pipes, pid_t parent)
{
  sigset_t none;
  (void) sigemptyset (&none);
  if (prctl (PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid () != parent || setpgid (0, 0) != 0
      || fchdir (tmp->fd) != 0)
    return -1;
  int in = tool->in_fd >= 0 ? tool->in_fd : open ("/dev/null", O_RDONLY | O_CLOEXEC);
  int out = tool->out_fd >= 0 ? tool->out_fd : pipes->out[1];
  if (in < 0 || (in != 0 && dup2 (in, 0) < 0) || dup2 (out, 1) < 0 || dup2 (pipes->err[1], 2) < 0)
    return -1;
  (void) signal (SIGXFSZ, SIG_DFL);
  (void) signal (SIGPIPE, SIG_DFL);
  return sigprocmask (SIG_SETMASK, &none, NULL);
}

static void __attribute__ ((noreturn))
image_tool_become (const struct image_tool *tool, const struct image_tmp *tmp,
                   const struct pipes *pipes, pid_t parent, char *const *argv)
{
  if (image_tool_prepare (tool, tmp, pipes, parent) == 0)
    (void) execvp (argv[0], argv);
  int code = errno;
  ssize_t ignored = write (pipes->start[1], &code, sizeof code);
  _exit (ignored > 0 ? 127 : 126);
}

/* ---- in the parent ---------------------------------------------------------------------- */

/* Reads what FD has into BUFFER (NULL: drops it). False at its end. */
static bool
image_tool_read (int fd, struct buffer *buffer, size_t limit)
{
  char bytes[READ_SIZE];
  ssize_t got = read (fd, bytes, sizeof bytes);
  if (got > 0 && buffer != NULL && buffer->size < limit)
    buffer_append (buffer, bytes, (size_t) got);
  return got > 0 || (got < 0 && errno == EINTR);
}

/* Until both pipes have ended: 0; or until a signal came: -1. */
static int
image_tool_watch (const struct pipes *pipes, struct buffer *out, struct buffer *said)
{
  sigset_t set;
  (void) sigemptyset (&set);
  (void) sigaddset (&set, SIGINT);
  (void) sigaddset (&set, SIGTERM);
  (void) sigaddset (&set, SIGHUP);
  /* One that isn't blocked never comes here: it does to us what it does. */
  auto_fd int signals = signalfd (-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  struct pollfd fds[] = { { .fd = pipes->out[0], .events = POLLIN },
                          { .fd = pipes->err[0], .events = POLLIN },
                          { .fd = signals, .events = POLLIN } };
  while (fds[0].fd >= 0 || fds[1].fd >= 0)
    {
      if (poll (fds, 3, -1) < 0)
        continue;
      if (fds[2].revents != 0)
        return -1;
      if (fds[0].revents != 0 && !image_tool_read (fds[0].fd, out, SIZE_MAX))
        fds[0].fd = -1;
      if (fds[1].revents != 0 && !image_tool_read (fds[1].fd, said, SAID_MAX))
        fds[1].fd = -1;
    }
  return 0;
}

static int
image_tool_missing (const struct image_tool *tool, const char *program, int code, struct error *err)
{
  if (code != ENOENT)
    return error_errno (err, code, "starting %s", program);
  return error_set (err, ERROR_USER, "%s isn't installed (Debian package %s)", program,
                    tool->package != NULL ? tool->package : program);
}

static int
image_tool_await (const struct image_tool *tool, const struct pipes *pipes, pid_t pid,
                  const char *program, struct error *err)
{
  auto_buffer struct buffer said = { 0 };
  int code = 0;
  int status = 0;
  bool started = read (pipes->start[0], &code, sizeof code) != (ssize_t) sizeof code;
  bool interrupted = started && image_tool_watch (pipes, tool->out, &said) != 0;
  if (interrupted && kill (-pid, SIGKILL) != 0)
    (void) kill (pid, SIGKILL);
  while (waitpid (pid, &status, 0) < 0 && errno == EINTR)
    ;
  if (!started)
    return image_tool_missing (tool, program, code, err);
  if (!interrupted)
    return spawn_result (program, status, &said, err);
  (void) error_set (err, ERROR_TRANSIENT, "interrupted");
  if (err != NULL)
    err->code = EINTR;
  return -1;
}

int
image_tool_run (const struct image_tool *tool, const struct image_tmp *tmp, struct strlist *argv,
                struct error *err)
{
  char *const *words = strlist_argv (argv);
  auto_pipes struct pipes pipes = PIPES_INIT;
  if (pipes_open (&pipes, err) != 0)
    return -1;
  if (sys_before_spawn () != 0)
    return error_errno (err, errno, "starting %s", words[0]);
  pid_t self = getpid ();
  pid_t pid = fork ();
  if (pid == 0)
    image_tool_become (tool, tmp, &pipes, self, words);
  if (pid < 0)
    return error_errno (err, errno, "starting %s", words[0]);
  pipes_close_ends (&pipes);
  return image_tool_await (tool, &pipes, pid, words[0], err);
}
