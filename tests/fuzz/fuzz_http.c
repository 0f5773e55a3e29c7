/* libFuzzer: what a request's first lines decide, a line each: method, path, Authorization. A path
 * below a route is a name; only the token opens; whatever a refusal quotes, it is JSON. */
#include "cli/job_api.h"
#include "common/memory.h"
#include "httpd/probes.h"
#include "httpd/route.h"

#include <jansson.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static const char token[] = "correct-horse-battery-staple";

static void
check_route (const char *method, const char *path)
{
  struct http_route routes[INTAKE_ROUTES + PROBE_ROUTES];
  const char *rest = NULL;
  const char *allowed = NULL;
  job_api_routes (NULL, routes);
  probes_routes (NULL, routes + INTAKE_ROUTES);
  const struct http_route *route =
      route_find (routes, sizeof routes / sizeof routes[0], method, path, &rest, &allowed);
  if (route == NULL)
    return;
  size_t length = strlen (route->path);
  bool is_name = rest[0] != '\0' && strchr (rest, '/') == NULL;
  if (strncmp (route->path, path, length) != 0 || strcmp (path + length, rest) != 0
      || is_name != (route->path[length - 1] == '/'))
    abort ();
}

static void
check_token (const char *header)
{
  uint8_t sum[DIGEST_SIZE];
  token_sum (token, sum);
  bool is_right = strncasecmp (header, "Bearer ", 7) == 0 && strcmp (header + 7, token) == 0;
  if (token_is_in (header, sum) != is_right)
    abort ();
}

static void
check_refusal (const char *message, const char *field)
{
  struct http_answer answer = { 0 };
  http_refuse (&answer, 422, field, message);
  json_t *object = json_loadb (answer.body.data, answer.body.size, 0, NULL);
  if (json_string_value (json_object_get (object, "error")) == NULL
      || json_string_value (json_object_get (object, "field")) == NULL)
    abort ();
  json_decref (object);
  buffer_release (&answer.body);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  auto_free char *text = xstrndup ((const char *) data, size);
  char *rest = text;
  const char *method = strsep (&rest, "\n");
  const char *path = rest == NULL ? "" : strsep (&rest, "\n");
  const char *header = rest == NULL ? "" : rest;
  check_route (method, path);
  check_token (header);
  check_refusal (path, header);
  return 0;
}
