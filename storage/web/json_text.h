/* json_text.h — JSON objects one after the other, from an array or from lines, with strings of any
 * bytes.
 *
 * A name on a file system needn't be UTF-8, and nginx writes such names into JSON as they are. Only
 * one object is in memory at a time.
 */
#ifndef SHOAL_STORAGE_WEB_JSON_TEXT_H
#define SHOAL_STORAGE_WEB_JSON_TEXT_H

#include "common/buffer.h"
#include "common/error.h"

#include <jansson.h>
#include <stdbool.h>

struct json_text
{
  struct buffer text; /* in UTF-8 */
  size_t at;
  bool array;
  bool started;
};

/* A reader of TEXT, which is copied. */
void json_text_start (struct json_text *reader, struct bytes text);
void json_text_release (struct json_text *reader);
#define auto_json_text AUTO (json_text_release)

/* The next object (*VALUE is the caller's): 1, 0 behind the last, or -1 with ERROR_USER. */
int json_text_next (struct json_text *reader, json_t **value, struct error *err);

/* The string KEY of OBJECT in its own bytes; NULL when there is none, or it holds a NUL. The caller
 * frees. */
char *json_text_string (const json_t *object, const char *key);

#endif
