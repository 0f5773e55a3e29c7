#include "common/buffer.h"

#include "common/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

char *
buffer_reserve (struct buffer *buffer, size_t n)
{
  size_t needed = 0;
  if (__builtin_add_overflow (buffer->size, n, &needed) || needed == SIZE_MAX)
    abort ();
  needed++;
  if (needed > buffer->capacity)
    {
      size_t capacity = buffer->capacity == 0 ? 64 : buffer->capacity;
      while (capacity < needed)
        capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
      buffer->data = xrealloc (buffer->data, capacity, 1);
      buffer->capacity = capacity;
    }
  return buffer->data + buffer->size;
}

void
buffer_shrink (struct buffer *buffer)
{
  if (buffer->data == NULL || buffer->capacity == buffer->size + 1)
    return;
  buffer->data = xrealloc (buffer->data, buffer->size + 1, 1);
  buffer->capacity = buffer->size + 1;
}

void
buffer_append (struct buffer *buffer, const void *bytes, size_t n)
{
  char *end = buffer_reserve (buffer, n);
  if (n > 0)
    memcpy (end, bytes, n);
  buffer->size += n;
  buffer->data[buffer->size] = '\0';
}

void
buffer_puts (struct buffer *buffer, const char *string)
{
  buffer_append (buffer, string, strlen (string));
}

void
buffer_putc (struct buffer *buffer, char byte)
{
  buffer_append (buffer, &byte, 1);
}

void
buffer_printf (struct buffer *buffer, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  va_list again;
  va_copy (again, args);
  int length = vsnprintf (NULL, 0, format, args);
  va_end (args);
  if (length > 0)
    {
      char *end = buffer_reserve (buffer, (size_t) length);
      (void) vsnprintf (end, (size_t) length + 1, format, again);
      buffer->size += (size_t) length;
    }
  va_end (again);
}

void
buffer_clear (struct buffer *buffer)
{
  buffer->size = 0;
  if (buffer->data != NULL)
    buffer->data[0] = '\0';
}

char *
buffer_take (struct buffer *buffer)
{
  if (buffer->data == NULL)
    return xstrdup ("");
  char *string = buffer->data;
  string[buffer->size] = '\0';
  *buffer = (struct buffer){ 0 };
  return string;
}

void
buffer_release (struct buffer *buffer)
{
  free (buffer->data);
  *buffer = (struct buffer){ 0 };
}
