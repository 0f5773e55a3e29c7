#include "httpd/httpd_internal.h"

#include "common/clock.h"
#include "common/memory.h"
#include "httpd/route.h"

#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum
{
  HEAD_MS = 10000,        /* from the connection to the end of the headers */
  REFUSED_MS = 5000,      /* for the body of a request that is refused */
  BODY_MS = 60000,        /* for another's */
  ANSWER_MS = 30000,      /* for taking the answer */
  LAST_ANSWERS_MS = 2000, /* for answers to get out at the end */
  LOOK_MS = 1000,         /* at most so long before deadlines are looked at again */
  EVENTS = 64,
};

/* ---- the server thread ------------------------------------------------------------------ */

static bool
is_set (const bool *flag)
{
  return __atomic_load_n (flag, __ATOMIC_ACQUIRE);
}

/* What an event is about, where it isn't a connection. */
#define EVENT_LISTENER(httpd) ((void *) &(httpd)->listener)
#define EVENT_LIBRARY(httpd) ((void *) &(httpd)->daemon)
#define EVENT_WAKE(httpd) ((void *) &(httpd)->wake)

static int
httpd_watch_fd (const struct httpd *httpd, int fd, void *about)
{
  struct epoll_event event = { .events = EPOLLIN, .data.ptr = about };
  return epoll_ctl (httpd->epoll, EPOLL_CTL_ADD, fd, &event);
}

/* Whether CONNECTION is there still: those of one round of events may end each other. */
static bool
httpd_is_there (const struct httpd *httpd, const struct connection *connection)
{
  const struct connection *one = httpd->connections.first;
  while (one != NULL && one != connection)
    one = one->next;
  return one != NULL;
}

