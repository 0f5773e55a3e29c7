#include "cli/job_states.h"

#include "common/memory.h"

#include <string.h>

int
job_states_read (const char *text, job_states *states, struct error *err)
{
  for (const char *at = text;; at++)
    {
      size_t length = strcspn (at, ",");
      auto_free char *name = xstrndup (at, length);
      int state = job_state_from_name (name);
      if (state < 0)
        return error_set (err, ERROR_USER,
                          "\"%s\" is none of queued, running, merging, succeeded, partial, failed, "
                          "conflict, cancelled",
                          name);
      *states |= 1U << state;
      at += length;
      if (*at == '\0')
        return 0;
    }
}
