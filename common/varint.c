#include "common/varint.h"

#include <stddef.h>

char *
varint_put (char *at, int64_t value)
{
  uint64_t bits = ((uint64_t) value << 1) ^ (uint64_t) (value >> 63);
  while (bits > 0x7f)
    {
      *at++ = (char) (bits | 0x80);
      bits >>= 7;
    }
  *at++ = (char) bits;
  return at;
}

const char *
varint_get_unsigned (const char *at, const char *end, uint64_t *value)
{
  *value = 0;
  for (unsigned int shift = 0; shift < 7 * VARINT_MAX && at < end; shift += 7)
    {
      uint64_t byte = (unsigned char) *at++;
      if (shift == 63 && byte > 1)
        return NULL;
      *value |= (byte & 0x7f) << shift;
      if (byte < 0x80)
        return at;
    }
  return NULL;
}

const char *
varint_get (const char *at, const char *end, int64_t *value)
{
  uint64_t bits = 0;
  at = varint_get_unsigned (at, end, &bits);
  if (at != NULL)
    *value = (int64_t) (bits >> 1) ^ -(int64_t) (bits & 1);
  return at;
}
