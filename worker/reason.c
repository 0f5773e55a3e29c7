#include "worker/reason.h"

#include "common/memory.h"

#include <string.h>

enum
{
  LINE_MAX_BYTES = 2000,
};

/* Length of the UTF-8 sequence at AT, 0 when there is none. */
static size_t
sequence_length (const unsigned char *at)
{
  if (at[0] < 0x80)
    return at[0] >= 0x20 && at[0] != 0x7f ? 1 : 0;
  size_t length = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
  if (at[0] < 0xc2 || at[0] > 0xf4)
    return 0;
  for (size_t i = 1; i < length; i++)
    if ((at[i] & 0xc0) != 0x80)
      return 0;
  bool too_short = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90);
  bool not_a_character = (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf4 && at[1] > 0x8f);
  return too_short || not_a_character ? 0 : length;
}

char *
reason_line (const char *text)
{
  struct buffer line = { 0 };
  const unsigned char *at = (const unsigned char *) text;
  while (*at != '\0' && line.size < LINE_MAX_BYTES)
    {
      size_t length = sequence_length (at);
      if (length > 0)
        buffer_append (&line, at, length);
      else
        buffer_printf (&line, "\\x%02x", *at);
      at += length > 0 ? length : 1;
    }
  return buffer_take (&line);
}

char *
reason_of_exit (const struct container_exit *exit)
{
  if (exit->signal > 0)
    return xasprintf ("killed by signal %d (%s)", exit->signal, strsignal (exit->signal));
  return xasprintf ("exit code %d", exit->exit_code);
}
