/* One try of a call: what libcurl is told, and what becomes of the bytes that come. */
#include "common/http/http_internal.h"

#include "common/memory.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

enum
{
  HEADERS_MAX = 256 << 10, /* bytes of all of an answer's headers */
  REFUSAL_MAX = 16 << 10,  /* bytes kept of an answer that isn't 2xx … */
  REFUSAL_READ = 1 << 20,  /* … and read of it, so that the connection may live on */
  RECEIVE_BUFFER = 128 << 10,
};

static bool
is_good (int status)
{
  return status >= 200 && status < 300;
}

/* ---- what comes ------------------------------------------------------------------------- */

static void
begin_answer (struct http_call *call)
{
  strlist_release (&call->answered);
  buffer_clear (&call->answer);
  call->status = 0;
  call->length = call->whole = -1;
}

/* A number of bytes and nothing else, -1. */
static int64_t
http_try_number_of (const char *text)
{
  errno = 0;
  char *end = NULL;
  long long number = isdigit ((unsigned char) *text) ? strtoll (text, &end, 10) : -1;
  return number < 0 || errno != 0 || *end != '\0' ? -1 : number;
}

/* The total of "bytes 0-99/1234", -1 where there is none. */
static int64_t
whole_of (const char *range)
{
  const char *slash = strchr (range, '/');
  return slash == NULL ? -1 : http_try_number_of (slash + 1);
}

/* Notes the length VALUE. False: it is none, or another one than before, and how much belongs to
 * this answer is anybody's guess. */
static bool
keep_length (struct http_try *try, const char *value)
{
  struct http_call *call = try->call;
  int64_t length = http_try_number_of (value);
  if (length < 0)
    (void) error_set (&try->refused, ERROR_TRANSIENT, "Content-Length is not a number");
  else if (call->length >= 0 && call->length != length)
    (void) error_set (&try->refused, ERROR_TRANSIENT, "two different Content-Length headers");
  call->length = length;
  return !error_is_set (&try->refused);
}

static bool
keep_header (struct http_try *try, const char *line, size_t size)
{
  struct http_call *call = try->call;
  while (size > 0 && isspace ((unsigned char) line[size - 1]))
    size--;
  const char *colon = memchr (line, ':', size);
  if (colon == NULL)
    return true;
  char *copy = xstrndup (line, size);
  for (char *at = copy; at < copy + (colon - line); at++)
    *at = (char) tolower ((unsigned char) *at);
  strlist_take (&call->answered, copy);
  if (strncmp (copy, "content-range:", strlen ("content-range:")) == 0)
    call->whole = whole_of (copy);
  else if (strncmp (copy, "content-length:", strlen ("content-length:")) == 0)
    {
      const char *value = copy + strlen ("content-length:");
      return keep_length (try, value + strspn (value, " \t"));
    }
  return true;
}

static size_t
receive_header (char *line, size_t size, size_t count, void *context)
{
  struct http_try *try = context;
  struct http_call *call = try->call;
  size_t n = size * count;
  try->header_size += n;
  if (try->header_size > HEADERS_MAX)
    {
      (void) error_set (&try->refused, ERROR_TRANSIENT, "more than %d bytes of headers",
                        (int) HEADERS_MAX);
      return 0;
    }
  if (n > 5 && memcmp (line, "HTTP/", 5) == 0)
    {
      begin_answer (call);
      try->headed = false;
      long status = 0;
      (void) curl_easy_getinfo (try->easy, CURLINFO_RESPONSE_CODE, &status);
      const char *space = memchr (line, ' ', n);
      call->status = space == NULL ? (int) status : atoi (space + 1);
    }
  else if (n <= 2 && (line[0] == '\r' || line[0] == '\n'))
    try->headed = true;
  else if (!keep_header (try, line, n))
    return 0;
  return n;
}

static size_t
receive_good (struct http_try *try, const char *data, size_t n)
{
  struct http_call *call = try->call;
  try->got += (int64_t) n;
  if (call->limit >= 0 && try->got > call->limit)
    {
      (void) error_set (&try->refused, ERROR_TRANSIENT, "response of more than %lld bytes",
                        (long long) call->limit);
      return 0;
    }
  if (call->data == NULL)
    {
      buffer_append (&call->answer, data, n);
      return n;
    }
  try->gave = true;
  return call->data (call, data, n, &try->refused) == 0 ? n : 0;
}

