#include "schemas/writer_schema.h"

#include "common/memory.h"
#include "schemas/fingerprint.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

enum
{
  DEPTH_MAX = 24,    /* of types in one another; ours have 4. skim.c goes as deep as 32 */
  NAMES_MAX = 1000,  /* named types */
  NAME_MAX_ = 512,   /* bytes of a full name */
  FIXED_MAX = 65536, /* bytes of a fixed */
};

/* What a value takes in avro-c's memory, estimated from above: bytes. */
enum
{
  WEIGHT_SMALL = 16,
  WEIGHT_STRING = 64,
  WEIGHT_LIST = 128,
  WEIGHT_UNION = 32,
  WEIGHT_RECORD = 64,
  WEIGHT_MAX = 1 << 20, /* of a message without its array items */
};

struct named
{
  char *full;
  size_t weight; /* 0 while its definition goes on */
};

struct schema_check
{
  struct named names[NAMES_MAX];
  size_t count;
  size_t growth; /* of the heaviest item so far */
  const char *problem;
  char about[64]; /* the type or name that the problem is with */
};

static bool
writer_schema_refuse (struct schema_check *check, const char *problem, const char *about)
{
  if (check->problem == NULL)
    {
      check->problem = problem;
      (void) snprintf (check->about, sizeof check->about, "%s", about == NULL ? "?" : about);
      for (char *at = check->about; *at != '\0'; at++)
        if ((unsigned char) *at < ' ' || (unsigned char) *at > '~')
          *at = '?';
    }
  return false;
}

