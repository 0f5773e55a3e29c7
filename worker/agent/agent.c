/* The first process of a pod's container that commands run in: takes them from the worker in the
 * pod's other container, one at a time.
 *
 *     agent serve SOCKET                  as process 1
 *     agent serve SOCKET -- ENTRYPOINT…   the same; what the image's ENTRYPOINT is
 *     agent install FILE                  puts itself there: for an image without a shell
 *     agent probe                         exits with 0
 *
 * A static program: it runs in any image. As the first process of a PID namespace it can end all
 * that a command left, which no other process of the machine could be hit by; elsewhere it refuses
 * to serve. A worker is who has the agent's own user, or root, and comes from another container:
 * the commands, which have the same user, can't give it orders.
 */
#include "worker/agent/command.h"
#include "worker/agent/limits.h"
#include "worker/agent/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum
{
  AGENT_BACKLOG = 16,
  AGENT_MODE = 0755,
};

struct agent
{
  const char *path; /* of the socket */
  struct stat socket;
  int listen_fd;
  int signal_fd;
  int self_fd; /* this program */
  int peer_fd; /* -1: no worker */
  pid_t command;
  int64_t cpu_us; /* of what has been reaped since it was started */
  int64_t oom_before;
  bool ending; /* once no worker is there any more */
  struct agent_answer me;
};

/* ---- processes -------------------------------------------------------------------------- */

static int64_t
agent_cpu_us (const struct rusage *used)
{
  return (int64_t) (used->ru_utime.tv_sec + used->ru_stime.tv_sec) * 1000000
         + used->ru_utime.tv_usec + used->ru_stime.tv_usec;
}

/* Ends all other processes of the container; a fork that was under way comes too late for the
 * first round only. */
static void
agent_end_all (struct agent *agent)
{
  struct rusage used;
  for (;;)
    {
      (void) kill (-1, SIGKILL);
      if (wait4 (-1, NULL, 0, &used) > 0)
        agent->cpu_us += agent_cpu_us (&used);
      else if (errno == ECHILD)
        break;
    }
  agent->command = 0;
}

/* Reaps what has ended; true with the command's STATUS if that has. */
static bool
agent_reap (struct agent *agent, int *status)
{
  bool ended = false;
  for (;;)
    {
      struct rusage used;
      int how = 0;
      pid_t pid = wait4 (-1, &how, WNOHANG, &used);
      if (pid <= 0)
        return ended;
      agent->cpu_us += agent_cpu_us (&used);
      if (pid != agent->command)
        continue;
      *status = how;
      ended = true;
    }
}

/* ---- the socket ------------------------------------------------------------------------- */

/* Commands have the folder as well: whatever lies at PATH goes, or elsewhere if it is a folder with
 * contents. */
static void
agent_make_way (const char *path)
{
  char aside[AGENT_PATH];
  uint64_t mark = 0;
  if (unlink (path) == 0 || errno == ENOENT || rmdir (path) == 0
      || getrandom (&mark, sizeof mark, 0) != sizeof mark)
    return;
  int size = snprintf (aside, sizeof aside, "%s.%016llx", path, (unsigned long long) mark);
  if (size > 0 && (size_t) size < sizeof aside)
    (void) rename (path, aside);
}

/* Nobody finds it before it listens. */
static int
agent_bind (struct agent *agent)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int size = snprintf (address.sun_path, sizeof address.sun_path, "%s.new", agent->path);
  if (size < 0 || (size_t) size >= sizeof address.sun_path)
    {
      errno = ENAMETOOLONG;
      return -1;
    }
  agent_make_way (address.sun_path);
  agent_make_way (agent->path);
  int fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  mode_t before = umask (0177);
  int result = fd < 0 ? -1 : bind (fd, (const struct sockaddr *) &address, sizeof address);
  (void) umask (before);
  if (result != 0 || listen (fd, AGENT_BACKLOG) != 0 || rename (address.sun_path, agent->path) != 0
      || lstat (agent->path, &agent->socket) != 0)
    {
      int code = errno;
      if (fd >= 0)
        (void) close (fd);
      errno = code;
      return -1;
    }
  if (agent->listen_fd >= 0)
    (void) close (agent->listen_fd);
  agent->listen_fd = fd;
  return 0;
}

