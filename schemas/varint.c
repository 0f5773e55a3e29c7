#include "schemas/varint.h"

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
varint_get (const char *at, const char *end, int64_t *value)
{
  uint64_t bits = 0;
  for (unsigned int shift = 0; shift < 7 * VARINT_MAX && at < end; shift += 7)
    {
      uint64_t byte = (unsigned char) *at++;
      if (shift == 63 && byte > 1)
        return 0;
      bits |= (byte & 0x7f) << shift;
      if (byte < 0x80)
        {
          *value = (int64_t) (bits >> 1) ^ -(int64_t) (bits & 1);
          return at;
        }
    }
  return 0;
}
