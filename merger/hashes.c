#include "merger/hashes.h"

#include "common/memory.h"

/* VALUE's place, or the free one where it belongs. */
static uint64_t *
hashes_slot (const struct hashes *hashes, uint64_t value)
{
  size_t at = (size_t) value & (hashes->capacity - 1);
  while (hashes->slots[at] != 0 && hashes->slots[at] != value)
    at = (at + 1) & (hashes->capacity - 1);
  return &hashes->slots[at];
}

void
hashes_add (struct hashes *hashes, uint64_t value)
{
  value = value == 0 ? 1 : value;
  if (2 * hashes->count >= hashes->capacity)
    {
      auto_free uint64_t *old = hashes->slots;
      size_t capacity = hashes->capacity;
      hashes->capacity = capacity == 0 ? 1024 : 2 * capacity;
      hashes->slots = xcalloc (hashes->capacity, sizeof *hashes->slots);
      for (size_t i = 0; i < capacity; i++)
        if (old[i] != 0)
          *hashes_slot (hashes, old[i]) = old[i];
    }
  uint64_t *slot = hashes_slot (hashes, value);
  hashes->count += *slot == 0;
  *slot = value;
}

bool
hashes_has (const struct hashes *hashes, uint64_t value)
{
  return hashes->capacity > 0 && *hashes_slot (hashes, value == 0 ? 1 : value) != 0;
}

void
hashes_release (struct hashes *hashes)
{
  free (hashes->slots);
  *hashes = (struct hashes){ 0 };
}
