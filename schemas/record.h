/* record.h — avro-c's generic records, with one way to fail.
 *
 * A record in the writing remembers the first failure, so that fields are set one after the other
 * and checked once. A record in the reading is read by name: a field that an older writer didn't
 * know, and one that is null, is absent and gives the default.
 */
#ifndef SHOAL_SCHEMAS_RECORD_H
#define SHOAL_SCHEMAS_RECORD_H

#include "common/buffer.h"
#include "common/strlist.h"

#include <avro.h>
#include <stdbool.h>
#include <stdint.h>

struct record
{
  avro_value_t value;
  bool failed;
};

/* The field NAME, for setting; of a union the branch that isn't null. */
struct record record_field (struct record *record, const char *name);

/* An item more of the array RECORD. */
struct record record_append (struct record *record);

/* Setting a field; for unions with null, -1 and NULL set null. */
void record_set_string (struct record *record, const char *name, const char *string);
void record_set_bytes (struct record *record, const char *name, struct bytes bytes);
void record_set_null (struct record *record, const char *name);
void record_set_long (struct record *record, const char *name, int64_t value);
void record_set_int (struct record *record, const char *name, int32_t value);
void record_set_optional_long (struct record *record, const char *name, int64_t value);
void record_set_optional_int (struct record *record, const char *name, int32_t value);
void record_set_bool (struct record *record, const char *name, bool value);

/* SYMBOL in lower case, as the names in messages.h are. */
void record_set_enum (struct record *record, const char *name, const char *symbol);
void record_set_strings (struct record *record, const char *name, const struct strlist *list);

/* Reading: false, and VALUE untouched, when the field is absent or null. */
bool record_get (const struct record *record, const char *name, struct record *field);
size_t record_size (const struct record *record); /* of an array */
struct record record_item (const struct record *record, size_t index);
char *record_string (const struct record *record, const char *name); /* copy, NULL when absent */
struct bytes record_bytes (const struct record *record,
                           const char *name); /* a view; size 0 when absent */
int64_t record_long (const struct record *record, const char *name,
                     int64_t absent); /* of int or long */
bool record_bool (const struct record *record, const char *name, bool absent);

/* The symbol of an enum, "" when absent. A view. */
const char *record_enum (const struct record *record, const char *name);
void record_strings (const struct record *record, const char *name, struct strlist *list);

#endif
