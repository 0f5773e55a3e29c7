/* libFuzzer: the first byte chooses a parser of units.h, the rest is its text. What is accepted
 * lies in the promised range, what is refused says why. */
#include "common/auto.h"
#include "common/memory.h"
#include "common/units.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
expect (bool holds)
{
  if (!holds)
    abort ();
}

/* Whether TEXT was accepted; the value must be one that may come out. */
static bool
parse (uint8_t which, const char *text, struct error *err)
{
  int64_t wide = 1;
  int32_t narrow = 1;
  struct codes codes = { 0 };
  bool accepted = false;
  switch (which % 6)
    {
    case 0:
      accepted = units_parse_size (text, &wide, err) == 0;
      break;
    case 1:
      accepted = units_parse_duration (text, &wide, err) == 0;
      break;
    case 2:
      return units_parse_number (text, -5, 1000, &wide, err) == 0
             && (expect (wide >= -5 && wide <= 1000), true);
    case 3:
      return units_parse_percent (text, &narrow, err) == 0
             && (expect (narrow >= 0 && narrow <= 10000), true);
    case 4:
      accepted = units_parse_cpus (text, &narrow, err) == 0;
      break;
    default:
      return units_parse_codes (text, &codes, err) == 0;
    }
  expect (!accepted || (wide > 0 && narrow > 0));
  return accepted;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  if (size == 0)
    return 0;
  auto_free char *text = xstrndup ((const char *) data + 1, size - 1);
  struct error err = ERROR_INIT;
  if (!parse (data[0], text, &err) && (err.class != ERROR_USER || err.message[0] == '\0'))
    abort ();
  return 0;
}
