/* varint.h — numbers in 7 bits a byte, the least first: unsigned as in protobuf, and signed as
 * Avro's int and long are (zig-zag; Avro 1.11 specification, "Binary Encoding"). */
#ifndef SHOAL_COMMON_VARINT_H
#define SHOAL_COMMON_VARINT_H

#include <stdint.h>

enum
{
  VARINT_MAX = 10, /* bytes of a 64-bit one */
};

/* Writes VALUE at AT, which has room for VARINT_MAX bytes; the place behind it. */
char *varint_put (char *at, int64_t value);

/* Reads one before END into *VALUE; the place behind it, NULL when it is cut off or too long. */
const char *varint_get (const char *at, const char *end, int64_t *value);

/* The same of an unsigned one. */
const char *varint_get_unsigned (const char *at, const char *end, uint64_t *value);

#endif
