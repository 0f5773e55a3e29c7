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

enum
{
  OWN_PROCESSES = 4, /* a thread of the slot and the runtime count in its group as well */
};

int
oci_limits_set (struct cgroup *group, const struct job *job, struct cgroup_usage *before,
                struct error *err)
{
  if (group == NULL)
    return 0;
  int64_t pids = job->pids < 0 ? OCI_LIMITS_PIDS : job->pids;
  int64_t own = OWN_PROCESSES + (job->init ? 1 : 0);
  if (cgroup_limit (group, job->memory, job->cpus, pids + own, err) != 0)
    return -1;
  cgroup_reset (group);
  cgroup_read (group, before);
  return 0;
}
