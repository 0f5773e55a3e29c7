#include "storage/left_out.h"

#include "common/buffer.h"
#include "common/memory.h"
#include "storage/listing.h"

#include <string.h>

enum
{
  NAMED_MAX = 3,   /* paths in the text */
  SHOWN_MAX = 200, /* bytes of each: of a longer one the end */
};

static void
left_out_keep (struct strlist *first, const char *path)
{
  size_t size = strlen (path);
  if (first->count == NAMED_MAX)
    return;
  if (size > SHOWN_MAX)
    strlist_addf (first, "…%s", path + (size - SHOWN_MAX));
  else
    strlist_add (first, path);
}

void
left_out_add (struct left_out *left, const char *path, enum storage_left_out why)
{
  struct strlist *examples = &left->first_elsewhere;
  switch (why)
    {
    case STORAGE_LEFT_ELSEWHERE: /* one page's come with the same example */
      left->elsewhere++;
      if (examples->count == 0 || strcmp (examples->items[examples->count - 1], path) != 0)
        left_out_keep (examples, path);
      return;
    case STORAGE_LEFT_PIN:
      left->pins++;
      left_out_keep (&left->first_unpinned, path);
      return;
    case STORAGE_LEFT_LOOP:
      left->loops++;
      break;
    case STORAGE_LEFT_FOLDER_LINK:
      left->links++;
      break;
    }
  left_out_keep (&left->first, path);
}

static void
left_out_put_paths (struct buffer *text, const struct strlist *first, int64_t all)
{
  for (size_t i = 0; i < first->count; i++)
    buffer_printf (text, "%s%s", i == 0 ? "" : ", ", first->items[i]);
  if ((int64_t) first->count < all)
    buffer_puts (text, " …");
}

char *
left_out_text (const struct left_out *left)
{
  auto_buffer struct buffer text = { 0 };
  int64_t all = left->links + left->loops;
  if (all == 0 && left->elsewhere == 0 && left->pins == 0)
    return NULL;
  if (all > 0)
    {
      const char *loops = all == 1 ? " that it lies in" : " that they lie in";
      buffer_printf (&text, "%lld link%s to %s%s: ", (long long) all, all == 1 ? "" : "s",
                     all == 1 ? "a folder" : "folders", left->loops == 0 ? "" : loops);
      left_out_put_paths (&text, &left->first, all);
      if (left->loops == 0)
        buffer_printf (&text, " (--symlinks follow enters %s)", all == 1 ? "it" : "them");
    }
  if (left->elsewhere > 0)
    {
      buffer_printf (&text,
                     "%s%lld link%s of folders' pages to nothing in them: ", all > 0 ? "; " : "",
                     (long long) left->elsewhere, left->elsewhere == 1 ? "" : "s");
      left_out_put_paths (&text, &left->first_elsewhere, left->elsewhere);
    }
  if (left->pins > 0)
    {
      buffer_printf (&text, "%spins of %lld file%s: ", text.size > 0 ? "; " : "",
                     (long long) left->pins, left->pins == 1 ? "" : "s");
      left_out_put_paths (&text, &left->first_unpinned, left->pins);
      buffer_puts (&text, " (the server tells neither tags nor times: changes aren't noticed)");
    }
  return buffer_take (&text);
}

void
left_out_release (struct left_out *left)
{
  strlist_release (&left->first);
  strlist_release (&left->first_elsewhere);
  strlist_release (&left->first_unpinned);
  *left = (struct left_out){ 0 };
}
