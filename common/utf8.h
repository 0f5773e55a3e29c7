/* utf8.h — text as code points, where a byte that isn't valid UTF-8 is a code point of its own. */
#ifndef SHOAL_COMMON_UTF8_H
#define SHOAL_COMMON_UTF8_H

#include "common/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UTF8_STRAY 0x110000u /* … plus the byte: beyond what Unicode has */

/* Length of the valid sequence at AT (strict: shortest form, no surrogates), 0 if there is none. */
static inline size_t
utf8_length (const char *at, const char *end)
{
  const unsigned char *s = (const unsigned char *) at;
  size_t left = (size_t) (end - at);
  if (s[0] < 0x80)
    return 1;
  if (s[0] < 0xc2 || s[0] > 0xf4 || left < 2 || (s[1] & 0xc0) != 0x80)
    return 0;
  if (s[0] < 0xe0)
    return 2;
  if (left < 3 || (s[2] & 0xc0) != 0x80)
    return 0;
  if (s[0] < 0xf0)
    return (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ? 0 : 3;
  if (left < 4 || (s[3] & 0xc0) != 0x80)
    return 0;
  return (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f) ? 0 : 4;
}

/* The code point at *AT, which moves behind it; *AT must be before END. */
static inline uint32_t
utf8_next (const char **at, const char *end)
{
  const unsigned char *s = (const unsigned char *) *at;
  size_t length = utf8_length (*at, end);
  *at += length == 0 ? 1 : length;
  switch (length)
    {
    case 1:
      return s[0];
    case 2:
      return (uint32_t) (s[0] & 0x1f) << 6 | (s[1] & 0x3f);
    case 3:
      return (uint32_t) (s[0] & 0x0f) << 12 | (uint32_t) (s[1] & 0x3f) << 6 | (s[2] & 0x3f);
    case 4:
      return (uint32_t) (s[0] & 0x07) << 18 | (uint32_t) (s[1] & 0x3f) << 12
             | (uint32_t) (s[2] & 0x3f) << 6 | (s[3] & 0x3f);
    default:
      return UTF8_STRAY + s[0];
    }
}

/* How many bytes a sequence has that begins with FIRST; 0: none does. */
static inline size_t
utf8_expected (unsigned char first)
{
  if (first < 0x80)
    return 1;
  if (first < 0xc2 || first > 0xf4)
    return 0;
  return first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
}

/* Whether what is from TEXT to END is UTF-8. */
static inline bool
utf8_is_valid (const char *text, const char *end)
{
  size_t length = 1;
  for (; text < end && length > 0; text += length)
    length = utf8_length (text, end);
  return length > 0;
}

/* Whether BYTE goes on with a sequence that began before it. */
static inline bool
utf8_continues (char byte)
{
  return ((unsigned char) byte & 0xc0) == 0x80;
}

/* Appends the code point CODE, at most 0x10ffff. */
static inline void
utf8_put (struct buffer *out, uint32_t code)
{
  static const unsigned char marks[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
  unsigned int bytes = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  if (bytes == 1)
    {
      buffer_putc (out, (char) code);
      return;
    }
  buffer_putc (out, (char) (marks[bytes] | code >> 6 * (bytes - 1)));
  for (unsigned int i = bytes - 1; i > 0; i--)
    buffer_putc (out, (char) (0x80 | (code >> 6 * (i - 1) & 0x3f)));
}

#endif
