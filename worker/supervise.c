#include "worker/supervise.h"

#include "common/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>

enum watched
{
  WATCH_END,
  WATCH_STDOUT,
  WATCH_STDERR,
  WATCH_CONTROL,
  WATCHED,
};

/* Deadlines on the boot clock; INT64_MAX: none. */
struct deadlines
{
  int64_t timeout; /* then the stop signal */
  int64_t kill;    /* then SIGKILL */
  int64_t look;    /* then the outputs are looked at */
};

static void
terminate (const struct supervision *supervision, struct deadlines *deadlines, int64_t after)
{
  if (deadlines->kill != INT64_MAX)
    return;
  container_signal (supervision->runtime, supervision->stop_signal);
  deadlines->kill = clock_boot_ms () + after;
}

static void
kill_now (const struct supervision *supervision, struct deadlines *deadlines)
{
  container_signal (supervision->runtime, SIGKILL);
  *deadlines = (struct deadlines){ INT64_MAX, INT64_MAX, INT64_MAX };
}

static void
slot_read_stop_order (struct supervision *supervision, struct deadlines *deadlines)
{
  const struct attempt_control *control = supervision->control;
  enum attempt_order order = control->read (control->context);
  if (order <= supervision->order)
    return;
  supervision->order = order;
  if (order == ATTEMPT_KILL)
    kill_now (supervision, deadlines);
  else
    terminate (supervision, deadlines, supervise_cancel_grace (supervision->job));
}

static void
check_deadlines (struct supervision *supervision, struct deadlines *deadlines)
{
  int64_t now = clock_boot_ms ();
  if (now >= deadlines->kill)
    {
      kill_now (supervision, deadlines);
      return;
    }
  if (now < deadlines->timeout)
    return;
  deadlines->timeout = INT64_MAX;
  supervision->timed_out = supervision->order == ATTEMPT_GO_ON;
  int64_t grace = supervision->job->stop_timeout_ms;
  terminate (supervision, deadlines, grace >= 0 ? grace : ATTEMPT_GRACE_MS);
}

static void
check_usage (struct supervision *supervision, struct deadlines *deadlines)
{
  if (clock_boot_ms () < deadlines->look)
    return;
  if (usage_update (supervision->usage, &supervision->excess) != 0)
    kill_now (supervision, deadlines);
  else
    deadlines->look = usage_due (supervision->usage);
}

static void
slot_pump (struct supervision *supervision, int which, struct deadlines *deadlines)
{
  if (capture_pump (&supervision->captures[which], &supervision->output) != 0)
    kill_now (supervision, deadlines); /* what it goes on to do can't be kept */
}

static int
slot_wait_ms (const struct deadlines *deadlines)
{
  int64_t next = deadlines->kill < deadlines->timeout ? deadlines->kill : deadlines->timeout;
  next = deadlines->look < next ? deadlines->look : next;
  if (next == INT64_MAX)
    return -1;
  int64_t left = next - clock_boot_ms ();
  return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int) left;
}

static void
slot_supervise_child (struct supervision *supervision, int end_fd)
{
  struct pollfd fds[WATCHED] = {
    [WATCH_END] = { .fd = end_fd, .events = POLLIN },
    [WATCH_STDOUT] = { .fd = supervision->captures[0].read_fd, .events = POLLIN },
    [WATCH_STDERR] = { .fd = supervision->captures[1].read_fd, .events = POLLIN },
    [WATCH_CONTROL] = { .fd = supervision->control->fd, .events = POLLIN },
  };
  struct deadlines deadlines = { INT64_MAX, INT64_MAX, usage_due (supervision->usage) };
  if (supervision->timeout_ms >= 0)
    deadlines.timeout = clock_boot_ms () + supervision->timeout_ms;
  while ((fds[WATCH_END].revents & (POLLIN | POLLHUP | POLLERR | POLLNVAL)) == 0)
    {
      if (poll (fds, WATCHED, slot_wait_ms (&deadlines)) < 0 && errno != EINTR)
        break;
      if (fds[WATCH_STDOUT].revents != 0)
        slot_pump (supervision, 0, &deadlines);
      if (fds[WATCH_STDERR].revents != 0)
        slot_pump (supervision, 1, &deadlines);
      if (fds[WATCH_CONTROL].revents != 0)
        slot_read_stop_order (supervision, &deadlines);
      if (supervision->order == ATTEMPT_KILL)
        fds[WATCH_CONTROL].fd = -1;
      check_deadlines (supervision, &deadlines);
      check_usage (supervision, &deadlines);
    }
}

/* What is left in the pipes: nothing writes to them any more. */
static void
slot_drain (struct supervision *supervision)
{
  for (int i = 0; i < 2; i++)
    {
      struct capture *capture = &supervision->captures[i];
      auto_fd_ (&capture->write_fd);
      capture->write_fd = -1;
      (void) capture_pump (capture, &supervision->output);
    }
}

/* An order that comes while the runtime waits ends the waiting. */
static int
supervise_ask (void *context, struct error *err)
{
  struct supervision *supervision = context;
  const struct attempt_control *control = supervision->control;
  enum attempt_order order = control->fd >= 0 ? control->read (control->context) : ATTEMPT_GO_ON;
  if (order > supervision->order)
    supervision->order = order;
  return supervision->order == ATTEMPT_GO_ON ? 0
                                             : error_set (err, ERROR_TRANSIENT, "it was stopped");
}

int64_t
supervise_cancel_grace (const struct job *job)
{
  return job->stop_timeout_ms >= 0 ? job->stop_timeout_ms : ATTEMPT_CANCEL_GRACE_MS;
}

int
supervise (struct supervision *supervision, const struct container *container,
           struct container_exit *exit, struct error *err)
{
  const struct halt halt = { .ask = supervise_ask, .context = supervision };
  struct container asked = *container;
  asked.halt = &halt;
  if (container_prepare (supervision->runtime, &asked, err) != 0)
    return -1;
  supervision->job = container->job;
  supervision->stop_signal = container_stop_signal (supervision->runtime, container->job);
  if (supervision->control->fd >= 0)
    supervision->order = supervision->control->read (supervision->control->context);
  if (supervision->order != ATTEMPT_GO_ON)
    return error_set (err, ERROR_TRANSIENT, "stopped before it was started");
  int end_fd = container_start (supervision->runtime, &asked, err);
  if (end_fd < 0)
    return -1;
  slot_supervise_child (supervision, end_fd);
  int result = container_wait (supervision->runtime, exit, err);
  slot_drain (supervision);
  return result;
}
