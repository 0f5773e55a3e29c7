/* Listings in JSON: an array of nginx's or Caddy's objects, dufs's and serve's object with such an
 * array in it. */
#include "common/memory.h"
#include "storage/web/index_internal.h"
#include "storage/web/json_text.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>

enum
{
  MILLISECONDS = 1000,
};

/* What OBJECT says it is: 1 a folder, 0 a file, -1 something else, -2 nothing. */
static int
json_kind_of (const json_t *object)
{
  const json_t *is_dir = json_object_get (object, "is_dir"); /* Caddy */
  const char *type = json_string_value (json_object_get (object, "type"));
  if (type == NULL)
    type = json_string_value (json_object_get (object, "path_type")); /* dufs */
  if (json_is_boolean (is_dir))
    return json_is_true (is_dir);
  if (type == NULL)
    return -2;
  if (strcmp (type, "directory") == 0 || strcmp (type, "folder") == 0 || strcmp (type, "Dir") == 0
      || strcmp (type, "SymlinkDir") == 0)
    return 1;
  return strcasecmp (type, "file") == 0 || strcmp (type, "SymlinkFile") == 0 ? 0 : -1;
}

static struct index_time
json_time_of (const json_t *object)
{
  const char *nginx = json_string_value (json_object_get (object, "mtime"));
  const char *caddy = json_string_value (json_object_get (object, "mod_time"));
  const json_t *dufs = json_object_get (object, "mtime");
  const char *rest = NULL;
  struct index_time time = { .clock = -1 };
  if (caddy != NULL)
    time = row_time (caddy, &rest);
  else if (nginx != NULL)
    time = (struct index_time){ .clock = (int64_t) curl_getdate (nginx, NULL), .utc = true };
  else if (json_is_integer (dufs) && json_integer_value (dufs) >= 0)
    time = (struct index_time){ .clock = json_integer_value (dufs) / MILLISECONDS, .utc = true };
  return time.utc ? time : (struct index_time){ .clock = -1 };
}

static int
json_add_object (struct index *index, const json_t *object, struct error *err)
{
  auto_free char *given = json_text_string (object, "name");
  if (json_object_get (object, "base") != NULL) /* serve's name is without its ending */
    {
      free (given);
      given = json_text_string (object, "base");
    }
  int kind = json_kind_of (object);
  if (given == NULL || kind == -2)
    return error_set (err, ERROR_USER, "an entry without a name or a type");
  if (kind == -1 || strcmp (given, ".") == 0 || strcmp (given, "..") == 0)
    return 0;
  size_t length = strlen (given);
  if (kind == 1 && length > 1 && given[length - 1] == '/')
    given[--length] = '\0';
  if (length == 0 || strchr (given, '/') != NULL || length > 255 || strcmp (given, "..") == 0
      || strcmp (given, ".") == 0)
    return error_set (err, ERROR_USER, "'%.300s' is not a valid file name", given);
  const json_t *size = json_object_get (object, "size");
  index_add (index, (struct index_entry){ .name = take (&given),
                                          .folder = kind == 1,
                                          .size = kind == 0 && json_is_integer (size)
                                                          && json_integer_value (size) >= 0
                                                      ? json_integer_value (size)
                                                      : -1,
                                          .modified = json_time_of (object) });
  return 0;
}

/* OBJECT, or the objects of the array in it. */
static int
json_add (struct index *index, const json_t *object, struct error *err)
{
  const json_t *array = json_object_get (object, "paths"); /* dufs */
  if (array == NULL)
    array = json_object_get (object, "files"); /* serve */
  if (!json_is_array (array))
    return json_add_object (index, object, err);
  size_t i = 0;
  const json_t *value = NULL;
  json_array_foreach (array, i, value)
    {
      if (!json_is_object (value))
        return error_set (err, ERROR_USER, "an entry that isn't an object");
      if (json_add_object (index, value, err) != 0)
        return -1;
    }
  return 0;
}

int
index_read_json (struct index *index, struct bytes page, struct error *err)
{
  auto_json_text struct json_text reader = { 0 };
  json_text_start (&reader, page);
  index->tells_folders = true;
  for (;;)
    {
      json_t *object = NULL;
      int more = json_text_next (&reader, &object, err);
      if (more <= 0)
        return more;
      int result = json_add (index, object, err);
      json_decref (object);
      if (result != 0)
        return -1;
    }
}
