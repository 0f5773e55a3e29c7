/* fingerprint.h — Avro's 64-bit fingerprint of a schema: CRC-64-AVRO over its Parsing Canonical
 * Form (Avro 1.11 specification, "Parsing Canonical Form for Schemas" and "Schema Fingerprints").
 */
#ifndef SHOAL_SCHEMAS_FINGERPRINT_H
#define SHOAL_SCHEMAS_FINGERPRINT_H

#include "common/buffer.h"
#include "common/error.h"

#include <stdint.h>

/* Appends the canonical form of the schema JSON. 0, or -1 when it isn't a schema. */
int fingerprint_canonical (const char *json, struct buffer *out, struct error *err);

uint64_t fingerprint_crc64 (const void *bytes, size_t n);

/* Both together. */
int fingerprint_of (const char *json, uint64_t *fingerprint, struct error *err);

#endif
