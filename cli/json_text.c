#include "cli/json_text.h"

#include "common/text.h"

void
json_set_text (json_t *object, const char *key, const char *text)
{
  if (text != NULL)
    text_set_bytes (object, key, text);
}

void
json_set_number (json_t *object, const char *key, int64_t number)
{
  if (number >= 0)
    (void) json_object_set_new (object, key, json_integer (number));
}

void
json_put_line (json_t *object, FILE *out)
{
  (void) json_dumpf (object, out, JSON_COMPACT);
  (void) fputc ('\n', out);
  json_decref (object);
}
