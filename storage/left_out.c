#include "storage/left_out.h"

#include "common/buffer.h"
#include "common/memory.h"

#include <string.h>

enum
{
  NAMED_MAX = 3,   /* paths in the text */
  SHOWN_MAX = 200, /* bytes of each: of a longer one the end */
};

void
left_out_add (struct left_out *left, const char *path, enum storage_left_out why)
{
  size_t size = strlen (path);
  if (why == STORAGE_LEFT_LOOP)
    left->loops++;
  else
    left->links++;
  if (left->first.count == NAMED_MAX)
    return;
  if (size > SHOWN_MAX)
    strlist_addf (&left->first, "…%s", path + (size - SHOWN_MAX));
  else
    strlist_add (&left->first, path);
}

char *
left_out_text (const struct left_out *left)
{
  auto_buffer struct buffer text = { 0 };
  int64_t all = left->links + left->loops;
  if (all == 0)
    return NULL;
  const char *loops = all == 1 ? " that it lies in" : " that they lie in";
  buffer_printf (&text, "%lld link%s to %s%s: ", (long long) all, all == 1 ? "" : "s",
                 all == 1 ? "a folder" : "folders", left->loops == 0 ? "" : loops);
  for (size_t i = 0; i < left->first.count; i++)
    buffer_printf (&text, "%s%s", i == 0 ? "" : ", ", left->first.items[i]);
  if ((int64_t) left->first.count < all)
    buffer_puts (&text, " …");
  if (left->loops == 0)
    buffer_printf (&text, " (--symlinks follow enters %s)", all == 1 ? "it" : "them");
  return buffer_take (&text);
}

void
left_out_release (struct left_out *left)
{
  strlist_release (&left->first);
  *left = (struct left_out){ 0 };
}
