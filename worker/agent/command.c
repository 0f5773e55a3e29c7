#include "worker/agent/command.h"

#include "worker/agent/no_network.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum
{
  COMMAND_WORDS,
  COMMAND_OUT,
  COMMAND_ERR,
  COMMAND_FAILED = 127, /* exit code of a process that couldn't become the command */
};

/* ---- its words -------------------------------------------------------------------------- */

/* The whole of FD with a NUL behind it; *SIZE without that. NULL where it is no file, or too
 * large, or there is no memory. */
static char *
command_read_file (int fd, size_t *size)
{
  struct stat status;
  if (fstat (fd, &status) != 0 || !S_ISREG (status.st_mode) || status.st_size <= 0
      || status.st_size > AGENT_WORDS_MAX)
    return NULL;
  *size = (size_t) status.st_size;
  char *bytes = calloc (*size + 1, 1);
  for (size_t at = 0; bytes != NULL && at < *size;)
    {
      ssize_t got = pread (fd, bytes + at, *size - at, (off_t) at);
      if (got <= 0)
        {
          free (bytes);
          return NULL;
        }
      at += (size_t) got;
    }
  return bytes;
}

/* Where ENV has the name of VARIABLE, "NAME=…", or its end. */
static char **
command_find (char **env, const char *variable)
{
  size_t name = strcspn (variable, "=") + 1;
  while (*env != NULL && strncmp (*env, variable, name) != 0)
    env++;
  return env;
}

const char *
command_read (struct agent_command *command, const struct agent_request *request, const int *fds)
{
  size_t size = 0;
  size_t own = 0;
  while (environ[own] != NULL)
    own++;
  if (request->argc > AGENT_COUNT_MAX || request->envc > AGENT_COUNT_MAX
      || (request->argc == 0 && request->probe == 0))
    return "no words, or too many";
  command->words = command_read_file (fds[COMMAND_WORDS], &size);
  command->argv = calloc ((size_t) request->argc + 1, sizeof *command->argv);
  command->env = calloc (own + request->envc + 1, sizeof *command->env);
  if (command->words == NULL || command->argv == NULL || command->env == NULL)
    return "its words can't be read, or are too long";
  memcpy (command->env, environ, own * sizeof *command->env);
  char *word = command->words;
  for (uint32_t i = 0; i < request->argc + request->envc; i++)
    {
      if (word >= command->words + size)
        return "fewer words than said";
      if (i < request->argc)
        command->argv[i] = word;
      else
        *command_find (command->env, word) = word;
      word += strlen (word) + 1;
    }
  return word == command->words + size || request->argc + request->envc == 0
             ? NULL
             : "other words than said";
}

void
command_release (struct agent_command *command)
{
  free (command->words);
  free (command->argv);
  free (command->env);
  *command = (struct agent_command){ 0 };
}

/* ---- its start -------------------------------------------------------------------------- */

static const char *
command_path_of (char *const *env)
{
  for (; *env != NULL; env++)
    if (strncmp (*env, "PATH=", strlen ("PATH=")) == 0)
      return *env + strlen ("PATH=");
  return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

/* Becomes the command; returns why not. A name without a slash is looked for in its own PATH. */
static int
command_become (const struct agent_command *command)
{
  const char *name = command->argv[0];
  int found = ENOENT;
  if (strchr (name, '/') != NULL)
    {
      (void) execve (name, command->argv, command->env);
      return errno;
    }
  for (const char *folder = command_path_of (command->env);;)
    {
      char file[AGENT_PATH];
      size_t length = strcspn (folder, ":");
      int size = snprintf (file, sizeof file, "%.*s%s%s", (int) length, folder,
                           length > 0 ? "/" : "", name);
      if (size > 0 && (size_t) size < sizeof file)
        {
          (void) execve (file, command->argv, command->env);
          if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
            return errno;
          found = errno == EACCES ? EACCES : found;
        }
      if (folder[length] == '\0')
        return found;
      folder += length + 1;
    }
}

/* Commands are the first that the kernel kills when memory runs out: without the agent nobody
 * could tell. It may be forbidden. */
static void
command_offer_to_oom (void)
{
  (void) prctl (PR_SET_DUMPABLE, 1); /* else the file is root's */
  int fd = open ("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0)
    return;
  (void) !write (fd, "1000", strlen ("1000"));
  (void) close (fd);
}

static struct command_failure
command_set_up (const struct agent_request *request, const int *fds)
{
  sigset_t none;
  (void) sigemptyset (&none);
  (void) setsid ();
  command_offer_to_oom ();
  int null = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null < 0 || dup2 (null, STDIN_FILENO) < 0 || dup2 (fds[COMMAND_OUT], STDOUT_FILENO) < 0
      || dup2 (fds[COMMAND_ERR], STDERR_FILENO) < 0 || prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
      || (request->no_network != 0 && no_network_enter () != 0))
    return (struct command_failure){ AGENT_STEP_SET_UP, errno };
  if (request->path[0] != '\0' && chdir (request->path) != 0)
    return (struct command_failure){ AGENT_STEP_FOLDER, errno };
  (void) umask (request->umask & 0777);
  (void) sigprocmask (SIG_SETMASK, &none, NULL);
  return (struct command_failure){ AGENT_STEP_NONE, 0 };
}

_Noreturn static void
command_child (const struct agent_command *command, const struct agent_request *request,
               const int *fds, int self_fd, int report)
{
  char name[] = "agent";
  char probe[] = "probe";
  char *const argv[] = { name, probe, NULL };
  struct command_failure failure = command_set_up (request, fds);
  if (failure.step == AGENT_STEP_NONE)
    {
      failure.step = AGENT_STEP_EXEC;
      if (request->probe == 0)
        failure.code = command_become (command);
      else
        {
          (void) syscall (SYS_execveat, self_fd, "", argv, command->env, AT_EMPTY_PATH);
          failure.code = errno;
        }
    }
  (void) !write (report, &failure, sizeof failure);
  _exit (COMMAND_FAILED);
}

pid_t
command_start (const struct agent_command *command, const struct agent_request *request,
               const int *fds, int self_fd, struct command_failure *failure)
{
  int report[2];
  *failure = (struct command_failure){ AGENT_STEP_SET_UP, 0 };
  if (pipe2 (report, O_CLOEXEC) != 0)
    {
      failure->code = errno;
      return -1;
    }
  pid_t pid = fork ();
  if (pid == 0)
    command_child (command, request, fds, self_fd, report[1]);
  if (pid < 0)
    failure->code = errno;
  (void) close (report[1]);
  /* Nothing comes once it has become the command. */
  if (pid > 0 && read (report[0], failure, sizeof *failure) != (ssize_t) sizeof *failure)
    failure->step = AGENT_STEP_NONE;
  (void) close (report[0]);
  return failure->step == AGENT_STEP_NONE ? pid : -1;
}
