/* One request that the library has, and its answer. */
#include "httpd/httpd_internal.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "httpd/route.h"

#include <string.h>

enum
{
  IDLE_SECONDS = 15,     /* of a connection that says nothing */
  DISCARD_MAX = 4 << 20, /* of a body that isn't wanted: so that the sender reads the answer */
  MEMORY_MAX = 32 << 10, /* bytes a connection: headers */
  ENDING_MAX = 64,       /* connections that are shut down and not closed yet */
};

/* Belongs to the server thread, or, while its connection is suspended, to the slow thread. */
struct exchange
{
  struct httpd *httpd;
  struct MHD_Connection *connection;
  struct connection *place;
  const struct http_route *route; /* NULL when none fits */
  char *path;
  const char *rest;
  struct buffer body;
  size_t received; /* bytes of the body, kept or not */
  int64_t begun;   /* boot ms */
  bool decided;    /* there is an answer */
  struct http_answer answer;
  int who; /* whose token was shown */
};

/* ---- deciding what is asked ------------------------------------------------------------- */

static void
exchange_refuse (struct exchange *exchange, unsigned int status, const char *header,
                 const char *value, const char *message)
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
  exchange->route = route_find (httpd->options.routes, httpd->options.route_count, method,
                                exchange->path, &exchange->rest, &allowed);
  if (exchange->route != NULL)
    return;
  if (allowed != NULL)
    exchange_refuse (exchange, MHD_HTTP_METHOD_NOT_ALLOWED, "Allow", allowed, "method not allowed");
  else
    exchange_refuse (exchange, MHD_HTTP_NOT_FOUND, NULL, NULL, "not found");
}

/* Whose token HEADER has: 0 the service's, another's number, or -1. */
static int
exchange_find_token (const struct httpd *httpd, const char *header)
{
  const struct httpd_options *options = &httpd->options;
  uint8_t sum[DIGEST_SIZE];
  if (httpd->has_token && token_is_in (header, httpd->token))
    return 0;
  int who = options->who == NULL || !token_sum_in (header, sum)
                ? 0
                : options->who (options->who_context, sum);
  return who > 0 ? who : -1;
}

static void
check_token (struct exchange *exchange)
{
  const struct httpd *httpd = exchange->httpd;
  if (!exchange->route->guarded)
    return;
  if (!httpd->has_token && httpd->options.who == NULL)
    {
      exchange_refuse (exchange, MHD_HTTP_FORBIDDEN, NULL, NULL,
                       "disabled: this service has no token (--token-file or SHOAL_TOKEN)");
      return;
    }
  const char *header = MHD_lookup_connection_value (exchange->connection, MHD_HEADER_KIND,
                                                    MHD_HTTP_HEADER_AUTHORIZATION);
  exchange->who = exchange_find_token (httpd, header);
  if (exchange->who < 0)
    exchange_refuse (exchange, MHD_HTTP_UNAUTHORIZED, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer",
                     header == NULL ? "token required: Authorization: Bearer TOKEN"
                                    : "invalid token");
  else
    exchange->place->trusted = true;
}

