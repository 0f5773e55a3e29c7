#include "common/percent.h"

#include "common/hex.h"

#include <string.h>

void
percent_encode (struct buffer *out, const char *text, const char *kept)
{
  static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  for (const char *at = text; *at != '\0'; at++)
    if (strchr (plain, *at) != NULL || strchr (kept, *at) != NULL)
      buffer_putc (out, *at);
    else
      buffer_printf (out, "%%%02X", (unsigned int) (unsigned char) *at);
}

int
percent_byte (const char *at, size_t left)
{
  if (left < 3 || at[0] != '%')
    return -1;
  int high = hex_digit (at[1]);
  int low = hex_digit (at[2]);
  return high < 0 || low < 0 ? -1 : high << 4 | low;
}

void
percent_decode (struct buffer *out, const char *text, size_t size)
{
  for (size_t i = 0; i < size; i++)
    {
      int byte = percent_byte (text + i, size - i);
      buffer_putc (out, byte < 0 ? text[i] : (char) byte);
      i += byte < 0 ? 0 : 2;
    }
}
