#include "common/spawn.h"

#include "common/auto.h"
#include "common/memory.h"
#include "common/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum
{
  EXTRA_FD = 3,          /* where the child finds extra_fd */
  ERROR_TEXT_MAX = 1500, /* of a child's stderr that goes into an error */
};

/* Puts FD at TARGET in the child. dup2 onto itself would keep close-on-exec set; posix_spawn clears
 * it there. */
static void
spawn_put_fd (posix_spawn_file_actions_t *actions, int fd, int target)
{
  if (fd >= 0)
    (void) posix_spawn_file_actions_adddup2 (actions, fd, target);
}

pid_t
spawn (char *const argv[], const struct spawn_options *options, struct error *err)
{
  if (sys_before_spawn () != 0)
    return error_errno (err, errno, "starting %s", argv[0]);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  (void) posix_spawn_file_actions_init (&actions);
  (void) posix_spawnattr_init (&attributes);

  sigset_t none;
  sigset_t all;
  (void) sigemptyset (&none);
  (void) sigfillset (&all);
  (void) posix_spawnattr_setsigmask (&attributes, &none);
  (void) posix_spawnattr_setsigdefault (&attributes, &all);
  (void) posix_spawnattr_setflags (&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  if (options->stdin_fd >= 0)
    spawn_put_fd (&actions, options->stdin_fd, STDIN_FILENO);
  else
    (void) posix_spawn_file_actions_addopen (&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  spawn_put_fd (&actions, options->stdout_fd, STDOUT_FILENO);
  spawn_put_fd (&actions, options->stderr_fd, STDERR_FILENO);
  spawn_put_fd (&actions, options->extra_fd, EXTRA_FD);
  /* What our own caller left open would be open in all parts, and in what they start. */
  (void) posix_spawn_file_actions_addclosefrom_np (&actions, options->extra_fd >= 0 ? EXTRA_FD + 1
                                                                                    : EXTRA_FD);

  pid_t pid = -1;
  int code = posix_spawnp (&pid, argv[0], &actions, &attributes, argv, environ);
  (void) posix_spawn_file_actions_destroy (&actions);
  (void) posix_spawnattr_destroy (&attributes);
  return code == 0 ? pid : error_errno (err, code, "starting %s", argv[0]);
}

/* Reads both pipes to their ends. */
static void
spawn_drain (int out_fd, struct buffer *out, int err_fd, struct buffer *err)
{
  struct pollfd fds[2] = { { .fd = out_fd, .events = POLLIN }, { .fd = err_fd, .events = POLLIN } };
  struct buffer *buffers[2] = { out, err };
  while (fds[0].fd >= 0 || fds[1].fd >= 0)
    {
      if (poll (fds, 2, -1) < 0)
        continue;
      for (int i = 0; i < 2; i++)
        {
          if (fds[i].fd < 0 || fds[i].revents == 0)
            continue;
          char *end = buffer_reserve (buffers[i], 4096);
          ssize_t got = read (fds[i].fd, end, 4096);
          if (got > 0)
            {
              buffers[i]->size += (size_t) got;
              buffers[i]->data[buffers[i]->size] = '\0';
            }
          else if (got == 0 || errno != EINTR)
            fds[i].fd = -1;
        }
    }
}

static void
spawn_trim (struct buffer *text)
{
  while (text->size > 0 && text->data[text->size - 1] == '\n')
    text->data[--text->size] = '\0';
  if (text->size > ERROR_TEXT_MAX)
    text->data[text->size = ERROR_TEXT_MAX] = '\0';
}

int
spawn_result (const char *program, int status, struct buffer *said, struct error *err)
{
  if (WIFEXITED (status) && WEXITSTATUS (status) == 0)
    return 0;
  spawn_trim (said);
  const char *text = said->size > 0 ? said->data : "no output";
  if (WIFSIGNALED (status))
    return error_set (err, ERROR_TRANSIENT, "%s was killed by signal %d: %s", program,
                      WTERMSIG (status), text);
  return error_set (err, ERROR_TRANSIENT, "%s exited with %d: %s", program, WEXITSTATUS (status),
                    text);
}

int
spawn_run (char *const argv[], struct buffer *out, struct error *err)
{
  int out_pipe[2] = { -1, -1 };
  int err_pipe[2] = { -1, -1 };
  if ((out != NULL && pipe2 (out_pipe, O_CLOEXEC) != 0) || pipe2 (err_pipe, O_CLOEXEC) != 0)
    {
      auto_fd_ (&out_pipe[0]);
      auto_fd_ (&out_pipe[1]);
      return error_errno (err, errno, "starting %s: pipe", argv[0]);
    }
  auto_fd int out_read = out_pipe[0];
  auto_fd int err_read = err_pipe[0];
  struct spawn_options options = SPAWN_DEFAULT;
  options.stdout_fd = out_pipe[1];
  options.stderr_fd = err_pipe[1];
  pid_t pid = spawn (argv, &options, err);
  auto_fd_ (&out_pipe[1]);
  auto_fd_ (&err_pipe[1]);
  if (pid < 0)
    return -1;

  auto_buffer struct buffer said = { 0 };
  spawn_drain (out_read, out, err_read, &said);
  int status = 0;
  while (waitpid (pid, &status, 0) < 0 && errno == EINTR)
    ;
  return spawn_result (argv[0], status, &said, err);
}

char *
spawn_self (struct error *err)
{
  char path[4096];
  ssize_t length = readlink ("/proc/self/exe", path, sizeof path - 1);
  if (length < 0)
    {
      (void) error_errno (err, errno, "/proc/self/exe");
      return NULL;
    }
  return xstrndup (path, (size_t) length);
}

int
spawn_die_with_parent (pid_t parent, struct error *err)
{
  if (prctl (PR_SET_PDEATHSIG, SIGKILL) != 0)
    return error_errno (err, errno, "prctl(PR_SET_PDEATHSIG)");
  if (getppid () != parent)
    return error_set (err, ERROR_FATAL, "the parent process %d is gone", (int) parent);
  return 0;
}