static size_t
http_try_receive (char *data, size_t size, size_t count, void *context)
{
  struct http_try *try = context;
  struct http_call *call = try->call;
  size_t n = size * count;
  if (is_good (call->status))
    return receive_good (try, data, n);
  try->got += (int64_t) n;
  if (call->answer.size < REFUSAL_MAX)
    {
      size_t room = REFUSAL_MAX - call->answer.size;
      buffer_append (&call->answer, data, n < room ? n : room);
    }
  return try->got > REFUSAL_READ ? 0 : n;
}

/* ---- what goes -------------------------------------------------------------------------- */

static int64_t
body_size (const struct http_call *call)
{
  return call->body_fd >= 0 ? call->body_size : (int64_t) call->body.size;
}

static size_t
give (char *room, size_t size, size_t count, void *context)
{
  struct http_try *try = context;
  const struct http_call *call = try->call;
  int64_t left = body_size (call) - try->sent;
  size_t n = size * count;
  if ((int64_t) n > left)
    n = (size_t) left;
  if (n == 0)
    return 0;
  if (call->body_fd < 0)
    memcpy (room, (const char *) call->body.data + try->sent, n);
  else
    {
      ssize_t got = pread (call->body_fd, room, n, call->body_offset + try->sent);
      if (got <= 0)
        {
          (void) error_errno (&try->refused, got == 0 ? EIO : errno, "reading what is to be sent");
          return CURL_READFUNC_ABORT;
        }
      n = (size_t) got;
    }
  try->sent += (int64_t) n;
  return n;
}

static int
rewind_body (void *context, curl_off_t offset, int origin)
{
  struct http_try *try = context;
  if (origin != SEEK_SET)
    return CURL_SEEKFUNC_CANTSEEK;
  try->sent = offset;
  return CURL_SEEKFUNC_OK;
}

/* ---- the handle ------------------------------------------------------------------------- */

/* Headers that say what is wanted, not who wants it. */
static bool
is_harmless (const char *header)
{
  static const char *const names[] = { "Range:", "Accept:", "If-Match:", "If-Unmodified-Since:",
                                       "Cache-Control:" };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strncasecmp (header, names[i], strlen (names[i])) == 0)
      return true;
  return false;
}

/* A line end in a value would begin another header, or another request. */
static int
check_header (const char *header, struct error *err)
{
  for (const char *at = header; *at != '\0'; at++)
    if ((unsigned char) *at < ' ' || *at == 0x7f)
      return error_set (err, ERROR_USER, "%.*s: a header with control characters",
                        (int) strcspn (header, ":"), header);
  return 0;
}

static void
http_try_add_header (struct http_try *try, const char *header)
{
  struct curl_slist *more = curl_slist_append (try->headers, header);
  if (more == NULL)
    abort ();
  try->headers = more;
}

static int
http_try_set_headers (struct http_try *try, struct error *err)
{
  struct http_call *call = try->call;
  auto_strlist struct strlist headers = { 0 };
  strlist_extend (&headers, &call->headers);
  if (call->prepare != NULL && try->location == NULL && call->prepare (call, &headers, err) != 0)
    return -1;
  for (size_t i = 0; i < headers.count; i++)
    if (!try->strange || is_harmless (headers.items[i]))
      {
        if (check_header (headers.items[i], err) != 0)
          return -1;
        http_try_add_header (try, headers.items[i]);
      }
  http_try_add_header (try, "Expect:"); /* no round trip before a body */
  return 0;
}

/* An https page doesn't send us to plain http: somebody between could. */
static const char *
redirects_allowed (const struct http_call *call)
{
  return strncasecmp (call->url, "https:", 6) == 0 ? "https" : "http,https";
}

#define SET(option, value) good = good && curl_easy_setopt (easy, option, value) == CURLE_OK

