/* httpd.h — a small HTTP server beside a service, in threads of its own.
 *
 *  server:  accept ─► head ─► route ─► token ─► body ─┬─► quick handler ─────────────┬─► answer
 *  slow:                                               └─► slow handlers, one by one ─┘
 *
 * The server thread never waits for anything but sockets, so that probes are answered however long
 * a bus takes. What may wait is a slow route: its handlers run one after the other in one thread,
 * which thus may own a bus handle. Requests have a size, connections a number and deadlines;
 * answers are short. HTTP/1.1 without TLS, one request a connection.
 */
#ifndef SHOAL_HTTPD_HTTPD_H
#define SHOAL_HTTPD_HTTPD_H

#include "common/buffer.h"
#include "common/error.h"
#include "common/metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What was asked; valid during the handler's call. */
struct http_request
{
  const char *path;
  const char *rest; /* what PATH has below a route that ends in a slash; else "" */
  struct bytes body;
  int who;          /* which token was shown: 0 the service's, else as `who` of the options said */
  void *connection; /* for http_request_header */
};

/* The value of a header, by its name in any case; NULL when there is none. */
const char *http_request_header (const struct http_request *request, const char *name);

/* The value of NAME in the query; NULL when it isn't there, or has none. */
const char *http_request_query (const struct http_request *request, const char *name);

/* What is answered: zeroed at first. The server releases it. */
struct http_answer
{
  unsigned int status; /* 0 counts as 500 */
  const char *type;    /* of the body; NULL: JSON */
  struct buffer body;
  const char *header; /* one more, NULL: none */
  char *header_value; /* owned */
};

/* {"error": MESSAGE, "field": FIELD}; FIELD may be NULL. */
void http_refuse (struct http_answer *answer, unsigned int status, const char *field,
                  const char *message);

/* Takes TEXT, a JSON document, as the body. */
void http_answer_text (struct http_answer *answer, unsigned int status, char *text);

struct http_route
{
  const char *method; /* "GET" (for HEAD too), "POST" */
  const char *path;   /* "/v1/jobs"; one that ends in a slash takes a name more: "/v1/jobs/" */
  bool guarded;       /* only with the token */
  bool slow;          /* in the slow thread */
  void (*handle) (void *context, const struct http_request *request, struct http_answer *answer);
  void *context;
};

struct httpd_options
{
  /* ":PORT" (loopback), "HOST:PORT", "[V6]:PORT" or "unix:PATH"; port 0: any that is free */
  const char *address;
  const char *token; /* of guarded routes; NULL: they are closed to everybody … */
  /* … but those whose token has the SHA-256 SUM: their number, at least 1, else 0. In the server's
   * thread. NULL: nobody. */
  int (*who) (const void *context, const uint8_t sum[static 32]);
  const void *who_context;
  const struct http_route *routes; /* outlive the server, as their contexts do */
  size_t route_count;
  size_t body_max;         /* bytes; larger ones are 413 */
  struct metrics *metrics; /* NULL: not counted */
  int per_address;         /* connections at once from one address but this machine's; 0: any */

  /* How long a peer may take, in ms; 0: as httpd.c says. */
  int64_t head_ms;    /* for the headers, from its connection on */
  int64_t body_ms;    /* for the body then */
  int64_t refused_ms; /* the same where the request is refused */
  int64_t answer_ms;  /* for reading the answer */
};

struct httpd;

/* Listens and serves from now on. NULL with ERR: ERROR_USER for an address that can't be had. The
 * threads take no signals. */
struct httpd *httpd_start (const struct httpd_options *options, struct error *err);

/* Where it listens, with the port that was chosen: "127.0.0.1:8080", "unix:/run/shoal". */
const char *httpd_address (const struct httpd *httpd);

/* Takes no more requests, lets those that are being handled end, and frees. No handler runs
 * afterwards. */
void httpd_close (struct httpd *httpd);

static inline void
auto_httpd_ (struct httpd **httpd)
{
  httpd_close (*httpd);
}
#define auto_httpd AUTO (auto_httpd_)

/* Reads a token: from FILE, or, when that is NULL, from the environment (SHOAL_TOKEN). NULL when
 * neither is there (no error), or with ERR when what is there is no token. The caller frees. */
char *httpd_read_token (const char *file, struct error *err);

#endif
