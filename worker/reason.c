#include "worker/reason.h"

#include "common/memory.h"
#include "common/text.h"

#include <string.h>

enum
{
  LINE_MAX_BYTES = 2000,
};

char *
reason_line (const char *text)
{
  struct buffer line = { 0 };
  text_put_shown (&line, text, LINE_MAX_BYTES);
  return buffer_take (&line);
}

char *
reason_of_exit (const struct container_exit *exit)
{
  if (exit->signal > 0)
    return xasprintf ("killed by signal %d (%s)", exit->signal, strsignal (exit->signal));
  return xasprintf ("exit code %d", exit->exit_code);
}

bool
reason_is_of_inputs (const char *reason)
{
  static const char stage[] = REASON_STAGE ": ";
  static const char volume[] = REASON_STAGE ": volume "; /* inputs are named by paths */
  return strncmp (reason, stage, strlen (stage)) == 0
         && strncmp (reason, volume, strlen (volume)) != 0;
}