static void
refuse_size (struct exchange *exchange)
{
  auto_free char *message =
      xasprintf ("the body is too large: at most %zu bytes", exchange->httpd->options.body_max);
  buffer_release (&exchange->body);
  exchange_refuse (exchange, MHD_HTTP_CONTENT_TOO_LARGE, NULL, NULL, message);
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
exchange_count (const struct exchange *exchange)
{
  struct metrics *metrics = exchange->httpd->options.metrics;
  if (metrics == NULL)
    return;
  auto_free char *code = xasprintf ("%u", exchange->answer.status);
  const char *path = exchange->route == NULL ? "other" : exchange->route->path;
  metric_add (metrics_counter (metrics, "shoal_http_requests_total",
                               "HTTP requests answered, by path and status.",
                               LABELS ("path", path, "code", code)),
              1);
}

static enum MHD_Result
exchange_send (struct exchange *exchange)
{
  struct http_answer *given = &exchange->answer;
  if (given->status == 0)
    http_refuse (given, MHD_HTTP_INTERNAL_SERVER_ERROR, NULL, "no response");
  size_t size = given->body.size;
  struct MHD_Response *response =
      MHD_create_response_from_buffer (size, buffer_take (&given->body), MHD_RESPMEM_MUST_FREE);
  if (response == NULL)
    return MHD_NO;
  const char *type = given->type == NULL ? "application/json" : given->type;
  (void) MHD_add_response_header (response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
  (void) MHD_add_response_header (response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
  /* The next request would come to the library unseen by the door. */
  (void) MHD_add_response_header (response, MHD_HTTP_HEADER_CONNECTION, "close");
  if (given->header != NULL && given->header_value != NULL)
    (void) MHD_add_response_header (response, given->header, given->header_value);
  enum MHD_Result result = MHD_queue_response (exchange->connection, given->status, response);
  MHD_destroy_response (response);
  exchange->place->deadline = clock_boot_ms () + exchange->httpd->options.answer_ms;
  exchange->place->busy = false;
  exchange->place->answered = true;
  exchange_count (exchange);
  log_debug ("http", "path=%s status=%u ms=%lld",
             exchange->route == NULL ? "other" : exchange->route->path, given->status,
             (long long) (clock_boot_ms () - exchange->begun));
  return result;
}

static void
handle (struct exchange *exchange)
{
  const struct http_request request = { .path = exchange->path,
                                        .who = exchange->who,
                                        .rest = exchange->rest,
                                        .body = buffer_bytes (&exchange->body),
                                        .connection = exchange->connection };
  exchange->route->handle (exchange->route->context, &request, &exchange->answer);
  exchange->decided = true;
}

/* The exchange is the server thread's again, at once and not when it looks the next time. */
static void
give_back (struct exchange *exchange)
{
  const struct httpd *httpd = exchange->httpd;
  MHD_resume_connection (exchange->connection);
  httpd_wake (httpd);
}

void
exchange_work (void *task)
{
  handle (task);
  give_back (task);
}

static void
refuse_now (struct exchange *exchange)
{
  exchange_refuse (exchange, MHD_HTTP_SERVICE_UNAVAILABLE, MHD_HTTP_HEADER_RETRY_AFTER, "1",
                   "busy or shutting down: try again");
}

void
exchange_drop (void *task)
{
  refuse_now (task);
  give_back (task);
}

/* Hands it to the slow thread; its connection is looked at again when that is done. */
static enum MHD_Result
defer (struct exchange *exchange)
{
  MHD_suspend_connection (exchange->connection);
  exchange->place->busy = true;
  exchange->place->deadline = 0;
  if (!slow_thread_put (exchange->httpd->slow_thread, exchange))
    exchange_drop (exchange);
  return MHD_YES;
}

/* ---- what the library calls ------------------------------------------------------------- */

static struct connection *
exchange_place_of (struct MHD_Connection *connection)
{
  return MHD_get_connection_info (connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static struct exchange *
exchange_begin (struct httpd *httpd, struct MHD_Connection *connection, const char *path,
                const char *method)
{
  struct exchange *exchange = xcalloc (1, sizeof *exchange);
  *exchange = (struct exchange){ .httpd = httpd,
                                 .connection = connection,
                                 .place = exchange_place_of (connection),
                                 .path = xstrdup (path),
                                 .begun = clock_boot_ms () };
  find_route (exchange, method);
  if (!exchange->decided)
    check_token (exchange);
  if (!exchange->decided && announced (exchange) > httpd->options.body_max)
    refuse_size (exchange);
  exchange->place->deadline =
      exchange->begun + (exchange->decided ? httpd->options.refused_ms : httpd->options.body_ms);
  return exchange;
}

/* Takes a part of the body. A body that isn't wanted is read for a while, or the client would see a
 * broken connection and no answer. */
static enum MHD_Result
take_body (struct exchange *exchange, const char *data, size_t *size)
{
  exchange->received += *size;
  if (!exchange->decided && exchange->received > exchange->httpd->options.body_max)
    refuse_size (exchange);
  if (exchange->received > exchange->httpd->options.body_max + DISCARD_MAX)
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
      *state = exchange = exchange_begin (context, connection, path, method);
      bool hopeless = exchange->decided && announced (exchange) > DISCARD_MAX;
      return hopeless ? exchange_send (exchange) : MHD_YES;
    }
  if (*size > 0)
    return take_body (exchange, data, size);
  if (exchange->decided)
    return exchange_send (exchange);
  if (exchange->route->slow)
    return defer (exchange);
  handle (exchange);
  return exchange_send (exchange);
}

static void
exchange_on_end (void *context, struct MHD_Connection *connection, void **state,
                 enum MHD_RequestTerminationCode how)
{
  struct exchange *exchange = *state;
  (void) context;
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
}

/* The library has taken the connection that it was handed, or is about to close it. */
static void
on_connection (void *context, struct MHD_Connection *connection, void **place,
               enum MHD_ConnectionNotificationCode what)
{
  struct httpd *httpd = context;
  (void) connection;
  if (what == MHD_CONNECTION_NOTIFY_STARTED)
    *place = take (&httpd->handed);
  else
    connections_drop (&httpd->connections, *place);
}

struct MHD_Daemon *
exchange_daemon (struct httpd *httpd)
{
  const unsigned int flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET;
  return MHD_start_daemon (
      flags, 0, NULL, NULL, on_request, httpd, MHD_OPTION_NOTIFY_COMPLETED, exchange_on_end, httpd,
      MHD_OPTION_NOTIFY_CONNECTION, on_connection, httpd, MHD_OPTION_CONNECTION_LIMIT,
      (unsigned int) (SERVED_MAX + PROBES_MAX + ENDING_MAX), MHD_OPTION_CONNECTION_TIMEOUT,
      (unsigned int) IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) MEMORY_MAX,
      MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
}
