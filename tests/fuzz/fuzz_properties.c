/* libFuzzer: a file of properties. It gives pairs with names, or says which line is none. */
#include "cli/properties.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct error err = ERROR_INIT;
  auto_strlist struct strlist pairs = { 0 };
  if (properties_read ((struct bytes){ data, size }, &pairs, &err) != 0)
    {
      if (err.class != ERROR_USER || strncmp (err.message, "line ", 5) != 0)
        abort ();
      return 0;
    }
  if (pairs.count % 2 != 0)
    abort ();
  for (size_t i = 0; i < pairs.count; i += 2)
    if (pairs.items[i][0] == '\0')
      abort ();
  return 0;
}
