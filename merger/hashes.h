/* hashes.h — a set of 64-bit hashes, 8 to 16 bytes each. */
#ifndef SHOAL_MERGER_HASHES_H
#define SHOAL_MERGER_HASHES_H

#include "common/auto.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* { 0 }: empty. */
struct hashes
{
  uint64_t *slots; /* 0: free */
  size_t count;
  size_t capacity; /* a power of two */
};

void hashes_add (struct hashes *hashes, uint64_t value);
bool hashes_has (const struct hashes *hashes, uint64_t value);
void hashes_release (struct hashes *hashes);
#define auto_hashes AUTO (hashes_release)

#endif
