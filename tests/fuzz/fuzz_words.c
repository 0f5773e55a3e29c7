/* libFuzzer: words of a command line as a person types them. What is split and joined again is the
 * same; numbers of shards stay within bounds. */
#include "cli/words.h"
#include "common/memory.h"
#include "common/text.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
split_and_join (const char *text)
{
  auto_strlist struct strlist words = { 0 };
  if (words_split (text, &words, NULL) != 0 || words.count == 0)
    return;
  auto_free char *joined = text_words ("shoal", &words);
  auto_strlist struct strlist again = { 0 };
  if (words_split (joined, &again, NULL) != 0 || again.count != words.count + 1)
    abort ();
  for (size_t i = 0; i < words.count; i++)
    if (strcmp (words.items[i], again.items[i + 1]) != 0)
      abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  auto_free char *text = xstrndup (size == 0 ? "" : (const char *) data, size);
  split_and_join (text);
  auto_free char *line = text_shown (text);
  auto_free char *again = text_shown (line);
  for (const char *at = line; *at != '\0'; at++)
    if ((unsigned char) *at < 0x20)
      abort ();
  if (strcmp (line, again) != 0)
    abort ();
  return 0;
}
