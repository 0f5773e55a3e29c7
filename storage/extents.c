#include "storage/extents.h"

#include "common/memory.h"

#include <stdlib.h>
#include <string.h>

/* Where the first one is that ends at AT or behind it. */
static size_t
find_extent (const struct extents *extents, int64_t at)
{
  size_t low = 0, high = extents->count;
  while (low < high)
    {
      size_t middle = low + (high - low) / 2;
      if (extents->items[middle].end < at)
        low = middle + 1;
      else
        high = middle;
    }
  return low;
}

/* In the place of the COUNT items from AT on there is room for WANTED. */
static void
extents_make_place (struct extents *extents, size_t at, size_t count, size_t wanted)
{
  size_t behind = extents->count - at - count;
  if (extents->count - count + wanted > extents->room)
    {
      extents->room = 2 * extents->room + 8;
      extents->items = xrealloc (extents->items, extents->room, sizeof *extents->items);
    }
  if (behind > 0)
    memmove (extents->items + at + wanted, extents->items + at + count,
             behind * sizeof *extents->items);
  extents->count = extents->count - count + wanted;
}

struct extent
extents_add (struct extents *extents, struct extent added)
{
  size_t at = find_extent (extents, added.from), count = 0;
  for (; at + count < extents->count && extents->items[at + count].from <= added.end; count++)
    {
      const struct extent *known = &extents->items[at + count];
      added.from = known->from < added.from ? known->from : added.from;
      added.end = known->end > added.end ? known->end : added.end;
    }
  extents_make_place (extents, at, count, 1);
  extents->items[at] = added;
  return added;
}

void
extents_remove (struct extents *extents, struct extent gone)
{
  size_t at = find_extent (extents, gone.from + 1), count = 0, kept = 0;
  struct extent left[2];
  for (; at + count < extents->count && extents->items[at + count].from < gone.end; count++)
    {
      const struct extent known = extents->items[at + count];
      if (known.from < gone.from)
        left[kept++] = (struct extent){ known.from, gone.from };
      if (known.end > gone.end)
        left[kept++] = (struct extent){ gone.end, known.end };
    }
  extents_make_place (extents, at, count, kept);
  for (size_t i = 0; i < kept; i++)
    extents->items[at + i] = left[i];
}

void
extents_release (struct extents *extents)
{
  free (extents->items);
  *extents = (struct extents){ 0 };
}
