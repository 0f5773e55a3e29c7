/* The pool: which calls run, which wait for another try, and when one is over. */
#include "common/http/http.h"

#include "common/clock.h"
#include "common/http/http_internal.h"
#include "common/memory.h"
#include "common/units.h"

#include <ctype.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>

enum
{
  CONNECTIONS = 32,
  CONNECT_MS = 10 * 1000,
  STALL_MS = 30 * 1000,
  TRIES = 8,
  PAUSE_MS = 200, /* before the second try; doubled each time */
  PAUSE_MAX_MS = 10 * 1000,
  RETRY_AFTER_MAX_MS = 60 * 1000,
  REDIRECTS = 10,
  PROGRESS = 1 << 20, /* bytes that make up for a try that broke off */
  LOOK_MS = 200,      /* at most so long before `stop` is looked at again */
};

static void
curl_start (void)
{
  if (curl_global_init (CURL_GLOBAL_DEFAULT) != CURLE_OK)
    abort ();
}

struct http *
http_new (const struct http_options *options)
{
  static pthread_once_t started = PTHREAD_ONCE_INIT;
  (void) pthread_once (&started, curl_start);
  struct http *http = xcalloc (1, sizeof *http);
  http->options = *options;
  struct http_options *own = &http->options;
  own->connections = own->connections > 0 ? own->connections : CONNECTIONS;
  own->connect_ms = own->connect_ms > 0 ? own->connect_ms : CONNECT_MS;
  own->stall_ms = own->stall_ms > 0 ? own->stall_ms : STALL_MS;
  own->tries = own->tries > 0 ? own->tries : (int) units_from_env ("SHOAL_HTTP_TRIES", TRIES);
  const char *ca_file = own->ca_file != NULL ? own->ca_file : getenv ("SHOAL_CA_FILE");
  http->ca_file = ca_file == NULL || ca_file[0] == '\0' ? NULL : xstrdup (ca_file);
  http->multi = curl_multi_init ();
  if (http->multi == NULL)
    abort ();
  (void) curl_multi_setopt (http->multi, CURLMOPT_MAXCONNECTS, (long) own->connections);
  http->spare = xcalloc ((size_t) own->connections, sizeof *http->spare);
  http->last = &http->first;
  return http;
}

static void
free_try (struct http_try *try)
{
  http_try_end (try);
  try->call->in_http = NULL;
  free (try);
}

void
http_drop (struct http *http)
{
  while (http->first != NULL)
    {
      struct http_try *try = http->first;
      http->first = try->next;
      free_try (try);
    }
  http->last = &http->first;
  http->pending = 0;
}

void
http_free (struct http *http)
{
  if (http == NULL)
    return;
  http_drop (http);
  while (http->spare_count > 0)
    curl_easy_cleanup (http->spare[--http->spare_count]);
  (void) curl_multi_cleanup (http->multi);
  free (http->spare);
  free (http->ca_file);
  free (http);
}

void
http_call_init (struct http_call *call, char *url)
{
  *call = (struct http_call){
    .method = "GET", .url = url, .body_fd = -1, .limit = -1, .length = -1, .whole = -1
  };
}

void
http_call_release (struct http_call *call)
{
  free (call->url);
  strlist_release (&call->headers);
  strlist_release (&call->answered);
  buffer_release (&call->answer);
  free (take (&call->location));
  call->url = NULL;
}

static struct http_try *
add_call (struct http *http, struct http_call *call)
{
  struct http_try *try = xcalloc (1, sizeof *try);
  try->http = http;
  try->call = call;
  call->in_http = try;
  call->tried = 0;
  free (take (&call->location));
  *http->last = try;
  http->last = &try->next;
  http->pending++;
  return try;
}

void
http_start (struct http *http, struct http_call *call)
{
  (void) add_call (http, call);
}

size_t
http_pending (const struct http *http)
{
  return http->pending;
}

/* ---- the end of a call ------------------------------------------------------------------ */

/* TRY is over, with ERR or well. What its `done` says ends the turn. */
static int
http_finish (struct http_try *try, struct error *why, struct error *err)
{
  struct http *http = try->http;
  struct http_call *call = try->call;
  for (struct http_try **at = &http->first; *at != NULL; at = &(*at)->next)
    if (*at == try)
      {
        *at = try->next;
        if (http->last == &try->next)
          http->last = at;
        break;
      }
  http->pending--;
  struct http_end *end = try->end;
  free_try (try);
  if (end != NULL)
    {
      end->over = true;
      end->err = *why;
      return 0;
    }
  if (call->done == NULL || call->done (call, why) == 0)
    return 0;
  if (err != NULL)
    *err = *why;
  return -1;
}

static bool
is_worth_another (CURLcode code)
{
  switch (code)
    {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_SEND_FAIL_REWIND:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_WEIRD_SERVER_REPLY:
      return true;
    default:
      return false;
    }
}

