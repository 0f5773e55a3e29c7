#include "producer/shard_set.h"

#include "bus/shard_list.h"
#include "common/memory.h"

#include <stdlib.h>
#include <string.h>

bool
shard_set_has (const struct shard_set *set, int64_t index)
{
  size_t at = (size_t) index / 8;
  return at < set->size && (set->bits[at] >> (index % 8) & 1) != 0;
}

bool
shard_set_add (struct shard_set *set, int64_t index)
{
  size_t at = (size_t) index / 8;
  if (shard_set_has (set, index))
    return false;
  if (at >= set->size)
    {
      size_t size = at + 1 > 2 * set->size ? at + 1 : 2 * set->size;
      set->bits = xrealloc (set->bits, size, 1);
      memset (set->bits + set->size, 0, size - set->size);
      set->size = size;
    }
  set->bits[at] |= (uint8_t) (1 << index % 8);
  return true;
}

static void
shard_set_note (void *context, uint32_t index)
{
  shard_set_add (context, index);
}

int
shard_set_read (struct shard_set *set, struct bus *bus, const char *job_id, struct error *err)
{
  return bus_list_shards (bus, job_id, shard_set_note, set, err);
}

void
shard_set_release (struct shard_set *set)
{
  free (set->bits);
  *set = (struct shard_set){ 0 };
}
