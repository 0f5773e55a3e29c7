/* varint.h — Avro's int and long: zig-zag varints (Avro 1.11 specification, "Binary Encoding"), for
 * what is encoded by hand. */
#ifndef SHOAL_SCHEMAS_VARINT_H
#define SHOAL_SCHEMAS_VARINT_H

#include <stdint.h>

enum
{
  VARINT_MAX = 10, /* bytes of a 64-bit one */
};

/* Writes VALUE at AT, which has room for VARINT_MAX bytes; the place behind it. */
char *varint_put (char *at, int64_t value);

/* Reads one before END into *VALUE; the place behind it, NULL when it is cut off or too long. */
const char *varint_get (const char *at, const char *end, int64_t *value);

#endif