static bool
writer_schema_is_name (const char *name, bool dots)
{
  bool start = true;
  if (name == NULL || strlen (name) > NAME_MAX_)
    return false;
  for (; *name != '\0'; name++)
    {
      bool letter =
          (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') || *name == '_';
      bool digit = *name >= '0' && *name <= '9';
      if (!letter && !(digit && !start) && !(dots && *name == '.' && !start))
        return false;
      start = *name == '.';
    }
  return !start;
}

/* The full name of NAME, used in namespace SPACE; "" when it is too long. */
static void
qualify (const char *name, const char *space, char full[static NAME_MAX_ + 1])
{
  bool plain = space[0] == '\0' || strchr (name, '.') != NULL;
  int n = plain ? snprintf (full, NAME_MAX_ + 1, "%s", name)
                : snprintf (full, NAME_MAX_ + 1, "%s.%s", space, name);
  if (n > NAME_MAX_)
    full[0] = '\0';
}

static struct named *
find_name (struct schema_check *check, const char *full)
{
  for (size_t i = 0; i < check->count; i++)
    if (strcmp (check->names[i].full, full) == 0)
      return &check->names[i];
  return NULL;
}

/* 0 when NAME isn't a primitive type. */
static size_t
primitive_weight (const char *name)
{
  static const char *const small[] = { "null", "boolean", "int", "long", "float", "double" };
  for (size_t i = 0; i < sizeof small / sizeof small[0]; i++)
    if (strcmp (name, small[i]) == 0)
      return WEIGHT_SMALL;
  return strcmp (name, "string") == 0 || strcmp (name, "bytes") == 0 ? WEIGHT_STRING : 0;
}

/* Adds to WEIGHT what a value of SCHEMA takes. SPACE is the enclosing namespace. */
static bool check_schema (struct schema_check *check, const json_t *schema, const char *space,
                          int depth, size_t *weight);

static bool
add_weight (struct schema_check *check, size_t *weight, size_t more)
{
  *weight += more;
  return *weight <= WEIGHT_MAX
         || writer_schema_refuse (check, "a value of it is too large", "the schema");
}

static bool
check_reference (struct schema_check *check, const char *name, const char *space, size_t *weight)
{
  size_t primitive = primitive_weight (name);
  if (primitive != 0)
    return add_weight (check, weight, primitive);
  char full[NAME_MAX_ + 1] = "";
  if (writer_schema_is_name (name, true))
    qualify (name, space, full);
  const struct named *named = find_name (check, full);
  if (named == NULL)
    return writer_schema_refuse (check, "no such type", name);
  if (named->weight == 0)
    return writer_schema_refuse (check, "a type within itself", name);
  return add_weight (check, weight, named->weight);
}

/* Two branches of a union of one kind couldn't be told apart; avro-c keeps them by name. */
static const char *
branch_kind (const json_t *branch)
{
  if (json_is_string (branch))
    return json_string_value (branch);
  const char *type = json_string_value (json_object_get (branch, "type"));
  const char *name = json_string_value (json_object_get (branch, "name"));
  return name != NULL ? name : type;
}

static bool
check_union (struct schema_check *check, const json_t *schema, const char *space, int depth,
             size_t *weight)
{
  size_t heaviest = 0;
  if (json_array_size (schema) == 0 || json_array_size (schema) > NAMES_MAX)
    return writer_schema_refuse (check, "no union", "[]");
  for (size_t i = 0; i < json_array_size (schema); i++)
    {
      const json_t *branch = json_array_get (schema, i);
      const char *kind = json_is_array (branch) ? NULL : branch_kind (branch);
      if (kind == NULL)
        return writer_schema_refuse (check, "a union of what can't be told apart", "[");
      for (size_t j = 0; j < i; j++)
        if (strcmp (kind, branch_kind (json_array_get (schema, j))) == 0)
          return writer_schema_refuse (check, "a union of what can't be told apart", kind);
      size_t own = 0;
      if (!check_schema (check, branch, space, depth + 1, &own))
        return false;
      heaviest = own > heaviest ? own : heaviest;
    }
  return add_weight (check, weight, WEIGHT_UNION + heaviest);
}

/* An array or a map of ITEMS. */
static bool
writer_schema_check_list (struct schema_check *check, const json_t *items, const char *space,
                          int depth, size_t *weight)
{
  size_t item = WEIGHT_STRING; /* its place in the list, its key in a map */
  if (!check_schema (check, items, space, depth + 1, &item))
    return false;
  if (item > check->growth)
    check->growth = item;
  return add_weight (check, weight, WEIGHT_LIST);
}

static bool
has_twin (const json_t *list, size_t i, const char *member)
{
  const json_t *one = json_array_get (list, i);
  const char *name = json_string_value (member == NULL ? one : json_object_get (one, member));
  for (size_t j = 0; j < i; j++)
    {
      const json_t *other = json_array_get (list, j);
      if (strcmp (name,
                  json_string_value (member == NULL ? other : json_object_get (other, member)))
          == 0)
        return true;
    }
  return false;
}

static bool
check_fields (struct schema_check *check, const json_t *fields, const char *space, int depth,
              size_t *weight)
{
  if (!json_is_array (fields) || json_array_size (fields) > NAMES_MAX)
    return writer_schema_refuse (check, "no list of fields", space);
  *weight += WEIGHT_RECORD;
  for (size_t i = 0; i < json_array_size (fields); i++)
    {
      const json_t *field = json_array_get (fields, i);
      const char *name = json_string_value (json_object_get (field, "name"));
      if (!writer_schema_is_name (name, false))
        return writer_schema_refuse (check, "no name of a field", name);
      if (has_twin (fields, i, "name"))
        return writer_schema_refuse (check, "two fields of one name", name);
      if (!add_weight (check, weight, WEIGHT_SMALL)
          || !check_schema (check, json_object_get (field, "type"), space, depth + 1, weight))
        return false;
    }
  return true;
}

static bool
check_symbols (struct schema_check *check, const json_t *symbols, const char *space)
{
  if (!json_is_array (symbols) || json_array_size (symbols) == 0
      || json_array_size (symbols) > NAMES_MAX)
    return writer_schema_refuse (check, "no list of symbols", space);
  for (size_t i = 0; i < json_array_size (symbols); i++)
    {
      const char *symbol = json_string_value (json_array_get (symbols, i));
      if (!writer_schema_is_name (symbol, false) || has_twin (symbols, i, NULL))
        return writer_schema_refuse (check, "no symbol, or one twice", symbol);
    }
  return true;
}

/* The name that SCHEMA defines, entered into the table; NULL when it is refused. */
static struct named *
define (struct schema_check *check, const json_t *schema, const char *space)
{
  const char *name = json_string_value (json_object_get (schema, "name"));
  const json_t *own = json_object_get (schema, "namespace");
  const char *within = own == NULL ? space : json_string_value (own);
  char full[NAME_MAX_ + 1] = "";
  if (writer_schema_is_name (name, true) && within != NULL
      && (within[0] == '\0' || writer_schema_is_name (within, true)))
    qualify (name, within, full);
  if (full[0] == '\0' || primitive_weight (full) != 0)
    (void) writer_schema_refuse (check, "no name of a type", name);
  else if (find_name (check, full) != NULL || check->count == NAMES_MAX)
    (void) writer_schema_refuse (check, "defined twice, or a type too many", name);
  else
    {
      check->names[check->count].full = xstrdup (full);
      return &check->names[check->count++];
    }
  return NULL;
}

/* A record, an enum or a fixed. */
static bool
writer_schema_check_named (struct schema_check *check, const json_t *schema, const char *type,
                           const char *space, int depth, size_t *weight)
{
  struct named *named = define (check, schema, space);
  if (named == NULL)
    return false;
  size_t own = 0;
  if (strcmp (type, "record") == 0)
    {
      const char *dot = strrchr (named->full, '.');
      auto_free char *inner =
          dot == NULL ? xstrdup ("") : xstrndup (named->full, (size_t) (dot - named->full));
      if (!check_fields (check, json_object_get (schema, "fields"), inner, depth, &own))
        return false;
    }
  else if (strcmp (type, "enum") == 0)
    {
      if (!check_symbols (check, json_object_get (schema, "symbols"), named->full))
        return false;
      own = WEIGHT_SMALL;
    }
  else
    {
      json_int_t size = json_integer_value (json_object_get (schema, "size"));
      if (size < 1 || size > FIXED_MAX)
        return writer_schema_refuse (check, "a fixed of no good size", named->full);
      own = WEIGHT_STRING + (size_t) size;
    }
  named->weight = own;
  return add_weight (check, weight, own);
}

static bool
check_schema (struct schema_check *check, const json_t *schema, const char *space, int depth,
              size_t *weight)
{
  if (depth > DEPTH_MAX)
    return writer_schema_refuse (check, "types too deep in one another", space);
  if (json_is_array (schema))
    return check_union (check, schema, space, depth, weight);
  if (json_is_string (schema))
    return check_reference (check, json_string_value (schema), space, weight);
  const json_t *type = json_object_get (schema, "type");
  if (json_is_object (type) || json_is_array (type))
    return check_schema (check, type, space, depth + 1, weight);
  const char *name = json_string_value (type);
  if (name == NULL)
    return writer_schema_refuse (check, "not a type", space);
  if (primitive_weight (name) != 0)
    return check_reference (check, name, space, weight);
  if (strcmp (name, "array") == 0)
    return writer_schema_check_list (check, json_object_get (schema, "items"), space, depth,
                                     weight);
  if (strcmp (name, "map") == 0)
    return writer_schema_check_list (check, json_object_get (schema, "values"), space, depth,
                                     weight);
  if (strcmp (name, "record") == 0 || strcmp (name, "enum") == 0 || strcmp (name, "fixed") == 0)
    return writer_schema_check_named (check, schema, name, space, depth, weight);
  return writer_schema_refuse (check, "no such type", name);
}

/* Checks SCHEMA; GROWTH is what struct writer_schema says. */
static int
check_root (const json_t *schema, size_t *growth, struct error *err)
{
  struct schema_check *check = xcalloc (1, sizeof *check);
  size_t weight = 0;
  check->growth = 1;
  const char *type = json_string_value (json_object_get (schema, "type"));
  bool good = type != NULL && strcmp (type, "record") == 0
                  ? check_schema (check, schema, "", 0, &weight)
                  : writer_schema_refuse (check, "not a record", type);
  int outcome = good ? 0 : error_set (err, ERROR_USER, "%s: %s", check->about, check->problem);
  *growth = check->growth;
  for (size_t i = 0; i < check->count; i++)
    free (check->names[i].full);
  free (check);
  return outcome;
}

static int
writer_schema_load (struct writer_schema *schema, const char *text, struct error *err)
{
  auto_buffer struct buffer canonical = { 0 };
  if (fingerprint_canonical (text, &canonical, err) != 0)
    return -1;
  schema->fingerprint = fingerprint_crc64 (canonical.data, canonical.size);
  if (avro_schema_from_json_length (canonical.data, canonical.size, &schema->schema) != 0)
    return error_set (err, ERROR_USER, "avro-c can't read it");
  schema->name = xstrdup (avro_schema_name (schema->schema));
  schema->iface = avro_generic_class_from_schema (schema->schema);
  return schema->iface != NULL ? 0 : error_set (err, ERROR_USER, "avro-c has no class for it");
}

struct writer_schema *
writer_schema_parse (struct bytes json, struct error *err)
{
  if (json.size > WRITER_SCHEMA_TEXT_MAX)
    {
      (void) error_set (err, ERROR_USER, "a schema of %zu bytes: the limit is %zu", json.size,
                        WRITER_SCHEMA_TEXT_MAX);
      return NULL;
    }
  json_error_t problem;
  json_t *root =
      json_loadb (json.data == NULL ? "" : json.data, json.size, JSON_REJECT_DUPLICATES, &problem);
  if (root == NULL)
    {
      (void) error_set (err, ERROR_USER, "not JSON: line %d: %s", problem.line, problem.text);
      return NULL;
    }
  struct writer_schema *schema = xcalloc (1, sizeof *schema);
  int outcome = check_root (root, &schema->growth, err);
  json_decref (root);
  auto_free char *text = xstrndup (json.data, json.size);
  if (outcome != 0 || writer_schema_load (schema, text, err) != 0)
    {
      writer_schema_free (schema);
      return NULL;
    }
  return schema;
}

void
writer_schema_free (struct writer_schema *schema)
{
  if (schema == NULL)
    return;
  if (schema->iface != NULL)
    avro_value_iface_decref (schema->iface);
  if (schema->schema != NULL)
    avro_schema_decref (schema->schema);
  free (schema->name);
  free (schema);
}
