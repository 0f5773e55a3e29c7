/* cdi_yaml.h — a CDI specification in YAML, as the JSON that it stands for.
 *
 * One document of strings, numbers and null; numbers are only where a specification has some, as in
 * Go's reading of the same files: `name: 0` is the text "0". An alias is its anchor's value itself
 * and no copy, so that nothing grows by them. Refused, with the line: a key twice, merge keys,
 * tags, keys that aren't text, deep nesting.
 */
#ifndef SHOAL_WORKER_CDI_YAML_H
#define SHOAL_WORKER_CDI_YAML_H

#include "common/buffer.h"
#include "common/error.h"

#include <jansson.h>

/* The caller owns it; values may be there in several places, so it is only to be read. NULL with
 * ERROR_USER, "line N: …". */
json_t *cdi_yaml_parse (struct bytes text, struct error *err);

#endif
