/* http.h — requests to servers: many at once over few connections, tried again where that may help,
 * and bounded.
 *
 *     struct http        a pool of connections; belongs to one thread
 *     struct http_call   one request, its answer and what becomes of it; lives from http_start to
 *                        its `done`
 *
 * What is tried again, with growing pauses (Retry-After is obeyed): timeouts, resets, a body that
 * is cut off, 408, 429, 5xx but 501, and what `again` says. Redirects are followed for GET and
 * HEAD, at most ten, from https to https only, and no header of ours but what is wanted (Range,
 * If-Match …) goes to another host. They lead to public addresses, or to such as the server itself
 * has (address_class.h). Answers are believed in nothing: headers, redirects and bodies are
 * bounded. No message holds a query string, user information or a header of a request.
 */
#ifndef SHOAL_COMMON_HTTP_HTTP_H
#define SHOAL_COMMON_HTTP_HTTP_H

#include "common/auto.h"
#include "common/buffer.h"
#include "common/error.h"
#include "common/halt.h"
#include "common/http/address_class.h"
#include "common/strlist.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* Content that isn't what it should be is asked for again at once, past caches that may have it
 * wrong (HTTP_NO_CACHE), until it was wrong so often in a row. */
enum
{
  HTTP_WRONG_MAX = 3,
};
#define HTTP_NO_CACHE "Cache-Control: no-cache"

struct http;

struct http_options
{
  int connections;             /* calls under way at once, further ones wait; 0: 32 */
  int64_t connect_ms;          /* 0: 10 s */
  int64_t stall_ms;            /* nothing came or went for so long; 0: 30 s */
  int64_t try_ms;              /* all of a try, for short answers; 0: no bound */
  int tries;                   /* the first included; 0: SHOAL_HTTP_TRIES, else 8 */
  const char *ca_file;         /* PEM; NULL: the system's, or SHOAL_CA_FILE */
  volatile sig_atomic_t *stop; /* non-zero: all calls end with ERROR_TRANSIENT; NULL */
  const struct halt *halt;     /* asked a few times a second: calls end with what it says; NULL */
};

struct http *http_new (const struct http_options *options);

/* Calls that are under way, or wait, end without their `done`. */
void http_drop (struct http *http);
void http_free (struct http *http); /* likewise */

static inline void
auto_http_ (struct http **http)
{
  http_free (*http);
}
#define auto_http AUTO (auto_http_)

struct http_call
{
  /* ---- the request, the caller's until the call is done */
  const char *method; /* "GET" */
  char *url;
  struct strlist headers; /* "Name: value" */
  struct bytes body;      /* sent from memory, or where body_fd >= 0 … */
  int body_fd;            /* … BODY_SIZE bytes of it from BODY_OFFSET on, by pread */
  int64_t body_offset;
  int64_t body_size;
  int64_t limit;      /* bytes of answer that `data` is ready for, more is an error; -1: any */
  void *context;      /* of `data`, `restart` and `done` */
  const void *wanted; /* of `check` */
  void *server;       /* of `prepare` and `again`: who is asked */

  /* URL isn't our user's word but that of somebody who is at an address of class HOME
   * (http_class_of): it may lead to public addresses, and to such ones. Says why not to others,
   * "the list that names it isn't at one". NULL: our user's; it may lead anywhere, its redirects to
   * public addresses and to such as it has itself. */
  const char *led;
  enum address_class home;
  bool direct; /* redirects aren't followed: they are answers that aren't 2xx */

  /* Before each try (may be NULL): adds headers that are of now, a signature, into HEADERS (a copy
   * of the above), and may change `url`. */
  int (*prepare) (struct http_call *call, struct strlist *headers, struct error *err);

  /* Bytes of a 2xx answer's body as they come; NULL: they go to `answer`. */
  int (*data) (struct http_call *call, const char *data, size_t size, struct error *err);

  /* A try that had called `data` failed and another comes: forget what came, or change `headers` to
   * ask for the rest. NULL: such a call isn't tried again. */
  int (*restart) (struct http_call *call, struct error *err);

  /* Set by `restart`: what came is kept. A try that brought a megabyte doesn't count then. */
  bool goes_on;

  /* Holds a whole 2xx `answer` against what it must be: 0, or -1 when it is wrong (HTTP_WRONG_MAX).
   * May be NULL. */
  int (*check) (struct http_call *call, struct error *err);

  /* Whether an answer that isn't 2xx is worth another try beyond the usual ones. May be NULL. */
  bool (*again) (struct http_call *call);

  /* The call is over: ERR unset (a 2xx came, whole) or why not. The call may be freed, or started
   * again. May be NULL with http_perform. Its -1 with ERR ends http_turn with that error. */
  int (*done) (struct http_call *call, struct error *err);

  /* ---- the answer, until the call is done */
  int status;              /* 0: none came */
  int64_t length;          /* of the body as announced, -1 */
  int64_t whole;           /* of a 206: bytes of the whole thing, -1 */
  struct strlist answered; /* its headers, "name: value" with the name in lower case */
  struct buffer
      answer;     /* the body where `data` is NULL, and the first 16 KiB of one that isn't 2xx */
  char *location; /* where redirects led, NULL: nowhere, `url` itself answered */
  int tried;
  struct http_try *in_http; /* http's own */
};

/* For the caller to fill in: GET of URL (taken). */
void http_call_init (struct http_call *call, char *url);
void http_call_release (struct http_call *call);
#define auto_http_call AUTO (http_call_release)

/* An answer's header (NAME in lower case); NULL when it has none. */
const char *http_header (const struct http_call *call, const char *name);

/* Has CALL done in later turns. */
void http_start (struct http *http, struct http_call *call);

/* Calls that are started and not done. */
size_t http_pending (const struct http *http);

/* Works for at most TIMEOUT_MS, less when a call was done meanwhile. 0, or -1 with what a `done` or
 * `stop` said. */
int http_turn (struct http *http, int timeout_ms, struct error *err);

/* Starts CALL and turns until it is done; others go on meanwhile. 0 for a 2xx, else -1 with ERR
 * ("HTTP 404 (NoSuchKey)"), and `status` says what came. */
int http_perform (struct http *http, struct http_call *call, struct error *err);

/* ERR for the answer CALL got that isn't 2xx: class by status (404, 403 and other 4xx ERROR_USER,
 * 5xx and 429 ERROR_TRANSIENT), DETAIL (may be NULL) in parentheses. -1. */
int http_error (const struct http_call *call, const char *detail, struct error *err);

/* The class of the addresses of URL's server, the most distant one; ADDRESS_PUBLIC when there are
 * none. Asks the DNS. */
enum address_class http_class_of (const char *url);

/* URL without user information, query and fragment, for people. The caller frees. */
char *http_url_shown (const char *url);

/* ERR says why what came is wrong, for the WRONG-th time in a row: ERROR_TRANSIENT, or ERROR_USER
 * and says so when it is to be asked for no more. -1. */
int http_wrong (int wrong, struct error *err);

#endif
