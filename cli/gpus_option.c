#include "cli/gpus_option.h"

#include "common/memory.h"
#include "common/units.h"
#include "schemas/job_bounds.h"

#include <string.h>

#define GPUS_KIND "nvidia.com/gpu"

static int
gpus_option_count (const char *text, struct job *job, struct error *err)
{
  int64_t count = 0;
  if (strcmp (text, "all") == 0)
    {
      strlist_add (&job->devices, GPUS_KIND "=all");
      return 0;
    }
  if (units_parse_number (text, 1, JOB_DEVICES_MAX, &count, NULL) != 0)
    return error_set (err, ERROR_USER,
                      "\"%.100s\": expected all, a number from 1 to %d, or device=ID,…", text,
                      JOB_DEVICES_MAX);
  for (int64_t i = 0; i < count; i++)
    strlist_addf (&job->devices, GPUS_KIND "=%lld", (long long) i);
  return 0;
}

/* What is behind a comma belongs to the devices before it, unless it names something else. */
int
gpus_option_read (const char *text, struct job *job, struct error *err)
{
  static const char device[] = "device=";
  static const char count[] = "count=";
  static const char driver[] = "driver=nvidia";
  bool in_devices = false;
  size_t before = job->devices.count;
  auto_free char *copy = xstrdup (text);
  size_t kept = 0;
  for (const char *at = text; *at != '\0'; at++)
    if (*at != '"')
      copy[kept++] = *at;
  copy[kept] = '\0';
  char *rest = copy;
  for (const char *part = strsep (&rest, ","); part != NULL; part = strsep (&rest, ","))
    {
      bool names = strncmp (part, device, strlen (device)) == 0;
      in_devices = names || (in_devices && strchr (part, '=') == NULL);
      if (strcmp (part, driver) == 0)
        continue;
      if (in_devices)
        strlist_addf (&job->devices, GPUS_KIND "=%s", names ? part + strlen (device) : part);
      else if (gpus_option_count (strncmp (part, count, strlen (count)) == 0 ? part + strlen (count)
                                                                             : part,
                                  job, err)
               != 0)
        return -1;
    }
  return job->devices.count > before
             ? 0
             : error_set (err, ERROR_USER,
                          "\"%.100s\" names no GPU: expected all, a number or "
                          "device=ID,…",
                          text);
}
