#include "common/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *
memory_checked (void *pointer)
{
  if (pointer != NULL)
    return pointer;
  (void) fputs ("shoal: out of memory\n", stderr);
  abort ();
}

static size_t
product (size_t count, size_t size)
{
  size_t bytes = 0;
  if (__builtin_mul_overflow (count, size, &bytes))
    (void) memory_checked (NULL);
  return bytes == 0 ? 1 : bytes;
}

void *
xcalloc (size_t count, size_t size)
{
  return memory_checked (calloc (1, product (count, size)));
}

void *
xrealloc (void *pointer, size_t count, size_t size)
{
  return memory_checked (realloc (pointer, product (count, size)));
}

char *
xstrdup (const char *string)
{
  return string == NULL ? NULL : memory_checked (strdup (string));
}

char *
xstrndup (const char *string, size_t n)
{
  return memory_checked (strndup (string, n));
}

void *
xmemdup (const void *bytes, size_t n)
{
  if (n == 0)
    return NULL;
  void *copy = memory_checked (malloc (n));
  memcpy (copy, bytes, n);
  return copy;
}

char *
xasprintf (const char *format, ...)
{
  va_list args;
  va_start (args, format);
  char *string = NULL;
  int length = vasprintf (&string, format, args);
  va_end (args);
  return memory_checked (length < 0 ? NULL : string);
}
