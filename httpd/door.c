/* From a connection to a request's head. The bytes are looked at where they are, in the socket, so
 * that the library still reads all of them. */
#include "httpd/httpd_internal.h"

#include "common/clock.h"
#include "httpd/head.h"
#include "httpd/route.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum
{
  LEAVING_MS = 2000,
  DEAF_MS = 200,
  AT_ONCE = 64, /* connections taken before others are served again */
};

/* ---- the end of a connection ------------------------------------------------------------ */

static void
close_now (struct httpd *httpd, struct connection *connection)
{
  (void) close (connection->fd);
  connections_drop (&httpd->connections, connection);
}

void
door_end (void *context, struct connection *connection, const char *reason)
{
  struct httpd *httpd = context;
  bool leaving = connection->phase == PHASE_LEAVING;
  if (!leaving)
    httpd_count_end (httpd, reason);
  if (leaving || connection->phase == PHASE_WAITING)
    {
      close_now (httpd, connection);
      return;
    }
  (void) shutdown (connection->fd, SHUT_RDWR);
  connection->phase = PHASE_ENDED;
}

/* Says why CONNECTION isn't served, in one short answer that its socket takes whole, or not at
 * all. */
static void
turn_away (struct httpd *httpd, struct connection *connection, unsigned int status,
           const char *message, const char *reason)
{
  struct http_answer answer = { 0 };
  auto_buffer struct buffer text = { 0 };
  httpd_count_end (httpd, reason);
  http_refuse (&answer, status, NULL, message);
  buffer_printf (&text,
                 "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                 "%sConnection: close\r\n\r\n",
                 status, MHD_get_reason_phrase_for (status), answer.body.size,
                 status == MHD_HTTP_SERVICE_UNAVAILABLE ? "Retry-After: 1\r\n" : "");
  buffer_append (&text, answer.body.data, answer.body.size);
  buffer_release (&answer.body);
  (void) send (connection->fd, text.data, text.size, MSG_NOSIGNAL | MSG_DONTWAIT);
  (void) shutdown (connection->fd, SHUT_WR);
  connection->phase = PHASE_LEAVING;
  connection->deadline = clock_boot_ms () + LEAVING_MS;
}

/* Throws away what it still sends: a socket that is closed with bytes in it resets, and the answer
 * is lost. */
static void
let_leave (struct httpd *httpd, struct connection *connection)
{
  char bytes[4096];
  ssize_t got = 0;
  do
    got = recv (connection->fd, bytes, sizeof bytes, MSG_DONTWAIT);
  while (got > 0);
  if (got == 0 || (errno != EAGAIN && errno != EINTR))
    close_now (httpd, connection);
}

/* ---- a whole head ----------------------------------------------------------------------- */

static bool
is_probe (const struct httpd *httpd, const struct head *head)
{
  const char *rest = NULL;
  const char *allowed = NULL;
  const struct http_route *route = route_find (httpd->options.routes, httpd->options.route_count,
                                               head->method, head->path, &rest, &allowed);
  return route != NULL && !route->guarded && !route->slow;
}

/* Hands CONNECTION to the library. */
static void
door_hand_over (struct httpd *httpd, struct connection *connection, const struct head *head)
{
  struct sockaddr_storage peer = { .ss_family = AF_UNIX };
  socklen_t size = sizeof peer;
  if (!connections_serve (&httpd->connections, connection, is_probe (httpd, head), door_end, httpd))
    {
      turn_away (httpd, connection, MHD_HTTP_SERVICE_UNAVAILABLE, "busy: try again", "busy");
      let_leave (httpd, connection);
      return;
    }
  (void) epoll_ctl (httpd->epoll, EPOLL_CTL_DEL, connection->fd, NULL);
  (void) getpeername (connection->fd, (struct sockaddr *) &peer, &size);
  connection->deadline = clock_boot_ms () + httpd->options.refused_ms;
  httpd->handed = connection;
  enum MHD_Result taken =
      MHD_add_connection (httpd->daemon, connection->fd, (struct sockaddr *) &peer, size);
  /* Where the library had begun with it, it has told us of its end. */
  if (taken != MHD_YES && httpd->handed != NULL)
    connections_drop (&httpd->connections, httpd->handed);
  httpd->handed = NULL;
}

/* ---- what comes ------------------------------------------------------------------------- */

static void
connection_check_head (struct httpd *httpd, struct connection *connection, bool ended)
{
  char bytes[HEAD_MAX];
  struct head head;
  ssize_t got = recv (connection->fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (got <= 0)
    {
      close_now (httpd, connection);
      return;
    }
  switch (head_read ((struct bytes){ bytes, (size_t) got }, &head))
    {
    case HEAD_WHOLE:
      door_hand_over (httpd, connection, &head);
      return;
    case HEAD_WRONG:
      turn_away (httpd, connection, head.status, head.wrong, "malformed");
      let_leave (httpd, connection);
      return;
    case HEAD_MORE:
      if (ended)
        close_now (httpd, connection);
      return;
    }
}

void
door_read (struct httpd *httpd, struct connection *connection, bool ended)
{
  if (connection->phase == PHASE_LEAVING)
    let_leave (httpd, connection);
  else if (connection->phase == PHASE_WAITING)
    connection_check_head (httpd, connection, ended);
}

/* ---- connections ------------------------------------------------------------------------ */

static void
door_accept_one (struct httpd *httpd, int fd, const struct sockaddr *address, socklen_t size)
{
  struct connection *connection =
      connections_add (&httpd->connections, fd, address, size, door_end, httpd);
  struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = connection };
  if (connection == NULL)
    {
      httpd_count_end (httpd, "address");
      (void) close (fd);
      return;
    }
  connection->deadline = clock_boot_ms () + httpd->options.head_ms;
  if (epoll_ctl (httpd->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
    close_now (httpd, connection);
  else
    connection_check_head (httpd, connection, false);
}

void
door_open (struct httpd *httpd)
{
  for (int i = 0; i < AT_ONCE; i++)
    {
      struct sockaddr_storage address = { 0 };
      socklen_t size = sizeof address;
      int fd = accept4 (httpd->listener, (struct sockaddr *) &address, &size,
                        SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd >= 0)
        {
          door_accept_one (httpd, fd, (const struct sockaddr *) &address, size);
          continue;
        }
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        {
          httpd->deaf_until = clock_boot_ms () + DEAF_MS;
          (void) epoll_ctl (httpd->epoll, EPOLL_CTL_DEL, httpd->listener, NULL);
        }
      if (errno != ECONNABORTED && errno != EINTR)
        return;
    }
}
