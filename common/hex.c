#include "common/hex.h"

#include <string.h>

static const char hex_digits[] = "0123456789abcdef";

int
hex_digit (char digit)
{
  if (digit >= '0' && digit <= '9')
    return digit - '0';
  digit = (char) (digit | 0x20);
  return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

char *
hex_format (const void *bytes, size_t size, char *text)
{
  const unsigned char *at = bytes;
  for (size_t i = 0; i < size; i++)
    {
      text[2 * i] = hex_digits[at[i] >> 4];
      text[2 * i + 1] = hex_digits[at[i] & 15];
    }
  text[2 * size] = '\0';
  return text;
}

bool
hex_read (const char *text, void *bytes, size_t size)
{
  unsigned char *to = bytes;
  for (size_t i = 0; i < size; i++)
    {
      int high = hex_digit (text[2 * i]);
      int low = high < 0 ? -1 : hex_digit (text[2 * i + 1]);
      if (low < 0)
        return false;
      to[i] = (unsigned char) (high << 4 | low);
    }
  return true;
}

bool
hex_is_text (const char *text, size_t count)
{
  return strspn (text, hex_digits) == count && text[count] == '\0';
}
