#include "schemas/registry_internal.h"

#include "common/clock.h"
#include "common/memory.h"

#include <curl/curl.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

enum
{
  ANSWER_MAX = 1 << 20, /* bytes; a schema is far smaller */
  CONNECT_MS = 2000,
  TRY_MS = 5000,
  PAUSE_MS = 100, /* before the second try; doubled each time */
  PAUSE_MAX_MS = 2000,
  SERVER_TEXT_MAX = 300, /* bytes of the server's words in an error */
};

#define CONTENT_TYPE "application/vnd.schemaregistry.v1+json"

struct registry_http
{
  CURL *curl;
  struct curl_slist *headers;
  char *url;
  char *password; /* for keeping it out of errors */
  char *basic;    /* base64 of user:password, likewise */
  struct buffer body;
  bool overflow;
  char problem[CURL_ERROR_SIZE];
};

static void
curl_start (void)
{
  if (curl_global_init (CURL_GLOBAL_DEFAULT) != CURLE_OK)
    abort ();
}

static size_t
receive (char *bytes, size_t size, size_t count, void *context)
{
  struct registry_http *http = context;
  size_t n = size * count;
  if (n > ANSWER_MAX - http->body.size)
    {
      http->overflow = true;
      return 0;
    }
  buffer_append (&http->body, bytes, n);
  return n;
}

static char *
base64 (const char *text)
{
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  struct buffer out = { 0 };
  for (size_t n = strlen (text); n > 0;)
    {
      size_t some = n < 3 ? n : 3;
      uint32_t bits = 0;
      for (size_t i = 0; i < 3; i++)
        bits = bits << 8 | (i < some ? (uint8_t) text[i] : 0);
      for (size_t i = 0; i < 4; i++)
        buffer_putc (&out, i > some ? '=' : digits[bits >> (18 - 6 * i) & 63]);
      text += some;
      n -= some;
    }
  return buffer_take (&out);
}

