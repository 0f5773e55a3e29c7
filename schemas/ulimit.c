#include "schemas/ulimit.h"

#include "common/auto.h"
#include "common/memory.h"
#include "common/units.h"
#include "schemas/job_bounds.h"

#include <string.h>

static const struct
{
  const char *name;
  const char *oci;
  int resource;
} ulimit_kinds[] = {
  { "core", "RLIMIT_CORE", RLIMIT_CORE },
  { "cpu", "RLIMIT_CPU", RLIMIT_CPU },
  { "data", "RLIMIT_DATA", RLIMIT_DATA },
  { "fsize", "RLIMIT_FSIZE", RLIMIT_FSIZE },
  { "locks", "RLIMIT_LOCKS", RLIMIT_LOCKS },
  { "memlock", "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK },
  { "msgqueue", "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE },
  { "nice", "RLIMIT_NICE", RLIMIT_NICE },
  { "nofile", "RLIMIT_NOFILE", RLIMIT_NOFILE },
  { "nproc", "RLIMIT_NPROC", RLIMIT_NPROC },
  { "rss", "RLIMIT_RSS", RLIMIT_RSS },
  { "rtprio", "RLIMIT_RTPRIO", RLIMIT_RTPRIO },
  { "rttime", "RLIMIT_RTTIME", RLIMIT_RTTIME },
  { "sigpending", "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING },
  { "stack", "RLIMIT_STACK", RLIMIT_STACK },
};

static int
ulimit_read_value (const char *text, rlim_t *value)
{
  int64_t number = 0;
  if (units_parse_number (text, -1, JOB_BYTES_MAX, &number, NULL) != 0)
    return -1;
  *value = number < 0 ? RLIM_INFINITY : (rlim_t) number;
  return 0;
}

int
ulimit_parse (const char *text, struct ulimit *limit, struct error *err)
{
  const char *equals = strchr (text, '=');
  size_t length = equals == NULL ? 0 : (size_t) (equals - text);
  *limit = (struct ulimit){ 0 };
  for (size_t i = 0; length > 0 && i < sizeof ulimit_kinds / sizeof ulimit_kinds[0]; i++)
    if (strlen (ulimit_kinds[i].name) == length
        && strncmp (ulimit_kinds[i].name, text, length) == 0)
      *limit = (struct ulimit){ .name = ulimit_kinds[i].name,
                                .oci = ulimit_kinds[i].oci,
                                .resource = ulimit_kinds[i].resource };
  if (limit->name == NULL)
    return error_set (err, ERROR_USER,
                      "\"%.100s\": expected NAME=SOFT[:HARD] with a name such as nofile or core",
                      text);
  auto_free char *soft = xstrdup (equals + 1);
  char *colon = strchr (soft, ':');
  if (colon != NULL)
    *colon = '\0';
  if (ulimit_read_value (soft, &limit->soft) != 0
      || ulimit_read_value (colon == NULL ? soft : colon + 1, &limit->hard) != 0
      || limit->soft > limit->hard)
    return error_set (err, ERROR_USER,
                      "\"%.100s\": expected two numbers, -1 for no limit, the second not below the "
                      "first",
                      text);
  return 0;
}
