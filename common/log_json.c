#include "common/log_json.h"

#include "common/memory.h"

#include <jansson.h>
#include <string.h>

/* The text between the quotes at AT; *END is behind the second one. Only `"` and `\` were escaped
 * for the quoting, all else to be seen. The caller frees. */
static char *
log_json_quoted (const char *at, const char **end)
{
  struct buffer text = { 0 };
  for (at++; *at != '\0' && *at != '"'; at++)
    {
      if (*at == '\\' && (at[1] == '"' || at[1] == '\\'))
        at++;
      buffer_putc (&text, *at);
    }
  *end = *at == '"' ? at + 1 : at;
  return buffer_take (&text);
}

static json_t *
log_json_plain (const char *at, const char **end)
{
  size_t size = strcspn (at, " ");
  *end = at + size;
  json_t *value = json_loadb (at, size, JSON_DECODE_ANY, NULL);
  if (json_is_number (value) || json_is_boolean (value))
    return value;
  json_decref (value);
  return json_stringn (at, size);
}

static json_t *
log_json_value (const char *at, const char **end)
{
  if (*at != '"')
    return log_json_plain (at, end);
  auto_free char *text = log_json_quoted (at, end);
  return json_string (text);
}

void
log_json_put (struct buffer *out, const char *line)
{
  json_t *object = json_object ();
  for (const char *at = line; *at != '\0';)
    {
      size_t size = strcspn (at, "= ");
      auto_free char *key = strndup (at, size);
      at += size;
      if (*at == '=' && key != NULL)
        {
          json_t *value = log_json_value (at + 1, &at);
          if (json_object_get (object, key) == NULL)
            (void) json_object_set_new (object, key, value);
          else
            json_decref (value);
        }
      at += *at == ' ' ? 1 : 0;
    }
  auto_free char *text = json_dumps (object, JSON_COMPACT);
  buffer_puts (out, text == NULL ? "{}" : text);
  json_decref (object);
}
