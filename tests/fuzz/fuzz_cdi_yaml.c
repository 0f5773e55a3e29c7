/* libFuzzer: a CDI specification in YAML. What isn't taken has a line and a reason; what is taken
 * isn't deep. It isn't written out: by aliases a small text may stand for a large one. */
#include "worker/cdi_yaml.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct error err = ERROR_INIT;
  json_t *value = cdi_yaml_parse ((struct bytes){ data, size }, &err);
  if (value == NULL && (err.class != ERROR_USER || strncmp (err.message, "line ", 5) != 0))
    abort ();
  json_decref (value);
  return 0;
}