static void
handle_event (struct httpd *httpd, const struct epoll_event *event)
{
  void *about = event->data.ptr;
  uint64_t count = 0;
  if (about == EVENT_LISTENER (httpd))
    door_open (httpd);
  else if (about == EVENT_WAKE (httpd))
    (void) !read (httpd->wake, &count, sizeof count);
  else if (about != EVENT_LIBRARY (httpd) && httpd_is_there (httpd, about))
    door_read (httpd, about, (event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
}

/* Ms until something is to be done whoever says nothing. */
static int
httpd_pause_of (struct httpd *httpd)
{
  int64_t now = clock_boot_ms ();
  int64_t next = connections_expire (&httpd->connections, now, door_end, httpd);
  int64_t pause = next < 0 || next - now > LOOK_MS ? LOOK_MS : next - now;
  MHD_UNSIGNED_LONG_LONG library = 0;
  if (MHD_get_timeout (httpd->daemon, &library) == MHD_YES && (int64_t) library < pause)
    pause = (int64_t) library;
  if (httpd->deaf_until != 0 && httpd->deaf_until - now < pause)
    pause = httpd->deaf_until - now;
  return pause < 0 ? 0 : (int) pause;
}

static void
listen_again (struct httpd *httpd)
{
  if (httpd->deaf_until == 0 || clock_boot_ms () < httpd->deaf_until)
    return;
  httpd->deaf_until = 0;
  (void) httpd_watch_fd (httpd, httpd->listener, EVENT_LISTENER (httpd));
}

/* Nobody comes in any more, and who hasn't asked all yet goes. */
static void
shut_door (struct httpd *httpd)
{
  struct connection *following = NULL;
  auto_fd_ (&httpd->listener);
  httpd->deaf_until = 0;
  for (struct connection *one = httpd->connections.first; one != NULL; one = following)
    {
      following = one->next;
      bool asks = one->phase == PHASE_SERVED && !one->busy && !one->answered;
      if (one->phase == PHASE_WAITING || one->phase == PHASE_LEAVING || asks)
        door_end (httpd, one, "end");
    }
}

static void *
httpd_loop (void *context)
{
  struct httpd *httpd = context;
  struct epoll_event events[EVENTS];
  int64_t until = 0; /* boot ms, when ending */
  for (;;)
    {
      int count = epoll_wait (httpd->epoll, events, EVENTS, httpd_pause_of (httpd));
      for (int i = 0; i < count; i++)
        handle_event (httpd, &events[i]);
      (void) MHD_run (httpd->daemon);
      listen_again (httpd);
      if (is_set (&httpd->ending) && until == 0)
        {
          shut_door (httpd);
          until = clock_boot_ms () + LAST_ANSWERS_MS;
        }
      if (is_set (&httpd->idle)
          && (connections_served (&httpd->connections) == 0 || clock_boot_ms () >= until))
        return NULL;
    }
}

/* ---- life ------------------------------------------------------------------------------- */

static void
httpd_free (struct httpd *httpd)
{
  if (httpd->daemon != NULL)
    MHD_stop_daemon (httpd->daemon);
  slow_thread_free (httpd->slow_thread);
  auto_fd_ (&httpd->listener);
  auto_fd_ (&httpd->epoll);
  auto_fd_ (&httpd->wake);
  address_forget (&httpd->address);
  free (httpd);
}

static int
httpd_begin (struct httpd *httpd, struct error *err)
{
  httpd->listener = address_listen (httpd->options.address, &httpd->address, err);
  if (httpd->listener < 0)
    return -1;
  httpd->slow_thread = slow_thread_start (exchange_work, exchange_drop, err);
  if (httpd->slow_thread == NULL)
    return -1;
  httpd->daemon = exchange_daemon (httpd);
  httpd->epoll = epoll_create1 (EPOLL_CLOEXEC);
  httpd->wake = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (httpd->daemon == NULL || httpd_watch_fd (httpd, httpd->listener, EVENT_LISTENER (httpd)) != 0
      || httpd_watch_fd (httpd, httpd->wake, EVENT_WAKE (httpd)) != 0
      || httpd_watch_fd (httpd,
                         MHD_get_daemon_info (httpd->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
                         EVENT_LIBRARY (httpd))
             != 0
      || pthread_create (&httpd->thread, NULL, httpd_loop, httpd) != 0)
    return error_set (err, ERROR_TRANSIENT, "starting the HTTP server");
  return 0;
}

static void
set_default (int64_t *ms, int64_t value)
{
  if (*ms == 0)
    *ms = value;
}

struct httpd *
httpd_start (const struct httpd_options *options, struct error *err)
{
  struct httpd *httpd = xcalloc (1, sizeof *httpd);
  httpd->options = *options;
  httpd->options.token = NULL;
  httpd->listener = httpd->epoll = httpd->wake = -1;
  httpd->connections.per_address = options->per_address;
  httpd->has_token = options->token != NULL;
  if (options->token != NULL)
    token_sum (options->token, httpd->token);
  set_default (&httpd->options.head_ms, HEAD_MS);
  set_default (&httpd->options.refused_ms, REFUSED_MS);
  set_default (&httpd->options.body_ms, BODY_MS);
  set_default (&httpd->options.answer_ms, ANSWER_MS);

  /* Threads inherit the mask: signals are the service's. */
  sigset_t all;
  sigset_t before;
  (void) sigfillset (&all);
  (void) pthread_sigmask (SIG_SETMASK, &all, &before);
  int result = httpd_begin (httpd, err);
  (void) pthread_sigmask (SIG_SETMASK, &before, NULL);
  if (result == 0)
    return httpd;
  (void) error_wrap (err, "listening");
  httpd_free (httpd);
  return NULL;
}

const char *
httpd_address (const struct httpd *httpd)
{
  return httpd->address.name;
}

static void
httpd_set_flag (struct httpd *httpd, bool *flag)
{
  __atomic_store_n (flag, true, __ATOMIC_RELEASE);
  httpd_wake (httpd);
}

void
httpd_close (struct httpd *httpd)
{
  if (httpd == NULL)
    return;
  httpd_set_flag (httpd, &httpd->ending);
  slow_thread_stop (httpd->slow_thread);
  httpd_set_flag (httpd, &httpd->idle);
  (void) pthread_join (httpd->thread, NULL);
  httpd_free (httpd);
}