/* Why a try without an answer failed. */
static void
http_try_error (const struct http_try *try, CURLcode code, struct error *why)
{
  const char *text = try->problem[0] != '\0' ? try->problem : curl_easy_strerror (code);
  switch (code)
    {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
      if (try->http->options.ca_file != NULL)
        (void) error_set (why, ERROR_USER, "%s (trusted authorities: those of %s)", text,
                          try->http->ca_file);
      else
        (void) error_set (why, ERROR_USER,
                          "%s (set SHOAL_CA_FILE to a PEM file of trusted authorities)", text);
      break;
    case CURLE_URL_MALFORMAT:
      (void) error_set (why, ERROR_USER, "not a URL");
      break;
    case CURLE_UNSUPPORTED_PROTOCOL: /* of a redirect */
      (void) error_set (why, ERROR_USER, "%s", text);
      break;
    case CURLE_OUT_OF_MEMORY: /* as libcurl calls it */
      (void) error_set (why, ERROR_TRANSIENT, "header too long");
      break;
    default:
      (void) error_set (why, ERROR_TRANSIENT, "%s", text);
    }
}

/* Whether CALL, whose answer isn't 2xx, may be answered otherwise soon. */
static bool
is_worth_asking (struct http_call *call)
{
  int status = call->status;
  return status == 408 || status == 429 || (status >= 500 && status != 501)
         || (call->again != NULL && call->again (call));
}

/* Ms that a Retry-After of seconds, or of a date, asks for. */
static int64_t
wait_of (const char *after)
{
  int64_t now = clock_wall_ms () / 1000;
  int64_t seconds = isdigit ((unsigned char) after[0]) ? strtoll (after, NULL, 10)
                                                       : (int64_t) curl_getdate (after, NULL) - now;
  return seconds <= 0                          ? 0
         : seconds > RETRY_AFTER_MAX_MS / 1000 ? RETRY_AFTER_MAX_MS
                                               : seconds * 1000;
}

/* A pause of PAUSE_MS and up for the next try, by half at random, and no shorter than the server
 * wants it. */
static int64_t
http_pause_of (const struct http_try *try)
{
  const struct http_call *call = try->call;
  int64_t pause = PAUSE_MS;
  for (int i = 1; i < call->tried - try->forgiven && pause < PAUSE_MAX_MS; i++)
    pause *= 2;
  if (pause > PAUSE_MAX_MS)
    pause = PAUSE_MAX_MS;
  pause = pause / 2 + clock_boot_us () % (pause / 2 + 1);
  const char *after = http_header (call, "retry-after");
  int64_t wanted = after == NULL ? 0 : wait_of (after);
  return wanted > pause ? wanted : pause;
}

/* Has TRY begin again at the call's own URL, at once. */
static void
http_restart (struct http_try *try)
{
  free (take (&try->call->location));
  try->location = NULL;
  try->hops = 0;
  try->strange = false;
  try->not_before = 0;
}

/* Has TRY wait for another one where that is allowed; false: it is over, WHY says why. */
static bool
try_again (struct http_try *try, struct error *why)
{
  struct http_call *call = try->call;
  if (try->gave && (call->restart == NULL || call->restart (call, why) != 0))
    return false;
  if (try->gave && call->goes_on && try->got >= PROGRESS)
    try->forgiven = call->tried;
  if (call->tried - try->forgiven >= try->http->options.tries)
    {
      auto_free char *text = xstrdup (why->message);
      if (call->tried > 1)
        (void) error_set (why, why->class, "%s (tried %d times)", text, call->tried);
      return false;
    }
  http_restart (try);
  try->not_before = clock_boot_ms () + http_pause_of (try);
  return true;
}

/* What came is right, or was wrong too often: true, WHY says which. */
static bool
http_is_settled (struct http_try *try, struct error *why)
{
  struct http_call *call = try->call;
  if (call->check == NULL || call->check (call, why) == 0 || why->class != ERROR_TRANSIENT)
    return true;
  (void) http_wrong (++try->wrong, why);
  if (why->class != ERROR_TRANSIENT)
    return true;
  if (try->wrong == 1)
    strlist_add (&call->headers, HTTP_NO_CACHE);
  error_clear (why);
  http_restart (try);
  return false;
}

static bool
is_redirect (const struct http_call *call)
{
  bool fetches = strcmp (call->method, "GET") == 0 || strcmp (call->method, "HEAD") == 0;
  return fetches && !call->direct
         && (call->status == 301 || call->status == 302 || call->status == 303
             || call->status == 307 || call->status == 308);
}

/* Length of "scheme://user@host:port". */
static size_t
origin_length (const char *url)
{
  const char *host = strstr (url, "://");
  return host == NULL ? 0 : (size_t) (host + 3 - url) + strcspn (host + 3, "/?#");
}

/* Goes to TO. False: not any more, WHY says why. */
static bool
http_follow (struct http_try *try, const char *to, struct error *why)
{
  if (++try->hops > REDIRECTS)
    {
      (void) error_set (why, ERROR_USER, "more than %d redirects", (int) REDIRECTS);
      try->call->status = 0; /* it isn't what is wrong, nor for callers to explain */
      return false;
    }
  const char *from = try->location == NULL ? try->call->url : try->location;
  size_t origin = origin_length (from);
  if (origin != origin_length (to) || strncasecmp (from, to, origin) != 0)
    try->strange = true;
  char *copy = xstrdup (to);
  free (try->call->location);
  try->location = try->call->location = copy;
  try->not_before = 0;
  return true;
}

