/* A listing's entries: added, sorted, freed. */
#include "common/memory.h"
#include "storage/web/index_internal.h"

#include <stdlib.h>
#include <string.h>

static void
web_index_free (struct index_entry *entry)
{
  free (entry->name);
  free (entry->version);
}

void
index_release (struct index *index)
{
  for (size_t i = 0; i < index->count; i++)
    web_index_free (&index->entries[i]);
  free (index->entries);
  free (index->example);
  *index = (struct index){ 0 };
}

void
index_add (struct index *index, struct index_entry entry)
{
  if (index->count == index->capacity)
    {
      index->capacity = index->capacity == 0 ? 64 : 2 * index->capacity;
      index->entries = xrealloc (index->entries, index->capacity, sizeof *index->entries);
    }
  index->entries[index->count++] = entry;
}

/* ---- order ------------------------------------------------------------------------------ */

static int
web_index_compare (const struct index_entry *left, const struct index_entry *right)
{
  const char *a = left->name;
  const char *b = right->name;
  while (*a != '\0' && *a == *b)
    {
      a++;
      b++;
    }
  unsigned char last_a = *a == '\0' && left->folder ? '/' : (unsigned char) *a;
  unsigned char last_b = *b == '\0' && right->folder ? '/' : (unsigned char) *b;
  return last_a < last_b ? -1 : last_a > last_b;
}

static int
web_index_by_name (const void *left, const void *right)
{
  return web_index_compare (left, right);
}

void
index_sort (struct index *index)
{
  if (index->count == 0)
    return;
  qsort (index->entries, index->count, sizeof *index->entries, web_index_by_name);
  size_t kept = 1;
  for (size_t i = 1; i < index->count; i++)
    if (web_index_compare (&index->entries[i], &index->entries[kept - 1]) == 0)
      web_index_free (&index->entries[i]);
    else
      index->entries[kept++] = index->entries[i];
  index->count = kept;
}
