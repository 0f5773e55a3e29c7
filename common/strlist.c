#include "common/strlist.h"

#include "common/memory.h"

#include <stdarg.h>
#include <string.h>

void
strlist_take (struct strlist *list, char *string)
{
  if (list->count + 1 >= list->capacity)
    {
      list->capacity = list->capacity == 0 ? 8 : list->capacity * 2;
      list->items = xrealloc (list->items, list->capacity, sizeof *list->items);
    }
  list->items[list->count++] = string;
  list->items[list->count] = NULL;
}

void
strlist_add (struct strlist *list, const char *string)
{
  strlist_take (list, xstrdup (string));
}

void
strlist_addf (struct strlist *list, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  char *string = NULL;
  if (vasprintf (&string, format, args) < 0)
    abort ();
  va_end (args);
  strlist_take (list, string);
}

void
strlist_extend (struct strlist *list, const struct strlist *more)
{
  for (size_t i = 0; i < more->count; i++)
    strlist_add (list, more->items[i]);
}

bool
strlist_same (const struct strlist *a, const struct strlist *b)
{
  if (a->count != b->count)
    return false;
  for (size_t i = 0; i < a->count; i++)
    if (strcmp (a->items[i], b->items[i]) != 0)
      return false;
  return true;
}

bool
strlist_has (const struct strlist *list, const char *string)
{
  for (size_t i = 0; i < list->count; i++)
    if (strcmp (list->items[i], string) == 0)
      return true;
  return false;
}

char *const *
strlist_argv (struct strlist *list)
{
  if (list->items == NULL)
    {
      list->capacity = 8;
      list->items = xcalloc (list->capacity, sizeof *list->items);
    }
  return list->items;
}

void
strlist_release (struct strlist *list)
{
  for (size_t i = 0; i < list->count; i++)
    free (list->items[i]);
  free (list->items);
  *list = (struct strlist){ 0 };
}
