#include "merger/reasons.h"

#include "common/hash.h"
#include "common/memory.h"
#include "common/strlist.h"

#include <string.h>

enum
{
  REASON_MAX = 4000,     /* bytes of a text; what is longer is cut */
  REASONS_MAX = 8 << 20, /* … and of all */
  SLOTS_MIN = 64,
};

struct reasons
{
  struct strlist texts; /* number N is item N - 1 */
  size_t bytes;
  uint32_t *slots;   /* open addressing, by hash: numbers; 0: free */
  size_t slot_count; /* a power of two, at least twice the texts */
};

struct reasons *
reasons_new (void)
{
  struct reasons *reasons = xcalloc (1, sizeof *reasons);
  reasons->slot_count = SLOTS_MIN;
  reasons->slots = xcalloc (reasons->slot_count, sizeof *reasons->slots);
  return reasons;
}

void
reasons_free (struct reasons *reasons)
{
  if (reasons == NULL)
    return;
  strlist_release (&reasons->texts);
  free (reasons->slots);
  free (reasons);
}

/* Where the SIZE bytes at TEXT are, or would be. */
static uint32_t *
reasons_slot (const struct reasons *reasons, const char *text, size_t size)
{
  size_t at = (size_t) hash_bytes (text, size) & (reasons->slot_count - 1);
  for (;; at = (at + 1) & (reasons->slot_count - 1))
    {
      uint32_t number = reasons->slots[at];
      const char *there = number == 0 ? NULL : reasons->texts.items[number - 1];
      if (there == NULL || (strncmp (there, text, size) == 0 && there[size] == '\0'))
        return &reasons->slots[at];
    }
}

static void
reasons_grow (struct reasons *reasons)
{
  free (reasons->slots);
  reasons->slot_count *= 2;
  reasons->slots = xcalloc (reasons->slot_count, sizeof *reasons->slots);
  for (size_t i = 0; i < reasons->texts.count; i++)
    {
      const char *text = reasons->texts.items[i];
      *reasons_slot (reasons, text, strlen (text)) = (uint32_t) i + 1;
    }
}

uint32_t
reasons_add (struct reasons *reasons, const char *text)
{
  size_t size = text == NULL ? 0 : strnlen (text, REASON_MAX);
  if (size == 0)
    return 0;
  uint32_t *slot = reasons_slot (reasons, text, size);
  if (*slot != 0)
    return *slot;
  if (reasons->bytes + size > REASONS_MAX)
    return 0;
  reasons->bytes += size;
  strlist_take (&reasons->texts, xstrndup (text, size));
  uint32_t number = *slot = (uint32_t) reasons->texts.count;
  if (2 * reasons->texts.count > reasons->slot_count)
    reasons_grow (reasons);
  return number;
}

const char *
reasons_text (const struct reasons *reasons, uint32_t number)
{
  return number == 0 || number > reasons->texts.count ? NULL : reasons->texts.items[number - 1];
}