/* Reads what a finished try means: true when it is over, WHY says how. */
static bool
http_judge (struct http_try *try, CURLcode code, struct error *why)
{
  struct http_call *call = try->call;
  if (error_is_set (&try->refused))
    {
      *why = try->refused;
      return true;
    }
  if (code != CURLE_OK && error_is_set (&try->strayed))
    {
      *why = try->strayed;
      return true;
    }
  if (code == CURLE_OK && !try->headed)
    {
      (void) error_set (why, ERROR_TRANSIENT, "the connection was closed within the headers");
      return !try_again (try, why);
    }
  bool refusal_cut = code == CURLE_WRITE_ERROR && call->status >= 300;
  if (code != CURLE_OK && !refusal_cut)
    {
      http_try_error (try, code, why);
      return !is_worth_another (code) || !try_again (try, why);
    }
  if (call->status >= 200 && call->status < 300)
    return http_is_settled (try, why);
  char *to = NULL;
  if (is_redirect (call))
    (void) curl_easy_getinfo (try->easy, CURLINFO_REDIRECT_URL, &to);
  if (to != NULL)
    return !http_follow (try, to, why);
  /* S3's 301 has no place; `again` may know one. */
  (void) http_error (call, is_redirect (call) ? "redirect without a location" : NULL, why);
  return !is_worth_asking (call) || !try_again (try, why);
}

static int
end_try (struct http_try *try, CURLcode code, struct error *err)
{
  struct error why = ERROR_INIT;
  bool over = http_judge (try, code, &why);
  http_try_end (try);
  return over ? http_finish (try, &why, err) : 0;
}

/* ---- turns ------------------------------------------------------------------------------ */

static int
check_stop (const struct http *http, struct error *err)
{
  if (http->options.stop != NULL && *http->options.stop != 0)
    return error_set (err, ERROR_TRANSIENT, "stopped");
  return halt_check (http->options.halt, err);
}

/* Begins what may begin. Ms until the next one may, at most LIMIT. */
static int
begin_tries (struct http *http, int limit, struct error *err)
{
  int64_t now = clock_boot_ms ();
  struct http_try *next = NULL;
  for (struct http_try *try = http->first; try != NULL; try = next)
    {
      next = try->next;
      if (http->running >= http->options.connections)
        break;
      if (try->easy != NULL)
        continue;
      if (try->not_before > now)
        {
          if (try->not_before - now < limit)
            limit = (int) (try->not_before - now);
          continue;
        }
      if (try->location == NULL)
        try->call->tried++;
      struct error why = ERROR_INIT;
      if (http_try_begin (try, &why) != 0 && http_finish (try, &why, err) != 0)
        return -1;
    }
  return limit;
}

/* The finished ones. How many calls were done, or -1. */
static int
end_tries (struct http *http, struct error *err)
{
  size_t before = http->pending;
  int left = 0;
  for (CURLMsg *message = curl_multi_info_read (http->multi, &left); message != NULL;
       message = curl_multi_info_read (http->multi, &left))
    {
      if (message->msg != CURLMSG_DONE)
        continue;
      CURLcode code = message->data.result;
      struct http_try *try = NULL;
      (void) curl_easy_getinfo (message->easy_handle, CURLINFO_PRIVATE, (char **) &try);
      if (end_try (try, code, err) != 0)
        return -1;
    }
  return http->pending < before;
}

int
http_turn (struct http *http, int timeout_ms, struct error *err)
{
  int64_t end = clock_boot_ms () + timeout_ms;
  for (;;)
    {
      if (check_stop (http, err) != 0)
        return -1;
      int64_t left = end - clock_boot_ms ();
      int wait = begin_tries (http, left > LOOK_MS ? LOOK_MS : left < 0 ? 0 : (int) left, err);
      if (wait < 0)
        return -1;
      int running = 0;
      if (curl_multi_perform (http->multi, &running) != CURLM_OK)
        return error_set (err, ERROR_FATAL, "libcurl: curl_multi_perform failed");
      int ended = end_tries (http, err);
      if (ended != 0 || http->pending == 0 || clock_boot_ms () >= end)
        return ended < 0 ? -1 : 0;
      (void) curl_multi_poll (http->multi, NULL, 0, wait, NULL);
    }
}

int
http_perform (struct http *http, struct http_call *call, struct error *err)
{
  struct http_end end = { 0 };
  struct http_try *try = add_call (http, call);
  try->end = &end;
  while (!end.over)
    if (http_turn (http, LOOK_MS, err) != 0)
      {
        try = end.over ? NULL : call->in_http;
        if (try != NULL)
          (void) http_finish (try, &end.err, NULL);
        return -1;
      }
  if (!error_is_set (&end.err))
    return 0;
  if (err != NULL)
    *err = end.err;
  return -1;
}
