#include "worker/pod_link.h"

#include "common/auto.h"
#include "common/buffer.h"
#include "common/fs.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum
{
  POD_LINK_TIMEOUT_S = 10, /* for an answer that needs no waiting */
  POD_LINK_GLANCE_S = 3,   /* … and of an agent that has nothing to do */
  POD_LINK_UMASK = 022,
};

static int
pod_link_fail (struct error *err, const char *what)
{
  if (errno == EPIPE || errno == ECONNRESET)
    return error_set (err, ERROR_TRANSIENT, "the agent hung up");
  (void) error_errno (err, errno, "%s", what);
  return error_blame_machine (err);
}

static int
pod_link_connect (const char *path, time_t seconds, struct error *err)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  const struct timeval patience = { .tv_sec = seconds };
  if (strlen (path) >= sizeof address.sun_path)
    return error_set (err, ERROR_TRANSIENT, "%s: too long for a socket", path);
  memcpy (address.sun_path, path, strlen (path) + 1);
  auto_fd int fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0 || setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0
      || setsockopt (fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0
      || connect (fd, (const struct sockaddr *) &address, sizeof address) != 0)
    return pod_link_fail (err, path);
  return take_fd (&fd);
}

static int
pod_link_send (int fd, struct agent_request *request, enum agent_kind kind, const int *fds,
               struct error *err)
{
  union
  {
    struct cmsghdr header;
    char bytes[CMSG_SPACE (AGENT_DESCRIPTORS * sizeof (int))];
  } control = { 0 };
  struct iovec place = { request, sizeof *request };
  struct msghdr message = { .msg_iov = &place, .msg_iovlen = 1 };
  request->magic = AGENT_MAGIC;
  request->version = AGENT_VERSION;
  request->kind = (uint32_t) kind;
  if (fds != NULL)
    {
      message.msg_control = &control;
      message.msg_controllen = sizeof control;
      struct cmsghdr *part = CMSG_FIRSTHDR (&message);
      part->cmsg_level = SOL_SOCKET;
      part->cmsg_type = SCM_RIGHTS;
      part->cmsg_len = CMSG_LEN (AGENT_DESCRIPTORS * sizeof (int));
      memcpy (CMSG_DATA (part), fds, AGENT_DESCRIPTORS * sizeof (int));
    }
  return sendmsg (fd, &message, MSG_NOSIGNAL) == (ssize_t) sizeof *request
             ? 0
             : pod_link_fail (err, "asking the agent");
}

/* 1; 0 where the agent is gone; or -1. */
static int
pod_link_receive (int fd, enum agent_kind kind, struct agent_answer *answer, struct error *err)
{
  ssize_t got;
  do
    got = recv (fd, answer, sizeof *answer, 0);
  while (got < 0 && errno == EINTR);
  if (got == 0 || (got < 0 && errno == ECONNRESET))
    return 0;
  if (got < 0)
    return pod_link_fail (err, "the agent's answer");
  if (got != (ssize_t) sizeof *answer || answer->magic != AGENT_MAGIC
      || answer->version != AGENT_VERSION)
    return error_set (err, ERROR_TRANSIENT,
                      "the agent is of another version: its init container and the worker need the "
                      "same image of shoal");
  answer->text[sizeof answer->text - 1] = '\0';
  if (answer->kind == AGENT_REFUSED)
    return error_set (err, ERROR_TRANSIENT, "the agent refused: %.200s", answer->text);
  return answer->kind == (uint32_t) kind
             ? 1
             : error_set (err, ERROR_TRANSIENT, "the agent answered something else");
}

static int
pod_link_ask (int fd, struct agent_request *request, enum agent_kind kind,
              struct agent_answer *answer, struct error *err)
{
  if (pod_link_send (fd, request, kind, NULL, err) != 0)
    return -1;
  int got = pod_link_receive (fd, kind, answer, err);
  return got == 0 ? error_set (err, ERROR_TRANSIENT, "the agent hung up") : got < 0 ? -1 : 0;
}

static int
pod_link_greet (const char *socket, time_t seconds, struct agent_answer *me, struct error *err)
{
  struct agent_request request = { 0 };
  auto_fd int fd = pod_link_connect (socket, seconds, err);
  if (fd < 0)
    return error_wrap (err, "the pod's agent");
  if (pod_link_ask (fd, &request, AGENT_HELLO, me, err) != 0)
    return error_wrap (err, "%s", socket);
  return take_fd (&fd);
}

int
pod_link_open (const char *socket, struct agent_answer *me, struct error *err)
{
  return pod_link_greet (socket, POD_LINK_TIMEOUT_S, me, err);
}

bool
pod_link_answers (const char *socket, struct error *err)
{
  struct agent_answer me;
  auto_fd int fd = pod_link_greet (socket, POD_LINK_GLANCE_S, &me, err);
  return fd >= 0;
}

int
pod_link_look (int fd, const char *path, struct agent_answer *answer, struct error *err)
{
  struct agent_request request = { 0 };
  if (strlen (path) >= sizeof request.path)
    return error_set (err, ERROR_TRANSIENT, "%s: too long for the agent", path);
  memcpy (request.path, path, strlen (path) + 1);
  return pod_link_ask (fd, &request, AGENT_LOOK, answer, err);
}

static void
pod_link_put_words (struct buffer *words, const struct strlist *list)
{
  for (size_t i = 0; i < list->count; i++)
    buffer_append (words, list->items[i], strlen (list->items[i]) + 1);
}

int
pod_link_run (int fd, const struct pod_command *command, struct error *err)
{
  static const struct strlist none = { 0 };
  const struct strlist *argv = command->probe ? &none : command->argv;
  struct agent_request request = { .argc = (uint32_t) argv->count,
                                   .envc = (uint32_t) command->env->count,
                                   .umask = POD_LINK_UMASK,
                                   .no_network = command->no_network,
                                   .probe = command->probe };
  auto_buffer struct buffer words = { 0 };
  pod_link_put_words (&words, argv);
  pod_link_put_words (&words, command->env);
  if (words.size == 0)
    buffer_putc (&words, '\0');
  if (words.size > AGENT_WORDS_MAX || argv->count > AGENT_COUNT_MAX
      || command->env->count > AGENT_COUNT_MAX)
    return error_set (err, ERROR_USER, "starting %s: Argument list too long", argv->items[0]);
  if (command->workdir != NULL)
    {
      if (strlen (command->workdir) >= sizeof request.path)
        return error_set (err, ERROR_USER, "--workdir: too long");
      memcpy (request.path, command->workdir, strlen (command->workdir) + 1);
    }
  auto_fd int file = memfd_create ("words", MFD_CLOEXEC);
  if (file < 0)
    return pod_link_fail (err, "memory for the command's words");
  const int fds[AGENT_DESCRIPTORS] = { file, command->stdout_fd, command->stderr_fd };
  if (fs_write_all (file, words.data, words.size, "the command's words", err) != 0)
    return -1;
  return pod_link_send (fd, &request, AGENT_RUN, fds, err);
}

void
pod_link_signal (int fd, int number)
{
  struct agent_request request = { .signal = number };
  (void) pod_link_send (fd, &request, AGENT_SIGNAL, NULL, NULL);
}

int
pod_link_end (int fd, struct agent_answer *answer, struct error *err)
{
  return pod_link_receive (fd, AGENT_RUN, answer, err);
}
