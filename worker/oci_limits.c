#include "worker/oci_limits.h"

#include "schemas/ulimit.h"

#include <sys/resource.h>

int
oci_limits_check (const struct job *job, struct error *err)
{
  for (size_t i = 0; i < job->ulimits.count; i++)
    {
      struct ulimit limit;
      struct rlimit own;
      if (ulimit_parse (job->ulimits.items[i], &limit, err) != 0)
        return -1;
      if (getrlimit ((__rlimit_resource_t) limit.resource, &own) != 0 || limit.hard <= own.rlim_max)
        continue;
      return error_set (err, ERROR_TRANSIENT,
                        "--ulimit %s is more than this worker's own hard limit, %llu",
                        job->ulimits.items[i], (unsigned long long) own.rlim_max);
    }
  return 0;
}
