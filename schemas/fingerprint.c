#include "schemas/fingerprint.h"

#include "common/memory.h"

#include <jansson.h>
#include <string.h>

#define CRC64_EMPTY UINT64_C (0xc15d213aa4d7a795)

uint64_t
fingerprint_crc64 (const void *bytes, size_t n)
{
  const unsigned char *at = bytes;
  uint64_t crc = CRC64_EMPTY;
  for (size_t i = 0; i < n; i++)
    {
      uint64_t entry = (crc ^ at[i]) & 0xff;
      for (int bit = 0; bit < 8; bit++)
        entry = (entry >> 1) ^ (CRC64_EMPTY & -(entry & 1));
      crc = (crc >> 8) ^ entry;
    }
  return crc;
}

/* SPACE is the enclosing namespace, "" for none. False for what isn't a schema. */
static bool put_schema (const json_t *schema, const char *space, struct buffer *out);

static void
put_string (const char *string, struct buffer *out)
{
  /* Names and symbols are [A-Za-z0-9_.]: nothing to escape. */
  buffer_printf (out, "\"%s\"", string);
}

static bool
is_primitive (const char *type)
{
  static const char *const names[] = { "null",  "boolean", "int",   "long",
                                       "float", "double",  "bytes", "string" };
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strcmp (type, names[i]) == 0)
      return true;
  return false;
}

/* NAME with its namespace in front. The caller frees. */
static char *
full_name (const char *name, const char *space)
{
  if (strchr (name, '.') != NULL || space[0] == '\0')
    return xstrdup (name);
  return xasprintf ("%s.%s", space, name);
}

static bool
fingerprint_put_list (const json_t *list, const char *space, struct buffer *out,
                      bool (*put) (const json_t *item, const char *space, struct buffer *out))
{
  if (!json_is_array (list))
    return false;
  buffer_putc (out, '[');
  for (size_t i = 0; i < json_array_size (list); i++)
    {
      if (i > 0)
        buffer_putc (out, ',');
      if (!put (json_array_get (list, i), space, out))
        return false;
    }
  buffer_putc (out, ']');
  return true;
}

static bool
put_symbol (const json_t *symbol, const char *space, struct buffer *out)
{
  (void) space;
  if (!json_is_string (symbol))
    return false;
  put_string (json_string_value (symbol), out);
  return true;
}

static bool
put_field (const json_t *field, const char *space, struct buffer *out)
{
  const char *name = json_string_value (json_object_get (field, "name"));
  if (name == NULL)
    return false;
  buffer_puts (out, "{\"name\":");
  put_string (name, out);
  buffer_puts (out, ",\"type\":");
  bool good = put_schema (json_object_get (field, "type"), space, out);
  buffer_putc (out, '}');
  return good;
}

/* A record, enum or fixed. */
static bool
put_named (const json_t *schema, const char *type, const char *space, struct buffer *out)
{
  const char *name = json_string_value (json_object_get (schema, "name"));
  const char *own = json_string_value (json_object_get (schema, "namespace"));
  if (name == NULL)
    return false;
  auto_free char *full = full_name (name, own != NULL ? own : space);
  const char *dot = strrchr (full, '.');
  auto_free char *inner = dot == NULL ? xstrdup ("") : xstrndup (full, (size_t) (dot - full));
  buffer_puts (out, "{\"name\":");
  put_string (full, out);
  buffer_puts (out, ",\"type\":");
  put_string (type, out);
  bool good = true;
  if (strcmp (type, "record") == 0)
    {
      buffer_puts (out, ",\"fields\":");
      good = fingerprint_put_list (json_object_get (schema, "fields"), inner, out, put_field);
    }
  else if (strcmp (type, "enum") == 0)
    {
      buffer_puts (out, ",\"symbols\":");
      good = fingerprint_put_list (json_object_get (schema, "symbols"), inner, out, put_symbol);
    }
  else
    buffer_printf (out, ",\"size\":%lld",
                   (long long) json_integer_value (json_object_get (schema, "size")));
  buffer_putc (out, '}');
  return good;
}

static bool
put_schema (const json_t *schema, const char *space, struct buffer *out)
{
  if (json_is_array (schema))
    return fingerprint_put_list (schema, space, out, put_schema);
  if (json_is_string (schema))
    {
      const char *name = json_string_value (schema);
      auto_free char *full = is_primitive (name) ? xstrdup (name) : full_name (name, space);
      put_string (full, out);
      return true;
    }
  const json_t *type = json_object_get (schema, "type");
  if (!json_is_string (type))
    return type != NULL && put_schema (type, space, out);
  const char *name = json_string_value (type);
  if (is_primitive (name))
    return put_schema (type, space, out);
  bool array = strcmp (name, "array") == 0;
  if (!array && strcmp (name, "map") != 0)
    return put_named (schema, name, space, out);
  buffer_printf (out, "{\"type\":\"%s\",\"%s\":", name, array ? "items" : "values");
  bool good = put_schema (json_object_get (schema, array ? "items" : "values"), space, out);
  buffer_putc (out, '}');
  return good;
}

int
fingerprint_canonical (const char *json, struct buffer *out, struct error *err)
{
  json_error_t problem;
  json_t *schema = json_loads (json, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &problem);
  if (schema == NULL)
    return error_set (err, ERROR_USER, "schema: line %d: %s", problem.line, problem.text);
  bool good = put_schema (schema, "", out);
  json_decref (schema);
  return good ? 0 : error_set (err, ERROR_USER, "this JSON isn't an Avro schema");
}

int
fingerprint_of (const char *json, uint64_t *fingerprint, struct error *err)
{
  auto_buffer struct buffer canonical = { 0 };
  if (fingerprint_canonical (json, &canonical, err) != 0)
    return -1;
  *fingerprint = fingerprint_crc64 (canonical.data, canonical.size);
  return 0;
}
