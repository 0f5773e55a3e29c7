#include "common/log.h"

#include "common/buffer.h"
#include "common/clock.h"

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

static const char *const level_names[] = { "debug", "info", "warn", "error", "silent" };
static atomic_int lowest = -1; /* -1: not read from the environment yet */

static int
level_from_environment (void)
{
  const char *wanted = getenv ("SHOAL_LOG");
  for (int level = LOG_DEBUG; wanted != NULL && level <= LOG_SILENT; level++)
    if (strcmp (wanted, level_names[level]) == 0)
      return level;
  return LOG_WARN;
}

void
log_set_level (enum log_level level)
{
  atomic_store (&lowest, (int) level);
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
                       clock_format (clock_wall_ms (), now), level_names[level], event);
  va_list args;
  va_start (args, format);
  int more = vsnprintf (line + used, sizeof line - (size_t) used, format, args);
  va_end (args);
  size_t length = (size_t) used + (size_t) (more > 0 ? more : 0);
  if (length > sizeof line - 1)
    length = sizeof line - 1;
  line[length++] = '\n';
  (void) !write (STDERR_FILENO, line, length);
}

char *
log_quote (const char *value)
{
  struct buffer quoted = { 0 };
  buffer_putc (&quoted, '"');
  for (const unsigned char *at = (const unsigned char *) value; *at != '\0'; at++)
    if (*at == '"' || *at == '\\')
      buffer_printf (&quoted, "\\%c", *at);
    else if (*at == '\n')
      buffer_puts (&quoted, "\\n");
    else if (*at < 0x20 || *at == 0x7f)
      buffer_printf (&quoted, "\\x%02x", *at);
    else
      buffer_putc (&quoted, (char) *at);
  buffer_putc (&quoted, '"');
  return buffer_take (&quoted);
}
