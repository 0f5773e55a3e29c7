/* text.h — bytes of names in JSON and HTML. */
#ifndef SHOAL_MERGER_TEXT_H
#define SHOAL_MERGER_TEXT_H

#include "common/buffer.h"

#include <jansson.h>

/* Sets KEY to BYTES where they are UTF-8, else KEY_percent to their percent-encoding. */
void text_set_bytes (json_t *object, const char *key, const char *bytes);

/* TEXT in one line for people: control bytes, and what isn't UTF-8, become \xNN. The caller frees. */
char *text_printable (const char *text);

/* Appends TEXT with what HTML gives a meaning escaped; bytes that aren't UTF-8 become '?'. */
void text_append_html (struct buffer *out, const char *text);

#endif
