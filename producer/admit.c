#include "producer/admit.h"

#include "policy/policy_check.h"
#include "producer/slicer.h"
#include "schemas/job_check.h"

int
admit_job (const struct policy *policy, struct job *job, const char **field, struct error *err)
{
  if (job_check (job, field, err) != 0 || policy_check_job (policy, job, field, err) != 0)
    return -1;
  return slicer_check (job, field, err);
}
