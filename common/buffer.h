/* buffer.h — bytes that grow.
 *
 * Always ended by a NUL that isn't counted, so that text in a buffer can be read as a
 * string. Zeroed memory is an empty buffer. Not thread-safe.
 */
#ifndef SHOAL_COMMON_BUFFER_H
#define SHOAL_COMMON_BUFFER_H

#include "common/auto.h"

#include <stddef.h>
#include <stdint.h>

struct buffer
{
  char *data; /* NULL while empty and never grown */
  size_t size;
  size_t capacity;
};

/* A view of bytes that somebody else owns. */
struct bytes
{
  const void *data;
  size_t size;
};

void buffer_append (struct buffer *buffer, const void *bytes, size_t n);
void buffer_puts (struct buffer *buffer, const char *string);
void buffer_putc (struct buffer *buffer, char byte);
void buffer_printf (struct buffer *buffer, const char *format, ...)
    __attribute__ ((format (printf, 2, 3)));

/* Makes room for N more bytes and returns where they go; the caller adds to `size`. */
char *buffer_reserve (struct buffer *buffer, size_t n);

/* Gives back what it has beyond its content: for what is kept for long. */
void buffer_shrink (struct buffer *buffer);

/* Empties it and keeps the memory. */
void buffer_clear (struct buffer *buffer);

/* Hands the memory over as a string ("" when empty); the caller frees. */
char *buffer_take (struct buffer *buffer);

void buffer_release (struct buffer *buffer);

static inline struct bytes
buffer_bytes (const struct buffer *buffer)
{
  return (struct bytes){ buffer->data, buffer->size };
}

#define auto_buffer AUTO (buffer_release)

#endif
