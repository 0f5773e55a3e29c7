/* writer_schema.h — a schema that somebody else wrote a message with, checked before anything is
 * read by it.
 *
 * Such a schema comes from a registry that any client can write to. It is refused when it is
 * recursive, when a value of it would be large by itself (types that are used again and again in
 * one another), or when it isn't well-formed in a way that avro-c doesn't look at. avro-c sees its
 * canonical form only.
 */
#ifndef SHOAL_SCHEMAS_WRITER_SCHEMA_H
#define SHOAL_SCHEMAS_WRITER_SCHEMA_H

#include "common/buffer.h"
#include "common/error.h"

#include <avro.h>
#include <stdint.h>

#define WRITER_SCHEMA_TEXT_MAX ((size_t) 256 << 10)

/* Not changed after it was made: any thread may read it. */
struct writer_schema
{
  uint64_t fingerprint;
  char *name;    /* of the record, without its namespace */
  size_t growth; /* bytes of memory, at most, that a byte of a message takes when it is read */
  avro_schema_t schema;
  avro_value_iface_t *iface;
};

/* Reads the text of a schema. NULL with ERROR_USER; the caller frees. */
struct writer_schema *writer_schema_parse (struct bytes json, struct error *err);
void writer_schema_free (struct writer_schema *schema);

static inline void
auto_writer_schema_ (struct writer_schema **schema)
{
  writer_schema_free (*schema);
}
#define auto_writer_schema AUTO (auto_writer_schema_)

#endif