static bool
set_up (struct registry_http *http, const char *user, const char *ca_file)
{
  CURL *curl = http->curl;
  bool good = curl_easy_setopt (curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK
              && curl_easy_setopt (curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK
              && curl_easy_setopt (curl, CURLOPT_CONNECTTIMEOUT_MS, (long) CONNECT_MS) == CURLE_OK
              && curl_easy_setopt (curl, CURLOPT_TIMEOUT_MS, (long) TRY_MS) == CURLE_OK
              && curl_easy_setopt (curl, CURLOPT_ERRORBUFFER, http->problem) == CURLE_OK
              && curl_easy_setopt (curl, CURLOPT_WRITEFUNCTION, receive) == CURLE_OK
              && curl_easy_setopt (curl, CURLOPT_WRITEDATA, http) == CURLE_OK
              && curl_easy_setopt (curl, CURLOPT_HTTPHEADER, http->headers) == CURLE_OK
              && curl_easy_setopt (curl, CURLOPT_USERAGENT, "shoal/" SHOAL_VERSION) == CURLE_OK;
  if (good && ca_file != NULL)
    good = curl_easy_setopt (curl, CURLOPT_CAINFO, ca_file) == CURLE_OK;
  if (good && user != NULL)
    good = curl_easy_setopt (curl, CURLOPT_HTTPAUTH, (long) CURLAUTH_BASIC) == CURLE_OK
           && curl_easy_setopt (curl, CURLOPT_USERNAME, user) == CURLE_OK
           && curl_easy_setopt (curl, CURLOPT_PASSWORD, http->password) == CURLE_OK;
  return good;
}

struct registry_http *
registry_http_new (const char *url, const char *user, const char *password, const char *ca_file,
                   struct error *err)
{
  static pthread_once_t started = PTHREAD_ONCE_INIT;
  (void) pthread_once (&started, curl_start);
  struct registry_http *http = xcalloc (1, sizeof *http);
  http->url = xstrdup (url);
  http->curl = curl_easy_init ();
  http->headers = curl_slist_append (NULL, "Accept: " CONTENT_TYPE ", application/json");
  http->headers = curl_slist_append (http->headers, "Content-Type: " CONTENT_TYPE);
  if (user != NULL)
    {
      auto_free char *both = xasprintf ("%s:%s", user, password == NULL ? "" : password);
      http->password = xstrdup (password == NULL ? "" : password);
      http->basic = base64 (both);
      explicit_bzero (both, strlen (both));
    }
  if (http->curl == NULL || http->headers == NULL || !set_up (http, user, ca_file))
    {
      registry_http_free (http);
      (void) error_set (err, ERROR_FATAL, "this libcurl can't do what is needed");
      return NULL;
    }
  return http;
}

void
registry_http_free (struct registry_http *http)
{
  if (http == NULL)
    return;
  curl_easy_cleanup (http->curl);
  curl_slist_free_all (http->headers);
  if (http->password != NULL)
    explicit_bzero (http->password, strlen (http->password));
  if (http->basic != NULL)
    explicit_bzero (http->basic, strlen (http->basic));
  buffer_release (&http->body);
  free (http->password);
  free (http->basic);
  free (http->url);
  free (http);
}

char *
registry_http_escape (struct registry_http *http, const char *text)
{
  char *escaped = curl_easy_escape (http->curl, text, 0);
  char *copy = xstrdup (escaped == NULL ? "" : escaped);
  curl_free (escaped);
  return copy;
}

/* ---- asking ----------------------------------------------------------------------------- */

static bool
is_away (CURLcode code, long status)
{
  switch (code)
    {
    case CURLE_OK:
      return status >= 500 || status == 429 || status == 408;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_SSL_CONNECT_ERROR:
      return true;
    default:
      return false;
    }
}

/* One request. 0 with the status, or -1 with ERR. */
static int
try_once (struct registry_http *http, const char *method, const char *body, const char *url,
          long *status, struct error *err)
{
  CURL *curl = http->curl;
  buffer_clear (&http->body);
  http->overflow = false;
  http->problem[0] = '\0';
  bool good = curl_easy_setopt (curl, CURLOPT_URL, url) == CURLE_OK
              && curl_easy_setopt (curl, CURLOPT_POSTFIELDS, body) == CURLE_OK
              && curl_easy_setopt (curl, CURLOPT_HTTPGET, body == NULL ? 1L : 0L) == CURLE_OK
              && (body == NULL || curl_easy_setopt (curl, CURLOPT_POST, 1L) == CURLE_OK)
              && curl_easy_setopt (curl, CURLOPT_CUSTOMREQUEST, method) == CURLE_OK;
  CURLcode code = good ? curl_easy_perform (curl) : CURLE_FAILED_INIT;
  *status = 0;
  if (code == CURLE_OK)
    (void) curl_easy_getinfo (curl, CURLINFO_RESPONSE_CODE, status);
  if (http->overflow)
    return error_set (err, ERROR_FATAL, "an answer of more than %d bytes", (int) ANSWER_MAX);
  if (code == CURLE_OK && !is_away (code, *status))
    return 0;
  enum error_class class = is_away (code, *status) ? ERROR_TRANSIENT : ERROR_FATAL;
  if (code == CURLE_OK)
    return error_set (err, class, "HTTP %ld", *status);
  return error_set (err, class, "%s",
                    http->problem[0] != '\0' ? http->problem : curl_easy_strerror (code));
}

/* Sleeps about PAUSE_MS, a different time in each process. */
static void
pause_for (int64_t pause_ms)
{
  int64_t ms = pause_ms / 2 + clock_boot_us () % (pause_ms / 2 + 1);
  struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000 };
  while (nanosleep (&left, &left) != 0)
    ;
}

static int
ask_until (struct registry_http *http, const char *method, const char *body, const char *url,
           int64_t patience_ms, long *status, struct error *err)
{
  struct error last = ERROR_INIT;
  int64_t start = clock_boot_ms ();
  int64_t pause_ms = PAUSE_MS;
  int tries = 1;
  while (try_once (http, method, body, url, status, &last) != 0)
    {
      int64_t spent = clock_boot_ms () - start;
      if (last.class != ERROR_TRANSIENT || spent + pause_ms > patience_ms)
        {
          if (tries == 1)
            return error_set (err, last.class, "%s", last.message);
          return error_set (err, last.class, "%s (tried %d times in %.1f s)", last.message, tries,
                            (double) spent / 1000);
        }
      pause_for (pause_ms);
      pause_ms = pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause_ms * 2;
      tries++;
    }
  return 0;
}

int
registry_http_ask (struct registry_http *http, const char *method, const char *path,
                   const json_t *body, int64_t patience_ms, struct answer *answer,
                   struct error *err)
{
  auto_free char *url = xasprintf ("%s%s", http->url, path);
  auto_free char *text = body == NULL ? NULL : json_dumps (body, JSON_COMPACT);
  if (ask_until (http, method, text, url, patience_ms, &answer->status, err) != 0)
    return error_wrap (err, "schema registry %s", http->url);
  answer->json =
      http->body.size == 0 ? NULL : json_loadb (http->body.data, http->body.size, 0, NULL);
  return 0;
}

/* ---- answers ---------------------------------------------------------------------------- */

int
answer_code (const struct answer *answer)
{
  return (int) json_integer_value (json_object_get (answer->json, "error_code"));
}

void
answer_release (struct answer *answer)
{
  json_decref (answer->json);
  *answer = (struct answer){ 0 };
}

/* What the server says of its refusal, in one short line; NULL when that holds our password. The caller frees. */
static char *
server_text (const struct registry_http *http, const struct answer *answer)
{
  const char *message = json_string_value (json_object_get (answer->json, "message"));
  bool secret = message != NULL && http->basic != NULL
                && (strstr (message, http->basic) != NULL
                    || (http->password[0] != '\0' && strstr (message, http->password) != NULL));
  if (message == NULL || secret)
    return NULL;
  char *text = xstrndup (message, SERVER_TEXT_MAX);
  for (char *at = text; *at != '\0'; at++)
    if ((unsigned char) *at < ' ' || *at == 127)
      *at = ' ';
  return text;
}

int
registry_http_refused (const struct registry_http *http, const struct answer *answer,
                       enum error_class class, struct error *err)
{
  if (answer->status == 401 || answer->status == 403)
    return error_set (err, ERROR_FATAL, "schema registry %s: HTTP %ld: %s", http->url,
                      answer->status,
                      http->basic == NULL ? "it wants a user and a password"
                                          : "it doesn't take this user and password");
  auto_free char *text = server_text (http, answer);
  if (answer->status == 200)
    return error_set (err, ERROR_FATAL, "schema registry %s: not a registry's answer", http->url);
  if (answer_code (answer) == 0)
    return error_set (err, ERROR_FATAL,
                      "schema registry %s: HTTP %ld: is this the URL of the registry's API?",
                      http->url, answer->status);
  return error_set (err, class, "schema registry %s: HTTP %ld%s%s", http->url, answer->status,
                    text == NULL ? "" : ": ", text == NULL ? "" : text);
}
