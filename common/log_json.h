/* log_json.h — a log line of `key=value` pairs as a JSON object. */
#ifndef SHOAL_COMMON_LOG_JSON_H
#define SHOAL_COMMON_LOG_JSON_H

#include "common/buffer.h"

/* Appends LINE, as log_line makes it (pairs between single spaces, values plain or by text_log), to
 * OUT as one JSON object on one line. Plain values that JSON knows as numbers, true or false are
 * such, all others strings, with what isn't printable written out as in the line. Of two values of
 * a key the first counts: what others chose comes behind our own. */
void log_json_put (struct buffer *out, const char *line);

#endif
