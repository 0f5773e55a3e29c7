/* Credentials that a server gives for a while: STS, a container's agent, an instance's metadata. */
#include "common/buffer.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/http/http.h"
#include "common/memory.h"
#include "common/variable.h"
#include "storage/s3/credentials_internal.h"
#include "storage/s3/sign.h"
#include "storage/s3/xml.h"

#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

enum
{
  ANSWER_MAX = 64 << 10,
  FILE_MAX = 64 << 10,
  NEAR_MS = 1000, /* a server on this machine or its host answers within */
};

int64_t
credentials_time (const char *text)
{
  struct tm time = { 0 };
  if (text == NULL || strptime (text, "%Y-%m-%dT%H:%M:%S", &time) == NULL)
    return 0;
  return (int64_t) timegm (&time) * 1000;
}

/* A short file's content without the white space behind it; the caller frees. */
static char *
read_word (const char *path, struct error *err)
{
  auto_buffer struct buffer text = { 0 };
  if (fs_read_file (AT_FDCWD, path, FILE_MAX, &text, err) != 0)
    return NULL;
  text.data[strcspn (text.data, " \r\n")] = '\0';
  return xstrdup (text.data);
}

/* ---- STS -------------------------------------------------------------------------------- */

static char *
sts_url (void)
{
  const char *url = variable_get ("AWS_ENDPOINT_URL_STS");
  const char *region = variable_get ("AWS_REGION");
  if (region == NULL)
    region = variable_get ("AWS_DEFAULT_REGION");
  if (url != NULL)
    return xstrdup (url);
  return region == NULL ? xstrdup ("https://sts.amazonaws.com/")
                        : xasprintf ("https://sts.%s.amazonaws.com/", region);
}

#define STS_RESULT "AssumeRoleWithWebIdentityResponse/AssumeRoleWithWebIdentityResult/Credentials/"

static int
read_sts (struct bytes document, struct found_credentials *found, struct error *err)
{
  char text[4][4096] = { "" };
  static const char *const paths[] = { STS_RESULT "AccessKeyId", STS_RESULT "SecretAccessKey",
                                       STS_RESULT "SessionToken", STS_RESULT "Expiration" };
  bool all = true;
  for (size_t i = 0; i < 4; i++)
    all = xml_find (document, paths[i], text[i], sizeof text[i]) && all;
  if (all)
    {
      found->keys =
          (struct credentials_now){ xstrdup (text[0]), xstrdup (text[1]), xstrdup (text[2]) };
      found->expires = credentials_time (text[3]);
    }
  explicit_bzero (text, sizeof text);
  return all ? 1 : error_set (err, ERROR_TRANSIENT, "no credentials in the response");
}

static void
add_parameter (struct buffer *body, const char *name, const char *value)
{
  buffer_printf (body, "&%s=", name);
  sign_encode (body, value, false);
}

