#include "cli/job_json.h"

#include "common/memory.h"

#include <jansson.h>
#include <string.h>

static bool
is_same_name (const char *option, const char *member)
{
  size_t i = 0;
  for (; option[i] != '\0' && (option[i] == member[i] || (option[i] == '-' && member[i] == '_'));
       i++)
    ;
  return option[i] == member[i];
}

static const struct option_spec *
find_option (const char *member)
{
  for (const struct option_spec *spec = job_options; spec->name != NULL; spec++)
    if (is_same_name (spec->name, member))
      return spec;
  return NULL;
}

/* The text of VALUE, a string or a number; NULL with ERR. The caller frees. */
static char *
scalar_text (const json_t *value, struct error *err)
{
  if (json_is_string (value))
    {
      if (strlen (json_string_value (value)) == json_string_length (value))
        return xstrdup (json_string_value (value));
      (void) error_set (err, ERROR_USER, "a string can't contain NUL");
      return NULL;
    }
  if (json_is_number (value))
    {
      char *dumped = json_dumps (value, JSON_ENCODE_ANY);
      char *text = dumped == NULL ? NULL : xstrdup (dumped);
      free (dumped);
      return text;
    }
  (void) error_set (err, ERROR_USER, "expected a string or a number");
  return NULL;
}

/* Nothing of this machine may get into a job that somebody sent. */
static int
check_foreign (const struct option_spec *spec, const char *text, struct error *err)
{
  if (strcmp (spec->name, "pilot") == 0)
    return error_set (
        err, ERROR_USER,
        "a pilot is for runs on one machine: send a job over some of the inputs first");
  if (strcmp (spec->name, "env-file") == 0)
    return error_set (err, ERROR_USER, "files are not accepted here: send the variables as env");
  bool needs_value = strcmp (spec->name, "env") == 0 && strchr (text, '=') == NULL;
  if (needs_value && strcmp (text, "SHOAL_SHARD_COUNT") != 0)
    return error_set (err, ERROR_USER, "\"%s\": expected NAME=VALUE", text);
  return 0;
}

static int
set_scalar (const struct option_spec *spec, const json_t *value, struct job_args *args,
            struct error *err)
{
  if (spec->argument == NULL)
    {
      if (!json_is_boolean (value))
        return error_set (err, ERROR_USER, "expected true or false");
      return json_is_true (value) ? spec->set (args, NULL, err) : 0;
    }
  if (json_is_boolean (value) && spec->argument[0] == '[')
    return spec->set (args, json_is_true (value) ? "true" : "false", err);
  auto_free char *text = scalar_text (value, err);
  if (text == NULL || check_foreign (spec, text, err) != 0)
    return -1;
  return spec->set (args, text, err);
}

static bool
is_list (const struct option_spec *spec)
{
  static const char *const lists[] = { "volume",   "volume-shared", "exclude", "output",
                                       "env",      "tmpfs",         "mount",   "group-add",
                                       "cap-drop", "ulimit",        "device" };
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
    if (strcmp (spec->name, lists[i]) == 0)
      return true;
  return false;
}

static int
job_json_set_option (const struct option_spec *spec, const json_t *value, struct job_args *args,
                     struct error *err)
{
  if (!json_is_array (value))
    return set_scalar (spec, value, args, err);
  if (!is_list (spec))
    return error_set (err, ERROR_USER, "expected one value");
  size_t i;
  json_t *item;
  json_array_foreach (value, i, item)
    {
      if (set_scalar (spec, item, args, err) != 0)
        return -1;
    }
  return 0;
}

/* The words of an array of strings. */
static int
set_words (const json_t *value, struct strlist *words, struct error *err)
{
  if (!json_is_array (value))
    return error_set (err, ERROR_USER, "expected an array of strings");
  size_t i;
  json_t *item;
  json_array_foreach (value, i, item)
    {
      auto_free char *text = scalar_text (item, err);
      if (text == NULL)
        return -1;
      strlist_add (words, text);
    }
  return 0;
}

static int
set_image (const json_t *value, struct job *job, struct error *err)
{
  if (!json_is_string (value) || json_string_length (value) == 0)
    return error_set (err, ERROR_USER, "expected an image's name");
  free (job->image);
  job->image = scalar_text (value, err);
  return job->image == NULL ? -1 : 0;
}

static int
job_json_set_member (const char *name, const json_t *value, struct job_args *args,
                     struct error *err)
{
  if (strcmp (name, "image") == 0)
    return set_image (value, &args->job, err);
  if (strcmp (name, "command") == 0)
    return set_words (value, &args->job.command, err);
  if (is_same_name ("reduce-command", name) && json_is_array (value))
    return set_words (value, &args->job.reduce_command, err);
  const struct option_spec *spec = find_option (name);
  if (spec == NULL)
    return error_set (err, ERROR_USER,
                      "unknown field: valid are image, command and the options of submit");
  return json_is_null (value) ? 0 : job_json_set_option (spec, value, args, err);
}

static int
job_json_read_object (json_t *object, struct job_args *args, char **field, struct error *err)
{
  const char *name;
  json_t *value;
  json_object_foreach (object, name, value)
    {
      if (job_json_set_member (name, value, args, err) == 0)
        continue;
      *field = xstrdup (name);
      return -1;
    }
  if (args->job.image != NULL)
    return 0;
  *field = xstrdup ("image");
  return error_set (err, ERROR_USER, "missing image");
}

int
job_json_read (struct bytes text, struct job_args *args, char **field, struct error *err)
{
  json_error_t why;
  *field = NULL;
  json_t *object = json_loadb (text.data, text.size, JSON_REJECT_DUPLICATES, &why);
  if (object == NULL)
    return error_set (err, ERROR_USER, "invalid JSON at line %d column %d: %s", why.line,
                      why.column, why.text);
  int result = json_is_object (object) ? job_json_read_object (object, args, field, err)
                                       : error_set (err, ERROR_USER, "expected a JSON object");
  json_decref (object);
  return result;
}
