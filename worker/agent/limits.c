#include "worker/agent/limits.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum
{
  LIMITS_TEXT = 4096,
};

/* What version 1 writes for "none" is the largest number of pages. */
#define LIMITS_NONE ((int64_t) 1 << 60)

static bool
limits_read (const char *path, char text[static LIMITS_TEXT])
{
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  ssize_t got = fd < 0 ? -1 : read (fd, text, LIMITS_TEXT - 1);
  if (fd >= 0)
    (void) close (fd);
  text[got > 0 ? got : 0] = '\0';
  return got > 0;
}

/* The number at TEXT; -1 for anything else ("max"). */
static int64_t
limits_number (const char *text, char **end)
{
  int64_t number = strtoll (text, end, 10);
  return *end == text || number < 0 ? -1 : number;
}

int64_t
limits_memory (void)
{
  char text[LIMITS_TEXT];
  char *end = NULL;
  if (!limits_read ("/sys/fs/cgroup/memory.max", text)
      && !limits_read ("/sys/fs/cgroup/memory/memory.limit_in_bytes", text))
    return -1;
  int64_t bytes = limits_number (text, &end);
  return bytes >= LIMITS_NONE ? -1 : bytes;
}

int64_t
limits_cpus (void)
{
  char text[LIMITS_TEXT];
  char period_text[LIMITS_TEXT];
  char *end = NULL;
  if (limits_read ("/sys/fs/cgroup/cpu.max", text))
    {
      int64_t quota = limits_number (text, &end);
      int64_t period = quota < 0 ? -1 : limits_number (end, &end);
      return quota < 0 || period <= 0 ? -1 : quota * 1000 / period;
    }
  if (!limits_read ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", text)
      || !limits_read ("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period_text))
    return -1;
  int64_t quota = limits_number (text, &end);
  int64_t period = limits_number (period_text, &end);
  return quota < 0 || period <= 0 ? -1 : quota * 1000 / period;
}

int64_t
limits_oom_kills (void)
{
  char text[LIMITS_TEXT];
  char *end = NULL;
  if (!limits_read ("/sys/fs/cgroup/memory.events", text)
      && !limits_read ("/sys/fs/cgroup/memory/memory.oom_control", text))
    return -1;
  const char *found = strstr (text, "oom_kill ");
  return found == NULL ? -1 : limits_number (found + strlen ("oom_kill "), &end);
}