int
credentials_from_web_identity (struct found_credentials *found, struct error *err)
{
  const char *file = variable_get ("AWS_WEB_IDENTITY_TOKEN_FILE");
  const char *role = variable_get ("AWS_ROLE_ARN");
  if (file == NULL || role == NULL)
    return 0;
  auto_free char *token = read_word (file, err);
  if (token == NULL)
    return error_wrap (err, "AWS_WEB_IDENTITY_TOKEN_FILE");
  const char *session = variable_get ("AWS_ROLE_SESSION_NAME");
  auto_buffer struct buffer body = { 0 };
  buffer_puts (&body, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15");
  add_parameter (&body, "RoleArn", role);
  add_parameter (&body, "RoleSessionName", session == NULL ? "shoal" : session);
  add_parameter (&body, "WebIdentityToken", token);
  const struct http_options options = { .connections = 1 };
  auto_http struct http *http = http_new (&options);
  auto_http_call struct http_call call;
  http_call_init (&call, sts_url ());
  call.method = "POST";
  call.limit = ANSWER_MAX;
  call.body = buffer_bytes (&body);
  strlist_add (&call.headers, "Content-Type: application/x-www-form-urlencoded");
  char code[128] = "";
  int result = http_perform (http, &call, err);
  if (result == 0)
    result = read_sts (buffer_bytes (&call.answer), found, err);
  else if (xml_find (buffer_bytes (&call.answer), "ErrorResponse/Error/Code", code, sizeof code))
    (void) http_error (&call, code, err);
  auto_free char *shown = http_url_shown (call.url);
  return result < 0 ? error_wrap (err, "credentials from %s", shown) : result;
}

/* ---- JSON over HTTP --------------------------------------------------------------------- */

static int
s3_servers_read_json (struct bytes text, const char *token_name, struct found_credentials *found,
                      struct error *err)
{
  json_t *root = json_loadb (text.data == NULL ? "" : text.data, text.size, 0, NULL);
  const char *id = json_string_value (json_object_get (root, "AccessKeyId"));
  const char *secret = json_string_value (json_object_get (root, "SecretAccessKey"));
  const char *token = json_string_value (json_object_get (root, token_name));
  const char *expires = json_string_value (json_object_get (root, "Expiration"));
  bool good = id != NULL && secret != NULL;
  if (good)
    {
      found->keys = (struct credentials_now){ xstrdup (id), xstrdup (secret), xstrdup (token) };
      found->expires = credentials_time (expires);
    }
  json_decref (root);
  return good ? 1 : error_set (err, ERROR_TRANSIENT, "no credentials in the response");
}

/* GET (or METHOD) of URL, which is taken, with one more HEADER (or NULL). */
static int
s3_servers_request (struct http *http, const char *method, char *url, const char *header,
                    struct buffer *answer, struct error *err)
{
  auto_http_call struct http_call call;
  http_call_init (&call, url);
  call.method = method;
  call.limit = ANSWER_MAX;
  if (header != NULL)
    strlist_add (&call.headers, header);
  int result = http_perform (http, &call, err);
  buffer_append (answer, call.answer.data, call.answer.size);
  auto_free char *shown = http_url_shown (call.url);
  return result == 0 ? 0 : error_wrap (err, "credentials from %s", shown);
}

int
credentials_from_container (struct found_credentials *found, struct error *err)
{
  const char *relative = variable_get ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  const char *full = variable_get ("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  const char *file = variable_get ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
  const char *given = variable_get ("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (relative == NULL && full == NULL)
    return 0;
  auto_free char *token = file == NULL ? xstrdup (given) : read_word (file, err);
  if (file != NULL && token == NULL)
    return error_wrap (err, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
  auto_free char *header = token == NULL ? NULL : xasprintf ("Authorization: %s", token);
  const struct http_options options = { .connections = 1, .connect_ms = NEAR_MS, .tries = 3 };
  auto_http struct http *http = http_new (&options);
  auto_buffer struct buffer answer = { 0 };
  char *url = relative == NULL ? xstrdup (full) : xasprintf ("http://169.254.170.2%s", relative);
  if (s3_servers_request (http, "GET", url, header, &answer, err) != 0)
    return -1;
  return s3_servers_read_json (buffer_bytes (&answer), "Token", found, err);
}

/* Version 2 of the instance's metadata: a token first. Nobody there: this machine is no
 * instance. */
int
credentials_from_instance (struct found_credentials *found, struct error *err)
{
  const char *disabled = variable_get ("AWS_EC2_METADATA_DISABLED");
  const char *base = variable_get ("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (disabled != NULL && strcasecmp (disabled, "true") == 0)
    return 0;
  if (base == NULL)
    base = "http://169.254.169.254";
  const struct http_options options = {
    .connections = 1, .connect_ms = NEAR_MS, .stall_ms = NEAR_MS, .tries = 1
  };
  auto_http struct http *http = http_new (&options);
  auto_buffer struct buffer token = { 0 };
  auto_buffer struct buffer role = { 0 };
  auto_buffer struct buffer answer = { 0 };
  if (s3_servers_request (http, "PUT", xasprintf ("%s/latest/api/token", base),
                          "X-aws-ec2-metadata-token-ttl-seconds: 21600", &token, NULL)
          != 0
      || token.size == 0)
    return 0;
  auto_free char *header = xasprintf ("X-aws-ec2-metadata-token: %s", token.data);
  if (s3_servers_request (http, "GET",
                          xasprintf ("%s/latest/meta-data/iam/security-credentials/", base), header,
                          &role, NULL)
          != 0
      || role.size == 0)
    return 0;
  role.data[strcspn (role.data, "\r\n")] = '\0';
  if (s3_servers_request (
          http, "GET",
          xasprintf ("%s/latest/meta-data/iam/security-credentials/%s", base, role.data), header,
          &answer, err)
      != 0)
    return -1;
  return s3_servers_read_json (buffer_bytes (&answer), "Token", found, err);
}
