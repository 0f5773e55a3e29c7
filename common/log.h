/* log.h — one line per event on stderr, `key=value`.
 *
 *     time=2026-11-23T15:06:07.123Z level=info event=shard_done job=j1 shard=42 attempt=1 exit=0
 *
 * The format string holds the pairs; values that may contain spaces or quotes, and all that others
 * chose, go through text_log (text.h). Each line is one write(2), so that lines of several
 * processes don't mix. Thread-safe.
 */
#ifndef SHOAL_COMMON_LOG_H
#define SHOAL_COMMON_LOG_H

#include "common/error.h"

#include <stdbool.h>

enum log_level
{
  LOG_DEBUG,
  LOG_INFO,
  LOG_WARN,
  LOG_ERROR,
  LOG_SILENT,
};

extern const char *const log_level_names[LOG_SILENT + 1];

/* Lines below LEVEL are dropped. Starts as LOG_WARN, or as SHOAL_LOG names it. */
void log_set_level (enum log_level level);
bool log_enabled (enum log_level level);

/* Lines as JSON objects instead (log_json.h); starts as SHOAL_LOG_FORMAT says (logfmt|json). */
void log_set_json (bool json);

void log_line (enum log_level level, const char *event, const char *format, ...)
    __attribute__ ((format (printf, 3, 4)));

/* The same, with WHY as `reason="…"` behind the pairs that FORMAT holds (NULL: none). */
void log_failure (enum log_level level, const char *event, const struct error *why,
                  const char *format, ...) __attribute__ ((format (printf, 4, 5)));

#define log_debug(event, ...) log_line (LOG_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...) log_line (LOG_INFO, event, __VA_ARGS__)
#define log_warn(event, ...) log_line (LOG_WARN, event, __VA_ARGS__)
#define log_error(event, ...) log_line (LOG_ERROR, event, __VA_ARGS__)

#endif
