/* memory.h — allocation that can't fail: out of memory ends the process with a message.
 *
 * Sizes that come from outside (messages, listings, images) are checked against a limit
 * before they get here.
 */
#ifndef SHOAL_COMMON_MEMORY_H
#define SHOAL_COMMON_MEMORY_H

#include <stddef.h>

/* Zeroed memory for COUNT × SIZE bytes; the product is checked. The caller frees. */
void *xcalloc (size_t count, size_t size);

/* As realloc, for COUNT × SIZE bytes; the product is checked. */
void *xrealloc (void *pointer, size_t count, size_t size);

char *xstrdup (const char *string);            /* NULL stays NULL */
char *xstrndup (const char *string, size_t n); /* at most N bytes, always ended by NUL */
void *xmemdup (const void *bytes, size_t n);   /* NULL for n == 0 */

/* A string made by printf; the caller frees. */
char *xasprintf (const char *format, ...) __attribute__ ((format (printf, 1, 2)));

#endif
