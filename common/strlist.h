/* strlist.h — a list of strings that it owns, ended by NULL: an argv that grows.
 *
 * Zeroed memory is an empty list; `items` is NULL then, strlist_argv gives a valid argv
 * always. Not thread-safe.
 */
#ifndef SHOAL_COMMON_STRLIST_H
#define SHOAL_COMMON_STRLIST_H

#include "common/auto.h"

#include <stdbool.h>
#include <stddef.h>

struct strlist
{
  char **items;
  size_t count;
  size_t capacity;
};

void strlist_add (struct strlist *list, const char *string); /* copies */
void strlist_take (struct strlist *list, char *string);      /* takes ownership */
void strlist_addf (struct strlist *list, const char *format, ...)
    __attribute__ ((format (printf, 2, 3)));
void strlist_extend (struct strlist *list, const struct strlist *more); /* copies all of MORE */
bool strlist_same (const struct strlist *a, const struct strlist *b);
bool strlist_has (const struct strlist *list, const char *string);

/* The items with a NULL behind them, owned by the list. */
char *const *strlist_argv (struct strlist *list);

void strlist_release (struct strlist *list);

#define auto_strlist AUTO (strlist_release)

#endif
