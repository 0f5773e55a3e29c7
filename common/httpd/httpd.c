#include "common/httpd/httpd.h"

#include "common/clock.h"
#include "common/httpd/address.h"
#include "common/httpd/clerk.h"
#include "common/httpd/route.h"
#include "common/log.h"
#include "common/memory.h"

#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

enum
{
  CONNECTIONS_MAX = 64,
  IDLE_SECONDS = 15,        /* of a connection that says nothing */
  REQUEST_MS = 60000,       /* from its first line to its last byte */
  DISCARD_MAX = 4 << 20,    /* of a body that isn't wanted: so that the sender reads the answer */
  MEMORY_MAX = 32 << 10,    /* bytes a connection: headers */
  LAST_ANSWERS_SECONDS = 2, /* for answers to get out at the end */
};

struct httpd
{
  struct MHD_Daemon *daemon;
  struct clerk *clerk;
  struct address address;
  const struct http_route *routes;
  size_t route_count;
  size_t body_max;
  bool has_token;
  uint8_t token[DIGEST_SIZE]; /* token_sum of it */
  struct metrics *metrics;
  pthread_mutex_t lock;
  pthread_cond_t calm;
  int open; /* exchanges that aren't over */
};

/* One request and its answer. Belongs to the server thread, or, while its connection is suspended, to the clerk. */
struct exchange
{
  struct httpd *httpd;
  struct MHD_Connection *connection;
  const struct http_route *route; /* NULL when none fits */
  char *path;
  const char *rest;
  struct buffer body;
  size_t received; /* bytes of the body, kept or not */
  int64_t begun;   /* boot ms */
  bool decided;    /* there is an answer */
  struct http_answer answer;
};

/* ---- deciding what is asked ------------------------------------------------------------- */

static void
refuse (struct exchange *exchange, unsigned int status, const char *header, const char *value,
        const char *message)
{
  http_refuse (&exchange->answer, status, NULL, message);
  exchange->answer.header = header;
  exchange->answer.header_value = xstrdup (value);
  exchange->decided = true;
}

static void
find_route (struct exchange *exchange, const char *method)
{
  const struct httpd *httpd = exchange->httpd;
  const char *allowed = NULL;
  exchange->route = route_find (httpd->routes, httpd->route_count, method, exchange->path,
                                &exchange->rest, &allowed);
  if (exchange->route != NULL)
    return;
  if (allowed != NULL)
    refuse (exchange, MHD_HTTP_METHOD_NOT_ALLOWED, "Allow", allowed, "this method isn't allowed");
  else
    refuse (exchange, MHD_HTTP_NOT_FOUND, NULL, NULL, "there is nothing at this path");
}

static void
check_token (struct exchange *exchange)
{
  const struct httpd *httpd = exchange->httpd;
  if (!exchange->route->guarded)
    return;
  if (!httpd->has_token)
    {
      refuse (exchange, MHD_HTTP_FORBIDDEN, NULL, NULL,
              "closed: this service was started without a token (--token-file or SHOAL_TOKEN)");
      return;
    }
  const char *header = MHD_lookup_connection_value (exchange->connection, MHD_HEADER_KIND,
                                                    MHD_HTTP_HEADER_AUTHORIZATION);
  if (!token_is_in (header, httpd->token))
    refuse (exchange, MHD_HTTP_UNAUTHORIZED, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer",
            header == NULL ? "a token is needed: Authorization: Bearer TOKEN"
                           : "this token isn't the one");
}

static void
refuse_size (struct exchange *exchange)
{
  auto_free char *message =
      xasprintf ("the body is too large: at most %zu bytes", exchange->httpd->body_max);
  buffer_release (&exchange->body);
  refuse (exchange, MHD_HTTP_CONTENT_TOO_LARGE, NULL, NULL, message);
}

/* Bytes that the client said it would send; 0 when it didn't say. */
static size_t
announced (const struct exchange *exchange)
{
  const char *length = MHD_lookup_connection_value (exchange->connection, MHD_HEADER_KIND,
                                                    MHD_HTTP_HEADER_CONTENT_LENGTH);
  return length == NULL ? 0 : strtoul (length, NULL, 10);
}

/* ---- answering -------------------------------------------------------------------------- */

