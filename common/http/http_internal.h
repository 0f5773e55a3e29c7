/* http_internal.h — what the pool and a single try share. */
#ifndef SHOAL_COMMON_HTTP_HTTP_INTERNAL_H
#define SHOAL_COMMON_HTTP_HTTP_INTERNAL_H

#include "common/http/http.h"

#include <curl/curl.h>

/* A call under way: one try after the other. */
struct http_try
{
  struct http *http;
  struct http_call *call;
  struct http_try *next; /* in the pool's list */
  CURL *easy;            /* while a try runs, else NULL */
  struct curl_slist *headers;
  int64_t not_before; /* boot ms, when waiting */
  char *location;     /* where redirects have led; NULL: still the call's own URL */
  int hops;           /* redirects of this try */
  bool strange;       /* LOCATION is another server: it gets none of our headers */
  int forgiven;       /* tries that don't count, since they brought us further */
  int wrong;          /* answers that `check` didn't take */
  bool gave;          /* this try has called `data` */
  int64_t got;        /* bytes of the body in this try */
  size_t header_size; /* bytes of headers so far */
  /* all of them came: libcurl takes a connection that ends before as an answer without a body */
  bool headed;
  int64_t sent;            /* of the body, in this try */
  struct error refused;    /* by us: `data`, a limit */
  struct error strayed;    /* by us: an address that it may not reach */
  enum address_class home; /* of the server that the call's own URL led to */
  char problem[CURL_ERROR_SIZE];
  struct http_end *end; /* who performs it and waits; NULL */
};

/* How a performed call ended. */
struct http_end
{
  bool over;
  struct error err;
};

struct http
{
  struct http_options options;
  char *ca_file;
  CURLM *multi;
  struct http_try *first, **last; /* all calls in the order they came */
  size_t pending;
  int running;
  CURL **spare; /* handles for the next tries */
  int spare_count;
};

/* ---- http_try.c */

/* Sets the try's handle up and adds it to the pool's multi. Trouble here isn't the server's. */
int http_try_begin (struct http_try *try, struct error *err);

/* Gives the handle back. */
void http_try_end (struct http_try *try);

/* ---- http_reach.c: libcurl asks whether a try may talk to an address, before it connects and
 * before it asks */

curl_socket_t http_reach_open (void *context, curlsocktype purpose, struct curl_sockaddr *address);
int http_reach_ask (void *context, char *remote, char *local, int remote_port, int local_port);

#endif
