#include "common/log.h"

#include "common/buffer.h"
#include "common/clock.h"
#include "common/log_json.h"
#include "common/text.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum
{
  LINE_SIZE = 4096
};

const char *const log_level_names[] = { "debug", "info", "warn", "error", "silent" };
static atomic_int lowest = -1;  /* -1: not read from the environment yet */
static atomic_int as_json = -1; /* likewise */

static int
level_from_environment (void)
{
  const char *wanted = getenv ("SHOAL_LOG");
  for (int level = LOG_DEBUG; wanted != NULL && level <= LOG_SILENT; level++)
    if (strcmp (wanted, log_level_names[level]) == 0)
      return level;
  return LOG_WARN;
}

void
log_set_level (enum log_level level)
{
  atomic_store (&lowest, (int) level);
}

void
log_set_json (bool json)
{
  atomic_store (&as_json, json);
}

static bool
log_is_json (void)
{
  if (atomic_load (&as_json) < 0)
    log_set_json (text_same (getenv ("SHOAL_LOG_FORMAT"), "json"));
  return atomic_load (&as_json) == 1;
}

bool
log_enabled (enum log_level level)
{
  if (atomic_load (&lowest) < 0)
    atomic_store (&lowest, level_from_environment ());
  return (int) level >= atomic_load (&lowest);
}

void
log_line (enum log_level level, const char *event, const char *format, ...)
{
  if (!log_enabled (level))
    return;
  char line[LINE_SIZE];
  char now[CLOCK_TEXT_SIZE];
  int used = snprintf (line, sizeof line, "time=%s level=%s event=%s ",
                       clock_format (clock_wall_ms (), now), log_level_names[level], event);
  va_list args;
  va_start (args, format);
  (void) vsnprintf (line + used, sizeof line - (size_t) used, format, args);
  va_end (args);
  /* Values are quoted where they come from; whatever wasn't still can't begin a line of its own or
   * speak to a terminal. */
  auto_buffer struct buffer shown = { 0 };
  text_put_shown (&shown, line, SIZE_MAX);
  auto_buffer struct buffer object = { 0 };
  if (log_is_json ())
    log_json_put (&object, shown.data);
  struct buffer *said = object.size > 0 ? &object : &shown;
  buffer_putc (said, '\n');
  (void) !write (STDERR_FILENO, said->data, said->size);
}

void
log_failure (enum log_level level, const char *event, const struct error *why, const char *format,
             ...)
{
  if (!log_enabled (level))
    return;
  char pairs[LINE_SIZE] = "";
  va_list args;
  va_start (args, format);
  if (format != NULL)
    (void) vsnprintf (pairs, sizeof pairs, format, args);
  va_end (args);
  auto_free char *reason = text_log (why->message);
  log_line (level, event, "%s%sreason=%s", pairs, pairs[0] == '\0' ? "" : " ", reason);
}
