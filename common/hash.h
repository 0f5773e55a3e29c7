/* hash.h — FNV-1a with 64 bits (draft-eastlake-fnv): for tables, not against who wants collisions.
 */
#ifndef SHOAL_COMMON_HASH_H
#define SHOAL_COMMON_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_PRIME UINT64_C (0x100000001b3)

/* That of the SIZE bytes at BYTES. */
static inline uint64_t
hash_bytes (const char *bytes, size_t size)
{
  uint64_t hash = UINT64_C (0xcbf29ce484222325);
  for (size_t i = 0; i < size; i++)
    hash = (hash ^ (unsigned char) bytes[i]) * HASH_PRIME;
  return hash;
}

#endif
