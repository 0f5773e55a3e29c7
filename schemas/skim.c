#include "schemas/skim.h"

#include "common/varint.h"

#include <string.h>

enum
{
  DEPTH_MAX = 32, /* of nested types; ours have 4 */
};

struct skimmer
{
  const unsigned char *at;
  const unsigned char *end;
};

static bool
skim_long (struct skimmer *skimmer, int64_t *value)
{
  const char *behind = varint_get ((const char *) skimmer->at, (const char *) skimmer->end, value);
  skimmer->at = behind == NULL ? skimmer->at : (const unsigned char *) behind;
  return behind != NULL;
}

static bool
skim_int (struct skimmer *skimmer)
{
  int64_t value = 0;
  return skim_long (skimmer, &value) && value >= INT32_MIN && value <= INT32_MAX;
}

/* SIZE bytes of anything. */
static bool
skim_raw (struct skimmer *skimmer, int64_t size)
{
  if (size < 0 || size > skimmer->end - skimmer->at)
    return false;
  skimmer->at += size;
  return true;
}

/* A string; a NUL in it would cut it short in C. */
static bool
skim_text (struct skimmer *skimmer)
{
  int64_t size = 0;
  if (!skim_long (skimmer, &size))
    return false;
  const unsigned char *start = skimmer->at;
  return skim_raw (skimmer, size) && memchr (start, '\0', (size_t) size) == NULL;
}

static bool skim_value (struct skimmer *skimmer, avro_schema_t schema, int depth);

/* Blocks of items: a count (negative: followed by the block's bytes), the items; a count of 0 ends
   them. Those of a map have a KEY in front. */
static bool
skim_list (struct skimmer *skimmer, avro_schema_t items, bool key, int depth)
{
  for (;;)
    {
      int64_t count = 0;
      int64_t size = 0;
      if (!skim_long (skimmer, &count) || count == INT64_MIN)
        return false;
      if (count == 0)
        return true;
      if (count < 0 && (!skim_long (skimmer, &size) || size < 0))
        return false;
      for (int64_t left = count < 0 ? -count : count; left > 0; left--)
        {
          const unsigned char *before = skimmer->at;
          if ((key && !skim_text (skimmer)) || !skim_value (skimmer, items, depth)
              || skimmer->at == before)
            return false;
        }
    }
}

static bool
skim_record (struct skimmer *skimmer, avro_schema_t schema, int depth)
{
  size_t fields = avro_schema_record_size (schema);
  for (size_t i = 0; i < fields; i++)
    if (!skim_value (skimmer, avro_schema_record_field_get_by_index (schema, (int) i), depth))
      return false;
  return true;
}

static bool
skim_value (struct skimmer *skimmer, avro_schema_t schema, int depth)
{
  int64_t value = 0;
  if (depth > DEPTH_MAX)
    return false;
  switch (avro_typeof (schema))
    {
    case AVRO_NULL:
      return true;
    case AVRO_BOOLEAN:
      return skimmer->at < skimmer->end && *skimmer->at++ <= 1;
    case AVRO_INT32:
      return skim_int (skimmer);
    case AVRO_INT64:
      return skim_long (skimmer, &value);
    case AVRO_STRING:
      return skim_text (skimmer);
    case AVRO_BYTES:
      return skim_long (skimmer, &value) && skim_raw (skimmer, value);
    case AVRO_ENUM:
      return skim_long (skimmer, &value) && value >= 0
             && value < avro_schema_enum_number_of_symbols (schema);
    case AVRO_UNION:
      return skim_long (skimmer, &value) && value >= 0
             && value < (int64_t) avro_schema_union_size (schema)
             && skim_value (skimmer, avro_schema_union_branch (schema, (int) value), depth + 1);
    case AVRO_ARRAY:
      return skim_list (skimmer, avro_schema_array_items (schema), false, depth + 1);
    case AVRO_MAP:
      return skim_list (skimmer, avro_schema_map_values (schema), true, depth + 1);
    case AVRO_FLOAT:
      return skim_raw (skimmer, 4);
    case AVRO_DOUBLE:
      return skim_raw (skimmer, 8);
    case AVRO_FIXED:
      return skim_raw (skimmer, avro_schema_fixed_size (schema));
    case AVRO_RECORD:
      return skim_record (skimmer, schema, depth + 1);
    case AVRO_LINK:
      return skim_value (skimmer, avro_schema_link_target (schema), depth + 1);
    default:
      return false;
    }
}

bool
skim (avro_schema_t schema, struct bytes bytes)
{
  const unsigned char *start = bytes.data;
  struct skimmer skimmer = { .at = start, .end = start + bytes.size };
  return skim_value (&skimmer, schema, 0) && skimmer.at == skimmer.end;
}