static bool
set_method (struct http_try *try, CURL *easy)
{
  const struct http_call *call = try->call;
  bool good = true;
  if (strcmp (call->method, "HEAD") == 0)
    SET (CURLOPT_NOBODY, 1L);
  else if (strcmp (call->method, "PUT") == 0 || strcmp (call->method, "POST") == 0
           || strcmp (call->method, "PATCH") == 0)
    {
      SET (CURLOPT_UPLOAD, 1L);
      SET (CURLOPT_INFILESIZE_LARGE, (curl_off_t) body_size (call));
      SET (CURLOPT_READFUNCTION, give);
      SET (CURLOPT_READDATA, try);
      SET (CURLOPT_SEEKFUNCTION, rewind_body);
      SET (CURLOPT_SEEKDATA, try);
      SET (CURLOPT_CUSTOMREQUEST, call->method);
    }
  else if (strcmp (call->method, "GET") != 0)
    SET (CURLOPT_CUSTOMREQUEST, call->method);
  return good;
}

static bool
set_up (struct http_try *try, CURL *easy)
{
  const struct http_options *options = &try->http->options;
  bool good = set_method (try, easy);
  SET (CURLOPT_URL, try->location == NULL ? try->call->url : try->location);
  SET (CURLOPT_PROTOCOLS_STR, try->location == NULL ? "http,https" : redirects_allowed (try->call));
  SET (CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
  SET (CURLOPT_PATH_AS_IS, 1L); /* keys may hold ".." */
  SET (CURLOPT_NOSIGNAL, 1L);
  SET (CURLOPT_CONNECTTIMEOUT_MS, (long) options->connect_ms);
  SET (CURLOPT_TIMEOUT_MS, (long) options->try_ms);
  SET (CURLOPT_LOW_SPEED_LIMIT, 1L);
  SET (CURLOPT_LOW_SPEED_TIME, (long) ((options->stall_ms + 999) / 1000));
  SET (CURLOPT_BUFFERSIZE, (long) RECEIVE_BUFFER);
  SET (CURLOPT_UPLOAD_BUFFERSIZE, (long) RECEIVE_BUFFER);
  SET (CURLOPT_ERRORBUFFER, try->problem);
  SET (CURLOPT_WRITEFUNCTION, http_try_receive);
  SET (CURLOPT_WRITEDATA, try);
  SET (CURLOPT_HEADERFUNCTION, receive_header);
  SET (CURLOPT_HEADERDATA, try);
  SET (CURLOPT_HTTPHEADER, try->headers);
  SET (CURLOPT_USERAGENT, "shoal/" SHOAL_VERSION);
  SET (CURLOPT_PRIVATE, try);
  SET (CURLOPT_OPENSOCKETFUNCTION, http_reach_open);
  SET (CURLOPT_OPENSOCKETDATA, try);
  SET (CURLOPT_PREREQFUNCTION, http_reach_ask);
  SET (CURLOPT_PREREQDATA, try);
  if (try->http->ca_file != NULL)
    SET (CURLOPT_CAINFO, try->http->ca_file);
  return good;
}

int
http_try_begin (struct http_try *try, struct error *err)
{
  struct http *http = try->http;
  try->gave = false;
  try->got = try->sent = 0;
  try->header_size = 0;
  try->headed = false;
  try->problem[0] = '\0';
  error_clear (&try->refused);
  error_clear (&try->strayed);
  begin_answer (try->call);
  if (http_try_set_headers (try, err) != 0)
    return -1;
  try->easy = http->spare_count > 0 ? http->spare[--http->spare_count] : curl_easy_init ();
  if (try->easy == NULL || !set_up (try, try->easy)
      || curl_multi_add_handle (http->multi, try->easy) != CURLM_OK)
    return error_set (err, ERROR_FATAL, "this libcurl can't do what is needed");
  http->running++;
  return 0;
}

void
http_try_end (struct http_try *try)
{
  struct http *http = try->http;
  if (try->easy != NULL)
    {
      (void) curl_multi_remove_handle (http->multi, try->easy);
      curl_easy_reset (try->easy);
      if (http->spare_count < http->options.connections)
        http->spare[http->spare_count++] = try->easy;
      else
        curl_easy_cleanup (try->easy);
      try->easy = NULL;
      http->running--;
    }
  curl_slist_free_all (try->headers);
  try->headers = NULL;
}
