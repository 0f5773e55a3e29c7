#include "worker/cdi_yaml.h"

#include "common/auto.h"
#include "common/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum
{
  CDI_YAML_DEPTH_MAX = 32,    /* of lists and maps in each other; a specification has seven */
  CDI_YAML_ANCHORS_MAX = 100, /* the value of one may have the other's in it */
};

struct cdi_yaml
{
  yaml_parser_t parser;
  yaml_event_t event; /* the current one */
  json_t *anchors;    /* values by name: those that are complete */
  size_t anchor_count;
  int depth;
};

static void
cdi_yaml_release (struct cdi_yaml *yaml)
{
  yaml_event_delete (&yaml->event);
  yaml_parser_delete (&yaml->parser);
  json_decref (yaml->anchors);
}
#define auto_cdi_yaml AUTO (cdi_yaml_release)

/* ---- events ----------------------------------------------------------------------------- */

static int
cdi_yaml_refuse (const struct cdi_yaml *yaml, const char *why, struct error *err)
{
  return error_set (err, ERROR_USER, "line %zu: %s", yaml->event.start_mark.line + 1, why);
}

static int
cdi_yaml_next (struct cdi_yaml *yaml, struct error *err)
{
  yaml_event_delete (&yaml->event);
  if (yaml_parser_parse (&yaml->parser, &yaml->event) == 1)
    return 0;
  yaml->event = (yaml_event_t){ 0 };
  const char *why = yaml->parser.problem;
  return error_set (err, ERROR_USER, "line %zu: invalid YAML: %s",
                    yaml->parser.problem_mark.line + 1, why == NULL ? "out of memory" : why);
}

static bool
cdi_yaml_is (const yaml_char_t *text, const char *other)
{
  return text != NULL && strcmp ((const char *) text, other) == 0;
}

/* Only tags that say what is so without them. */
static int
cdi_yaml_check_tag (const struct cdi_yaml *yaml, const yaml_char_t *tag, const char *own,
                    struct error *err)
{
  return tag == NULL || cdi_yaml_is (tag, own) ? 0
                                               : cdi_yaml_refuse (yaml, "tags aren't read", err);
}

/* VALUE, which is complete, may be named from now on. */
static int
cdi_yaml_keep (struct cdi_yaml *yaml, const char *anchor, json_t *value, struct error *err)
{
  if (anchor == NULL)
    return 0;
  if (yaml->anchor_count++ == CDI_YAML_ANCHORS_MAX)
    return cdi_yaml_refuse (yaml, "too many anchors", err);
  return json_object_set (yaml->anchors, anchor, value) == 0
             ? 0
             : cdi_yaml_refuse (yaml, "an anchor that isn't text", err);
}

/* ---- values ----------------------------------------------------------------------------- */

/* Members that are numbers, and lists of numbers. */
static bool
cdi_yaml_is_number (const char *key)
{
  static const char *const numbers[] = { "major", "minor",   "fileMode",      "uid",
                                         "gid",   "timeout", "additionalGids" };
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    if (strcmp (key, numbers[i]) == 0)
      return true;
  return false;
}

/* As YAML has them, and 0644 as Go's has it: octal. NULL when TEXT is none. */
static json_t *
cdi_yaml_integer (const char *text)
{
  bool octal = strncmp (text, "0o", 2) == 0;
  char *end = NULL;
  errno = 0;
  long long value = strtoll (octal ? text + 2 : text, &end, octal ? 8 : 0);
  return errno != 0 || end == text || *end != '\0' || strpbrk (text, " \t") != NULL
             ? NULL
             : json_integer (value);
}

static json_t *
cdi_yaml_scalar (const struct cdi_yaml *yaml, const char *key, struct error *err)
{
  static const char *const nulls[] = { "", "~", "null", "Null", "NULL" };
  const char *text = (const char *) yaml->event.data.scalar.value;
  size_t size = yaml->event.data.scalar.length;
  const yaml_char_t *tag = yaml->event.data.scalar.tag;
  bool plain = yaml->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE && tag == NULL;
  if (!cdi_yaml_is (tag, "!") && cdi_yaml_check_tag (yaml, tag, YAML_STR_TAG, err) != 0)
    return NULL;
  if (memchr (text, '\0', size) != NULL)
    {
      (void) cdi_yaml_refuse (yaml, "a NUL byte", err);
      return NULL;
    }
  for (size_t i = 0; plain && i < sizeof nulls / sizeof nulls[0]; i++)
    if (strcmp (text, nulls[i]) == 0)
      return json_null ();
  json_t *number = plain && cdi_yaml_is_number (key) ? cdi_yaml_integer (text) : NULL;
  json_t *value = number != NULL ? number : json_stringn (text, size);
  if (value == NULL)
    (void) cdi_yaml_refuse (yaml, "not UTF-8", err);
  return value;
}

static json_t *cdi_yaml_value (struct cdi_yaml *yaml, const char *key, struct error *err);

static int
cdi_yaml_fill_list (struct cdi_yaml *yaml, json_t *list, const char *key, struct error *err)
{
  for (;;)
    {
      if (cdi_yaml_next (yaml, err) != 0)
        return -1;
      if (yaml->event.type == YAML_SEQUENCE_END_EVENT)
        return 0;
      json_t *item = cdi_yaml_value (yaml, key, err);
      if (item == NULL || json_array_append_new (list, item) != 0)
        return -1;
    }
}

