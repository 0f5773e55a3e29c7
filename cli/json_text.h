/* json_text.h — values in JSON objects: absent when not known, bytes that aren't UTF-8 told so. */
#ifndef SHOAL_CLI_JSON_TEXT_H
#define SHOAL_CLI_JSON_TEXT_H

#include "schemas/messages.h"

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

/* Sets KEY to TEXT; NULL leaves it out; what isn't UTF-8 comes percent-encoded as KEY_percent (as
 * in manifest.json). */
void json_set_text (json_t *object, const char *key, const char *text);

/* Sets KEY to NUMBER; negative leaves it out. */
void json_set_number (json_t *object, const char *key, int64_t number);

/* Writes OBJECT as one line and releases it. */
void json_put_line (json_t *object, FILE *out);

#endif
