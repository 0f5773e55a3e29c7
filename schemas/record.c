#include "schemas/record.h"

#include "common/memory.h"

#include <ctype.h>
#include <string.h>

/* ---- writing ---------------------------------------------------------------------------- */

/* VALUE itself, or the branch of a [null, T] union that isn't null. */
static struct record
not_null (avro_value_t value)
{
  struct record record = { .value = value };
  if (avro_value_get_type (&value) == AVRO_UNION)
    record.failed = avro_value_set_branch (&value, 1, &record.value) != 0;
  return record;
}

struct record
record_field (struct record *record, const char *name)
{
  avro_value_t value = { 0 };
  if (record->failed || avro_value_get_by_name (&record->value, name, &value, NULL) != 0)
    {
      record->failed = true;
      return (struct record){ .failed = true };
    }
  return not_null (value);
}

struct record
record_append (struct record *record)
{
  avro_value_t value = { 0 };
  if (record->failed || avro_value_append (&record->value, &value, NULL) != 0)
    {
      record->failed = true;
      return (struct record){ .failed = true };
    }
  return (struct record){ .value = value };
}

void
record_set_null (struct record *record, const char *name)
{
  avro_value_t value = { 0 };
  avro_value_t null = { 0 };
  if (record->failed || avro_value_get_by_name (&record->value, name, &value, NULL) != 0
      || avro_value_set_branch (&value, 0, &null) != 0 || avro_value_set_null (&null) != 0)
    record->failed = true;
}

void
record_set_string (struct record *record, const char *name, const char *string)
{
  if (string == NULL)
    {
      record_set_null (record, name);
      return;
    }
  struct record field = record_field (record, name);
  if (field.failed || avro_value_set_string (&field.value, string) != 0)
    record->failed = true;
}

void
record_set_bytes (struct record *record, const char *name, struct bytes bytes)
{
  static char none[1];
  struct record field = record_field (record, name);
  void *data = bytes.size == 0 ? none : (void *) (uintptr_t) bytes.data;
  if (field.failed || avro_value_set_bytes (&field.value, data, bytes.size) != 0)
    record->failed = true;
}

void
record_set_long (struct record *record, const char *name, int64_t value)
{
  struct record field = record_field (record, name);
  if (field.failed || avro_value_set_long (&field.value, value) != 0)
    record->failed = true;
}

void
record_set_int (struct record *record, const char *name, int32_t value)
{
  struct record field = record_field (record, name);
  if (field.failed || avro_value_set_int (&field.value, value) != 0)
    record->failed = true;
}

void
record_set_optional_long (struct record *record, const char *name, int64_t value)
{
  if (value < 0)
    record_set_null (record, name);
  else
    record_set_long (record, name, value);
}

void
record_set_optional_int (struct record *record, const char *name, int32_t value)
{
  if (value < 0)
    record_set_null (record, name);
  else
    record_set_int (record, name, value);
}

void
record_set_bool (struct record *record, const char *name, bool value)
{
  struct record field = record_field (record, name);
  if (field.failed || avro_value_set_boolean (&field.value, value) != 0)
    record->failed = true;
}

void
record_set_enum (struct record *record, const char *name, const char *symbol)
{
  char upper[32] = "";
  for (size_t i = 0; i < sizeof upper - 1 && symbol[i] != '\0'; i++)
    upper[i] = (char) toupper ((unsigned char) symbol[i]);
  struct record field = record_field (record, name);
  int index = field.failed
                  ? -1
                  : avro_schema_enum_get_by_name (avro_value_get_schema (&field.value), upper);
  if (index < 0 || avro_value_set_enum (&field.value, index) != 0)
    record->failed = true;
}

void
record_set_strings (struct record *record, const char *name, const struct strlist *list)
{
  struct record array = record_field (record, name);
  for (size_t i = 0; i < list->count; i++)
    {
      struct record item = record_append (&array);
      if (item.failed || avro_value_set_string (&item.value, list->items[i]) != 0)
        array.failed = true;
    }
  record->failed = record->failed || array.failed;
}

/* ---- reading ---------------------------------------------------------------------------- */

bool
record_get (const struct record *record, const char *name, struct record *field)
{
  avro_value_t value = { 0 };
  if (avro_value_get_by_name (&record->value, name, &value, NULL) != 0)
    return false;
  if (avro_value_get_type (&value) == AVRO_UNION)
    {
      avro_value_t branch = { 0 };
      if (avro_value_get_current_branch (&value, &branch) != 0)
        return false;
      value = branch;
    }
  if (avro_value_get_type (&value) == AVRO_NULL)
    return false;
  *field = (struct record){ .value = value };
  return true;
}

size_t
record_size (const struct record *record)
{
  size_t size = 0;
  return avro_value_get_size (&record->value, &size) == 0 ? size : 0;
}

struct record
record_item (const struct record *record, size_t index)
{
  struct record item = { 0 };
  item.failed = avro_value_get_by_index (&record->value, index, &item.value, NULL) != 0;
  return item;
}

/* A view of the string VALUE, or NULL. */
static const char *
record_text_of (const avro_value_t *value)
{
  const char *text = NULL;
  size_t size = 0;
  return avro_value_get_string (value, &text, &size) == 0 ? text : NULL;
}

char *
record_string (const struct record *record, const char *name)
{
  struct record field = { 0 };
  return record_get (record, name, &field) ? xstrdup (record_text_of (&field.value)) : NULL;
}

struct bytes
record_bytes (const struct record *record, const char *name)
{
  struct record field = { 0 };
  const void *data = NULL;
  size_t size = 0;
  if (!record_get (record, name, &field) || avro_value_get_bytes (&field.value, &data, &size) != 0)
    return (struct bytes){ 0 };
  return (struct bytes){ data, size };
}

int64_t
record_long (const struct record *record, const char *name, int64_t absent)
{
  struct record field = { 0 };
  int64_t value = 0;
  int32_t small = 0;
  if (!record_get (record, name, &field))
    return absent;
  if (avro_value_get_type (&field.value) == AVRO_INT32)
    return avro_value_get_int (&field.value, &small) == 0 ? small : absent;
  return avro_value_get_long (&field.value, &value) == 0 ? value : absent;
}

bool
record_bool (const struct record *record, const char *name, bool absent)
{
  struct record field = { 0 };
  int value = 0;
  if (!record_get (record, name, &field) || avro_value_get_boolean (&field.value, &value) != 0)
    return absent;
  return value != 0;
}

const char *
record_enum (const struct record *record, const char *name)
{
  struct record field = { 0 };
  int index = 0;
  if (!record_get (record, name, &field) || avro_value_get_enum (&field.value, &index) != 0)
    return "";
  return avro_schema_enum_get (avro_value_get_schema (&field.value), index);
}

void
record_strings (const struct record *record, const char *name, struct strlist *list)
{
  struct record array = { 0 };
  if (!record_get (record, name, &array))
    return;
  for (size_t i = 0; i < record_size (&array); i++)
    {
      struct record item = record_item (&array, i);
      const char *text = item.failed ? NULL : record_text_of (&item.value);
      if (text != NULL)
        strlist_add (list, text);
    }
}