/* The key of MAP that is the current event, as a text that the caller frees. NULL with ERR. */
static char *
cdi_yaml_key (const struct cdi_yaml *yaml, const json_t *map, struct error *err)
{
  const char *key = (const char *) yaml->event.data.scalar.value;
  if (yaml->event.type != YAML_SCALAR_EVENT || yaml->event.data.scalar.tag != NULL
      || yaml->event.data.scalar.anchor != NULL)
    (void) cdi_yaml_refuse (yaml, "a key that isn't plain text", err);
  else if (strcmp (key, "<<") == 0)
    (void) cdi_yaml_refuse (yaml, "merge keys (<<) aren't read", err);
  else if (json_object_get (map, key) != NULL)
    (void) error_set (err, ERROR_USER, "line %zu: %.100s is there twice",
                      yaml->event.start_mark.line + 1, key);
  else
    return xstrdup (key);
  return NULL;
}

static int
cdi_yaml_fill_map (struct cdi_yaml *yaml, json_t *map, struct error *err)
{
  for (;;)
    {
      if (cdi_yaml_next (yaml, err) != 0)
        return -1;
      if (yaml->event.type == YAML_MAPPING_END_EVENT)
        return 0;
      auto_free char *key = cdi_yaml_key (yaml, map, err);
      if (key == NULL || cdi_yaml_next (yaml, err) != 0)
        return -1;
      json_t *value = cdi_yaml_value (yaml, key, err);
      if (value == NULL)
        return -1;
      if (json_object_set_new (map, key, value) != 0)
        return cdi_yaml_refuse (yaml, "a key that isn't UTF-8", err);
    }
}

/* The list or map that begins with the current event; that of its end is the current one then. */
static json_t *
cdi_yaml_collection (struct cdi_yaml *yaml, const char *key, struct error *err)
{
  bool list = yaml->event.type == YAML_SEQUENCE_START_EVENT;
  const yaml_char_t *name =
      list ? yaml->event.data.sequence_start.anchor : yaml->event.data.mapping_start.anchor;
  const yaml_char_t *tag =
      list ? yaml->event.data.sequence_start.tag : yaml->event.data.mapping_start.tag;
  auto_free char *anchor = xstrdup ((const char *) name);
  if (cdi_yaml_check_tag (yaml, tag, list ? YAML_SEQ_TAG : YAML_MAP_TAG, err) != 0)
    return NULL;
  if (yaml->depth == CDI_YAML_DEPTH_MAX)
    {
      (void) cdi_yaml_refuse (yaml, "nested too deeply", err);
      return NULL;
    }
  json_t *value = list ? json_array () : json_object ();
  yaml->depth++;
  int filled =
      list ? cdi_yaml_fill_list (yaml, value, key, err) : cdi_yaml_fill_map (yaml, value, err);
  yaml->depth--;
  if (filled == 0 && cdi_yaml_keep (yaml, anchor, value, err) == 0)
    return value;
  json_decref (value);
  return NULL;
}

static json_t *
cdi_yaml_alias (const struct cdi_yaml *yaml, struct error *err)
{
  json_t *value = json_object_get (yaml->anchors, (const char *) yaml->event.data.alias.anchor);
  if (value == NULL)
    (void) cdi_yaml_refuse (yaml, "an alias of nothing that ended before", err);
  return json_incref (value);
}

/* What begins with the current event, as the value of KEY. The caller owns it; NULL with ERR. */
static json_t *
cdi_yaml_value (struct cdi_yaml *yaml, const char *key, struct error *err)
{
  if (yaml->event.type == YAML_ALIAS_EVENT)
    return cdi_yaml_alias (yaml, err);
  if (yaml->event.type != YAML_SCALAR_EVENT)
    return cdi_yaml_collection (yaml, key, err);
  json_t *value = cdi_yaml_scalar (yaml, key, err);
  const char *anchor = (const char *) yaml->event.data.scalar.anchor;
  if (value != NULL && cdi_yaml_keep (yaml, anchor, value, err) == 0)
    return value;
  json_decref (value);
  return NULL;
}

/* ---- documents -------------------------------------------------------------------------- */

static int
cdi_yaml_expect (struct cdi_yaml *yaml, yaml_event_type_t type, const char *why, struct error *err)
{
  if (cdi_yaml_next (yaml, err) != 0)
    return -1;
  return yaml->event.type == type ? 0 : cdi_yaml_refuse (yaml, why, err);
}

json_t *
cdi_yaml_parse (struct bytes text, struct error *err)
{
  auto_cdi_yaml struct cdi_yaml yaml = { .anchors = json_object () };
  if (yaml_parser_initialize (&yaml.parser) != 1)
    abort (); /* no memory */
  yaml_parser_set_input_string (&yaml.parser, text.size == 0 ? (const yaml_char_t *) "" : text.data,
                                text.size);
  if (cdi_yaml_expect (&yaml, YAML_STREAM_START_EVENT, "invalid YAML", err) != 0
      || cdi_yaml_expect (&yaml, YAML_DOCUMENT_START_EVENT, "the file is empty", err) != 0
      || cdi_yaml_next (&yaml, err) != 0)
    return NULL;
  json_t *value = cdi_yaml_value (&yaml, "", err);
  if (value != NULL && cdi_yaml_expect (&yaml, YAML_DOCUMENT_END_EVENT, "invalid YAML", err) == 0
      && cdi_yaml_expect (&yaml, YAML_STREAM_END_EVENT, "a second document", err) == 0)
    return value;
  json_decref (value);
  return NULL;
}
