/* skim.h — whether bytes are one whole value of an Avro schema, without allocating anything.
 *
 * avro-c trusts lengths that it reads and leaks its buffer when a value is cut short (AVRO-4246),
 * so messages are skimmed before they are given to it.
 */
#ifndef SHOAL_SCHEMAS_SKIM_H
#define SHOAL_SCHEMAS_SKIM_H

#include "common/buffer.h"

#include <avro.h>
#include <stdbool.h>

/* True when BYTES hold a value of SCHEMA and nothing behind it: every length within the bytes,
 * every enum and union index within the schema. */
bool skim (avro_schema_t schema, struct bytes bytes);

#endif