static void
count (const struct exchange *exchange)
{
  if (exchange->httpd->metrics == NULL)
    return;
  auto_free char *code = xasprintf ("%u", exchange->answer.status);
  const char *path = exchange->route == NULL ? "other" : exchange->route->path;
  metric_add (metrics_counter (exchange->httpd->metrics, "shoal_http_requests_total",
                               "Requests that were answered.", LABELS ("path", path, "code", code)),
              1);
}

static enum MHD_Result
answer (struct exchange *exchange)
{
  struct http_answer *given = &exchange->answer;
  if (given->status == 0)
    http_refuse (given, MHD_HTTP_INTERNAL_SERVER_ERROR, NULL, "no answer was given");
  size_t size = given->body.size;
  struct MHD_Response *response =
      MHD_create_response_from_buffer (size, buffer_take (&given->body), MHD_RESPMEM_MUST_FREE);
  if (response == NULL)
    return MHD_NO;
  const char *type = given->type == NULL ? "application/json" : given->type;
  (void) MHD_add_response_header (response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
  (void) MHD_add_response_header (response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
  if (given->header != NULL && given->header_value != NULL)
    (void) MHD_add_response_header (response, given->header, given->header_value);
  enum MHD_Result result = MHD_queue_response (exchange->connection, given->status, response);
  MHD_destroy_response (response);
  count (exchange);
  log_debug ("http", "path=%s status=%u ms=%lld",
             exchange->route == NULL ? "other" : exchange->route->path, given->status,
             (long long) (clock_boot_ms () - exchange->begun));
  return result;
}

static void
handle (struct exchange *exchange)
{
  const struct http_request request = { .path = exchange->path,
                                        .rest = exchange->rest,
                                        .body = buffer_bytes (&exchange->body),
                                        .connection = exchange->connection };
  exchange->route->handle (exchange->route->context, &request, &exchange->answer);
  exchange->decided = true;
}

static void
work (void *task)
{
  struct exchange *exchange = task;
  handle (exchange);
  MHD_resume_connection (exchange->connection);
}

static void
refuse_now (struct exchange *exchange)
{
  refuse (exchange, MHD_HTTP_SERVICE_UNAVAILABLE, MHD_HTTP_HEADER_RETRY_AFTER, "1",
          "busy, or about to end: try again");
}

static void
drop (void *task)
{
  struct exchange *exchange = task;
  refuse_now (exchange);
  MHD_resume_connection (exchange->connection);
}

/* Hands it to the clerk; its connection is looked at again when that is done. */
static enum MHD_Result
defer (struct exchange *exchange)
{
  MHD_suspend_connection (exchange->connection);
  if (!clerk_put (exchange->httpd->clerk, exchange))
    drop (exchange);
  return MHD_YES;
}

/* ---- what the library calls ------------------------------------------------------------- */

static struct exchange *
begin (struct httpd *httpd, struct MHD_Connection *connection, const char *path, const char *method)
{
  struct exchange *exchange = xcalloc (1, sizeof *exchange);
  *exchange = (struct exchange){
    .httpd = httpd, .connection = connection, .path = xstrdup (path), .begun = clock_boot_ms ()
  };
  (void) pthread_mutex_lock (&httpd->lock);
  httpd->open++;
  (void) pthread_mutex_unlock (&httpd->lock);
  find_route (exchange, method);
  if (!exchange->decided)
    check_token (exchange);
  if (!exchange->decided && announced (exchange) > httpd->body_max)
    refuse_size (exchange);
  return exchange;
}

/* Takes a part of the body. A body that isn't wanted is read for a while, or the client would see a broken connection and no answer. */
static enum MHD_Result
take_body (struct exchange *exchange, const char *data, size_t *size)
{
  exchange->received += *size;
  if (!exchange->decided && exchange->received > exchange->httpd->body_max)
    refuse_size (exchange);
  if (exchange->received > exchange->httpd->body_max + DISCARD_MAX
      || clock_boot_ms () - exchange->begun > REQUEST_MS)
    return MHD_NO;
  if (!exchange->decided)
    buffer_append (&exchange->body, data, *size);
  *size = 0;
  return MHD_YES;
}

static enum MHD_Result
on_request (void *context, struct MHD_Connection *connection, const char *path, const char *method,
            const char *version, const char *data, size_t *size, void **state)
{
  (void) version;
  struct exchange *exchange = *state;
  if (exchange == NULL)
    {
      *state = exchange = begin (context, connection, path, method);
      bool hopeless = exchange->decided && announced (exchange) > DISCARD_MAX;
      return hopeless ? answer (exchange) : MHD_YES;
    }
  if (*size > 0)
    return take_body (exchange, data, size);
  if (exchange->decided)
    return answer (exchange);
  if (exchange->route->slow)
    return defer (exchange);
  handle (exchange);
  return answer (exchange);
}

static void
on_end (void *context, struct MHD_Connection *connection, void **state,
        enum MHD_RequestTerminationCode how)
{
  struct httpd *httpd = context;
  struct exchange *exchange = *state;
  (void) connection;
  (void) how;
  if (exchange == NULL)
    return;
  free (exchange->path);
  buffer_release (&exchange->body);
  buffer_release (&exchange->answer.body);
  free (exchange->answer.header_value);
  free (exchange);
  *state = NULL;
  (void) pthread_mutex_lock (&httpd->lock);
  if (--httpd->open == 0)
    (void) pthread_cond_signal (&httpd->calm);
  (void) pthread_mutex_unlock (&httpd->lock);
}

/* ---- life ------------------------------------------------------------------------------- */

static void
httpd_free (struct httpd *httpd)
{
  clerk_free (httpd->clerk);
  address_forget (&httpd->address);
  (void) pthread_cond_destroy (&httpd->calm);
  (void) pthread_mutex_destroy (&httpd->lock);
  free (httpd);
}

static struct MHD_Daemon *
start_daemon (struct httpd *httpd, int fd)
{
  const unsigned int flags =
      MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
  return MHD_start_daemon (flags, 0, NULL, NULL, on_request, httpd, MHD_OPTION_LISTEN_SOCKET, fd,
                           MHD_OPTION_NOTIFY_COMPLETED, on_end, httpd, MHD_OPTION_CONNECTION_LIMIT,
                           (unsigned int) CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                           (unsigned int) IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                           (size_t) MEMORY_MAX, MHD_OPTION_END);
}

static int
start (struct httpd *httpd, const char *address, struct error *err)
{
  auto_fd int fd = address_listen (address, &httpd->address, err);
  if (fd < 0)
    return -1;
  httpd->clerk = clerk_start (work, drop, err);
  if (httpd->clerk == NULL)
    return -1;
  httpd->daemon = start_daemon (httpd, fd);
  if (httpd->daemon == NULL)
    return error_set (err, ERROR_TRANSIENT, "the HTTP server can't be started");
  (void) take_fd (&fd);
  return 0;
}

struct httpd *
httpd_start (const struct httpd_options *options, struct error *err)
{
  struct httpd *httpd = xcalloc (1, sizeof *httpd);
  httpd->routes = options->routes;
  httpd->route_count = options->route_count;
  httpd->body_max = options->body_max;
  httpd->metrics = options->metrics;
  httpd->has_token = options->token != NULL;
  if (options->token != NULL)
    token_sum (options->token, httpd->token);
  pthread_condattr_t clock;
  (void) pthread_condattr_init (&clock);
  (void) pthread_condattr_setclock (&clock, CLOCK_MONOTONIC);
  (void) pthread_cond_init (&httpd->calm, &clock);
  (void) pthread_condattr_destroy (&clock);
  (void) pthread_mutex_init (&httpd->lock, NULL);

  /* Threads inherit the mask: signals are the service's. */
  sigset_t all;
  sigset_t before;
  (void) sigfillset (&all);
  (void) pthread_sigmask (SIG_SETMASK, &all, &before);
  int result = start (httpd, options->address, err);
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

/* Waits until what was answered is out, for a while. */
static void
await_calm (struct httpd *httpd)
{
  struct timespec until;
  (void) clock_gettime (CLOCK_MONOTONIC, &until);
  until.tv_sec += LAST_ANSWERS_SECONDS;
  (void) pthread_mutex_lock (&httpd->lock);
  while (httpd->open > 0 && pthread_cond_timedwait (&httpd->calm, &httpd->lock, &until) == 0)
    ;
  (void) pthread_mutex_unlock (&httpd->lock);
}

void
httpd_close (struct httpd *httpd)
{
  if (httpd == NULL)
    return;
  int fd = MHD_quiesce_daemon (httpd->daemon);
  auto_fd_ (&fd);
  clerk_stop (httpd->clerk);
  await_calm (httpd);
  MHD_stop_daemon (httpd->daemon);
  httpd_free (httpd);
}
