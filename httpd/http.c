/* What handlers use, and the token's reading. */
#include "common/fs.h"
#include "common/memory.h"
#include "httpd/httpd.h"

#include <fcntl.h>
#include <jansson.h>
#include <microhttpd.h>
#include <string.h>

#define TOKEN_VARIABLE "SHOAL_TOKEN"

enum
{
  TOKEN_MIN = 16,
  TOKEN_MAX = 4096,
};

const char *
http_request_header (const struct http_request *request, const char *name)
{
  return MHD_lookup_connection_value (request->connection, MHD_HEADER_KIND, name);
}

const char *
http_request_query (const struct http_request *request, const char *name)
{
  return MHD_lookup_connection_value (request->connection, MHD_GET_ARGUMENT_KIND, name);
}

void
http_answer_text (struct http_answer *answer, unsigned int status, char *text)
{
  answer->status = status;
  buffer_clear (&answer->body);
  buffer_puts (&answer->body, text);
  buffer_putc (&answer->body, '\n');
  free (text);
}

/* TEXT as JSON text; bytes that are no UTF-8 (paths) as question marks. */
static json_t *
text_json (const char *text)
{
  json_t *json = json_string (text);
  if (json != NULL)
    return json;
  auto_free char *plain = xstrdup (text);
  for (char *at = plain; *at != '\0'; at++)
    if ((unsigned char) *at >= 0x80)
      *at = '?';
  return json_string (plain);
}

void
http_refuse (struct http_answer *answer, unsigned int status, const char *field,
             const char *message)
{
  json_t *object = json_object ();
  (void) json_object_set_new (object, "error", text_json (message));
  if (field != NULL)
    (void) json_object_set_new (object, "field", text_json (field));
  char *text = json_dumps (object, 0);
  json_decref (object);
  http_answer_text (answer, status, text == NULL ? xstrdup ("{}") : text);
}

/* ---- the token -------------------------------------------------------------------------- */

/* Neither the token nor a part of it gets into a message. */
static char *
answer_checked (const char *token, const char *where, struct error *err)
{
  size_t length = strlen (token);
  bool plain = length >= TOKEN_MIN && length <= TOKEN_MAX;
  for (size_t i = 0; plain && i < length; i++)
    plain = token[i] > ' ' && token[i] < 0x7f;
  if (plain)
    return xstrdup (token);
  (void) error_set (err, ERROR_USER,
                    "%s: a token is one word of %d to %d printable ASCII characters", where,
                    TOKEN_MIN, TOKEN_MAX);
  return NULL;
}

char *
httpd_read_token (const char *file, struct error *err)
{
  const char *variable = getenv (TOKEN_VARIABLE);
  if (file == NULL)
    return variable == NULL || variable[0] == '\0' ? NULL
                                                   : answer_checked (variable, TOKEN_VARIABLE, err);
  auto_buffer struct buffer text = { 0 };
  if (fs_read_file (AT_FDCWD, file, (size_t) TOKEN_MAX + 2, &text, err) != 0)
    return NULL;
  const char *token = text.data == NULL ? "" : text.data;
  auto_free char *line = xstrndup (token, strcspn (token, "\r\n"));
  return answer_checked (line, file, err);
}