/* A command may have removed, replaced or locked what workers come by. Where none has, it stays:
 * somebody may be waiting at it. */
static void
agent_bind_again (struct agent *agent)
{
  const struct stat *ours = &agent->socket;
  struct stat now;
  if (lstat (agent->path, &now) == 0 && now.st_dev == ours->st_dev && now.st_ino == ours->st_ino
      && now.st_ctim.tv_sec == ours->st_ctim.tv_sec && now.st_ctim.tv_nsec == ours->st_ctim.tv_nsec)
    return;
  if (agent_bind (agent) != 0)
    (void) dprintf (STDERR_FILENO, "agent: %s: %s\n", agent->path, strerror (errno));
}

/* Whoever is in this container has a process number here; a worker has none. */
static bool
agent_trusts (int fd)
{
  struct ucred who = { 0 };
  socklen_t size = sizeof who;
  return getsockopt (fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && who.pid == 0
         && (who.uid == 0 || who.uid == geteuid ());
}

static void
agent_accept (struct agent *agent)
{
  int fd = accept4 (agent->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd >= 0 && !agent_trusts (fd))
    {
      (void) close (fd);
      fd = -1;
    }
  agent->peer_fd = fd;
}

static void
agent_hang_up (struct agent *agent)
{
  agent_end_all (agent);
  (void) close (agent->peer_fd);
  agent->peer_fd = -1;
  agent_bind_again (agent);
}

/* False where nobody takes it. */
static bool
agent_say (const struct agent *agent, struct agent_answer *answer, enum agent_kind kind)
{
  answer->magic = AGENT_MAGIC;
  answer->version = AGENT_VERSION;
  answer->kind = (uint32_t) kind;
  return send (agent->peer_fd, answer, sizeof *answer, MSG_NOSIGNAL) == (ssize_t) sizeof *answer;
}

static bool
agent_refuse (const struct agent *agent, const char *why)
{
  struct agent_answer answer = { 0 };
  (void) snprintf (answer.text, sizeof answer.text, "%s", why);
  (void) agent_say (agent, &answer, AGENT_REFUSED);
  return false;
}

/* ---- what is asked ---------------------------------------------------------------------- */

/* Each of these: false ends the connection. */

static bool
agent_look (const struct agent *agent, const struct agent_request *request)
{
  struct agent_answer answer = { 0 };
  struct stat status;
  struct statvfs system;
  if (stat (request->path, &status) != 0 || statvfs (request->path, &system) != 0)
    answer.code = errno;
  else
    {
      answer.mode = status.st_mode;
      answer.device = status.st_dev;
      answer.inode = status.st_ino;
      answer.read_only = (system.f_flag & ST_RDONLY) != 0;
    }
  return agent_say (agent, &answer, AGENT_LOOK);
}

static bool
agent_signal (const struct agent *agent, int number)
{
  if (number <= 0 || number >= NSIG)
    return agent_refuse (agent, "no such signal");
  if (agent->command > 0)
    (void) kill (number == SIGKILL ? -1 : agent->command, number);
  return true;
}

static bool
agent_tell_end (struct agent *agent, int status)
{
  struct agent_answer answer = { .status = status };
  agent_end_all (agent);
  answer.cpu_us = agent->cpu_us;
  agent_bind_again (agent); /* before the worker knows, who may come again at once */
  answer.oom = agent->oom_before >= 0 && limits_oom_kills () > agent->oom_before;
  return agent_say (agent, &answer, AGENT_RUN);
}

static bool
agent_run (struct agent *agent, const struct agent_request *request, const int *fds)
{
  struct agent_command command = { 0 };
  struct command_failure failure;
  if (agent->command > 0)
    return agent_refuse (agent, "a command runs already");
  const char *why = command_read (&command, request, fds);
  if (why != NULL)
    {
      command_release (&command);
      return agent_refuse (agent, why);
    }
  agent->cpu_us = 0;
  agent->oom_before = limits_oom_kills ();
  agent->command = command_start (&command, request, fds, agent->self_fd, &failure);
  command_release (&command);
  if (agent->command > 0)
    return true;
  struct agent_answer answer = { .step = failure.step, .code = failure.code };
  agent_end_all (agent);
  return agent_say (agent, &answer, AGENT_RUN);
}

static bool
agent_answer_request (struct agent *agent, struct agent_request *request, const int *fds,
                      size_t fd_count)
{
  if (request->magic != AGENT_MAGIC || request->version != AGENT_VERSION
      || memchr (request->path, '\0', sizeof request->path) == NULL)
    return agent_refuse (agent, "worker and agent are of different versions of shoal");
  if (fd_count != (request->kind == AGENT_RUN ? AGENT_DESCRIPTORS : 0))
    return agent_refuse (agent, "not the descriptors that go with it");
  switch (request->kind)
    {
    case AGENT_HELLO:
      return agent_say (agent, &agent->me, AGENT_HELLO);
    case AGENT_LOOK:
      return agent_look (agent, request);
    case AGENT_RUN:
      return agent_run (agent, request, fds);
    case AGENT_SIGNAL:
      return agent_signal (agent, request->signal);
    default:
      return agent_refuse (agent, "no such request");
    }
}

/* Takes what came; false ends the connection. */
static bool
agent_take (struct agent *agent)
{
  struct agent_request request;
  union
  {
    struct cmsghdr header;
    char bytes[CMSG_SPACE (AGENT_DESCRIPTORS * sizeof (int))];
  } control;
  struct iovec place = { &request, sizeof request };
  struct msghdr message = { .msg_iov = &place,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = CMSG_LEN (AGENT_DESCRIPTORS * sizeof (int)) };
  int fds[AGENT_DESCRIPTORS];
  size_t count = 0;
  ssize_t got = recvmsg (agent->peer_fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (got < 0)
    return errno == EAGAIN || errno == EINTR;
  for (struct cmsghdr *part = CMSG_FIRSTHDR (&message); part != NULL;
       part = CMSG_NXTHDR (&message, part))
    if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS)
      {
        size_t here = (part->cmsg_len - CMSG_LEN (0)) / sizeof (int);
        here = here > AGENT_DESCRIPTORS - count ? AGENT_DESCRIPTORS - count : here;
        memcpy (fds + count, CMSG_DATA (part), here * sizeof (int));
        count += here;
      }
  bool goes_on = false;
  if (got == (ssize_t) sizeof request && (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0)
    goes_on = agent_answer_request (agent, &request, fds, count);
  else if (got > 0)
    (void) agent_refuse (agent, "not a request");
  for (size_t i = 0; i < count; i++)
    (void) close (fds[i]);
  return goes_on;
}

/* ---- serving ---------------------------------------------------------------------------- */

/* True if the connection is to end. */
static bool
agent_take_signals (struct agent *agent)
{
  struct signalfd_siginfo info;
  bool failed = false;
  while (read (agent->signal_fd, &info, sizeof info) == (ssize_t) sizeof info)
    {
      int status = 0;
      if (info.ssi_signo == SIGCHLD)
        {
          if (agent_reap (agent, &status) && !agent_tell_end (agent, status))
            failed = true;
        }
      else if (info.ssi_signo == SIGTERM && info.ssi_pid == 0)
        agent->ending = true; /* it comes from outside, not from a command */
    }
  return failed;
}

static void
agent_loop (struct agent *agent)
{
  while (!agent->ending || agent->peer_fd >= 0)
    {
      struct pollfd fds[] = {
        { .fd = agent->signal_fd, .events = POLLIN },
        { .fd = agent->peer_fd >= 0 ? agent->peer_fd : agent->listen_fd, .events = POLLIN },
      };
      if (poll (fds, 2, -1) < 0)
        continue;
      bool failed = fds[0].revents != 0 && agent_take_signals (agent);
      if (agent->peer_fd < 0 && fds[1].revents != 0)
        agent_accept (agent);
      else if (agent->peer_fd >= 0 && (failed || (fds[1].revents != 0 && !agent_take (agent))))
        agent_hang_up (agent);
    }
}

static int
agent_fail (const char *what)
{
  (void) dprintf (STDERR_FILENO, "agent: %s: %s\n", what, strerror (errno));
  return 1;
}

static int
agent_introduce (struct agent_answer *me, int count, char **words)
{
  struct statvfs root;
  size_t used = 0;
  *me = (struct agent_answer){ .uid = geteuid (), .gid = getegid () };
  me->knows_entrypoint = count > 0;
  for (int i = 1; i < count; i++, me->words++)
    {
      size_t size = strlen (words[i]) + 1;
      if (size > sizeof me->text - used)
        {
          errno = E2BIG;
          return -1;
        }
      memcpy (me->text + used, words[i], size);
      used += size;
    }
  me->memory = limits_memory ();
  me->cpus = limits_cpus ();
  me->read_only_root = statvfs ("/", &root) == 0 && (root.f_flag & ST_RDONLY) != 0;
  return getrandom (&me->instance, sizeof me->instance, 0) == sizeof me->instance ? 0 : -1;
}

/* WORDS: "--" and the entrypoint, or none. */
static int
agent_serve (const char *path, int count, char **words)
{
  struct agent agent = { .path = path, .listen_fd = -1, .peer_fd = -1 };
  sigset_t all;
  if (getpid () != 1)
    {
      (void) dprintf (STDERR_FILENO,
                      "agent: this isn't the first process of its container: leave out "
                      "shareProcessNamespace and hostPID, and make it the container's command\n");
      return AGENT_EXIT_UNFIT;
    }
  (void) sigfillset (&all);
  (void) sigprocmask (SIG_SETMASK, &all, NULL);
  (void) prctl (PR_SET_DUMPABLE, 0); /* commands have the same user: not theirs to trace */
  agent.self_fd = open ("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  agent.signal_fd = signalfd (-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
  if (agent.self_fd < 0 || agent.signal_fd < 0 || agent_introduce (&agent.me, count, words) != 0)
    return agent_fail ("starting");
  if (agent_bind (&agent) != 0)
    return agent_fail (path);
  agent_loop (&agent);
  (void) unlink (path);
  return 0;
}

static int
agent_install (const char *path)
{
  struct stat status;
  off_t at = 0;
  int from = open ("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (from < 0 || fstat (from, &status) != 0)
    return agent_fail ("this program");
  (void) unlink (path); /* it may run */
  int to = open (path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, AGENT_MODE);
  if (to < 0)
    return agent_fail (path);
  while (at < status.st_size)
    if (sendfile (to, from, &at, (size_t) (status.st_size - at)) <= 0)
      return agent_fail (path);
  return fchmod (to, AGENT_MODE) == 0 && close (to) == 0 ? 0 : agent_fail (path);
}

int
main (int argc, char **argv)
{
  if (argc == 2 && strcmp (argv[1], "probe") == 0)
    return 0;
  if (argc == 3 && strcmp (argv[1], "install") == 0)
    return agent_install (argv[2]);
  if (argc >= 3 && strcmp (argv[1], "serve") == 0 && (argc == 3 || strcmp (argv[3], "--") == 0))
    return agent_serve (argv[2], argc - 3, argv + 3);
  (void) dprintf (STDERR_FILENO, "usage: agent serve SOCKET [-- ENTRYPOINT...]\n"
                                 "       agent install FILE\n"
                                 "       agent probe\n");
  return AGENT_EXIT_UNFIT;
}
