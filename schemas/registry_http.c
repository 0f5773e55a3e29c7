#include "common/base64.h"
#include "schemas/registry_internal.h"

#include "common/clock.h"
#include "common/http/http.h"
#include "common/memory.h"

#include <ctype.h>
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
  struct http *http;
  char *url;
  char *password; /* for keeping it out of errors */
  char *basic;    /* base64 of user:password, likewise */
};

struct registry_http *
registry_http_new (const char *url, const char *user, const char *password, const char *ca_file)
{
  const struct http_options options = {
    .connections = 1, .connect_ms = CONNECT_MS, .try_ms = TRY_MS, .tries = 1, .ca_file = ca_file
  };
  struct registry_http *registry = xcalloc (1, sizeof *registry);
  registry->http = http_new (&options);
  registry->url = xstrdup (url);
  if (user != NULL)
    {
      auto_free char *both = xasprintf ("%s:%s", user, password == NULL ? "" : password);
      registry->password = xstrdup (password == NULL ? "" : password);
      registry->basic = base64_encode (both, strlen (both));
      explicit_bzero (both, strlen (both));
    }
  return registry;
}

void
registry_http_free (struct registry_http *registry)
{
  if (registry == NULL)
    return;
  http_free (registry->http);
  if (registry->password != NULL)
    explicit_bzero (registry->password, strlen (registry->password));
  if (registry->basic != NULL)
    explicit_bzero (registry->basic, strlen (registry->basic));
  free (registry->password);
  free (registry->basic);
  free (registry->url);
  free (registry);
}

/* ---- asking ----------------------------------------------------------------------------- */

static void
set_headers (const struct registry_http *registry, struct http_call *call)
{
  strlist_add (&call->headers, "Accept: " CONTENT_TYPE ", application/json");
  strlist_add (&call->headers, "Content-Type: " CONTENT_TYPE);
  if (registry->basic != NULL)
    strlist_addf (&call->headers, "Authorization: Basic %s", registry->basic);
}

/* One request. 0 with an answer whatever its status, or -1 with ERR: ERROR_TRANSIENT where the
 * registry is away. No message that waits is to blame for what is wrong with the registry: there is
 * no ERROR_USER. */
static int
try_once (const struct registry_http *registry, struct http_call *call, struct error *err)
{
  error_clear (err);
  int result = http_perform (registry->http, call, err);
  if (result == 0 || (call->status >= 300 && err->class != ERROR_TRANSIENT))
    return 0;
  if (err->class == ERROR_USER || call->answer.size >= ANSWER_MAX)
    err->class = ERROR_FATAL;
  return -1;
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
registry_request_until (const struct registry_http *registry, struct http_call *call,
                        int64_t patience_ms, struct error *err)
{
  struct error last = ERROR_INIT;
  int64_t start = clock_boot_ms ();
  int64_t pause_ms = PAUSE_MS;
  int tries = 1;
  while (try_once (registry, call, &last) != 0)
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
registry_http_ask (const struct registry_http *registry, const char *method, const char *path,
                   const json_t *body, int64_t patience_ms, struct answer *answer,
                   struct error *err)
{
  auto_free char *text = body == NULL ? NULL : json_dumps (body, JSON_COMPACT);
  auto_http_call struct http_call call;
  http_call_init (&call, xasprintf ("%s%s", registry->url, path));
  call.method = method;
  call.limit = ANSWER_MAX;
  call.direct = true;
  if (text != NULL)
    call.body = (struct bytes){ text, strlen (text) };
  set_headers (registry, &call);
  if (registry_request_until (registry, &call, patience_ms, err) != 0)
    return error_wrap (err, "schema registry %s", registry->url);
  answer->status = call.status;
  answer->json =
      call.answer.size == 0 ? NULL : json_loadb (call.answer.data, call.answer.size, 0, NULL);
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

/* What the server says of its refusal, in one short line; NULL when that holds our password. The
 * caller frees. */
static char *
server_text (const struct registry_http *registry, const struct answer *answer)
{
  const char *message = json_string_value (json_object_get (answer->json, "message"));
  bool secret =
      message != NULL && registry->basic != NULL
      && (strstr (message, registry->basic) != NULL
          || (registry->password[0] != '\0' && strstr (message, registry->password) != NULL));
  if (message == NULL || secret)
    return NULL;
  char *text = xstrndup (message, SERVER_TEXT_MAX);
  for (char *at = text; *at != '\0'; at++)
    if ((unsigned char) *at < ' ' || *at == 127)
      *at = ' ';
  return text;
}

int
registry_http_refused (const struct registry_http *registry, const struct answer *answer,
                       enum error_class class, struct error *err)
{
  if (answer->status == 401 || answer->status == 403)
    return error_set (err, ERROR_FATAL, "schema registry %s: HTTP %ld: %s", registry->url,
                      answer->status,
                      registry->basic == NULL ? "a user and a password are required"
                                              : "user or password rejected");
  auto_free char *text = server_text (registry, answer);
  if (answer->status == 200)
    return error_set (
        err, ERROR_FATAL,
        "schema registry %s: unexpected response: is this the URL of the registry's API?",
        registry->url);
  if (answer_code (answer) == 0)
    return error_set (err, ERROR_FATAL,
                      "schema registry %s: HTTP %ld: is this the URL of the registry's API?",
                      registry->url, answer->status);
  return error_set (err, class, "schema registry %s: HTTP %ld%s%s", registry->url, answer->status,
                    text == NULL ? "" : ": ", text == NULL ? "" : text);
}
