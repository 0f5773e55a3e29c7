#include "producer/admit.h"

#include "producer/slicer.h"
#include "schemas/job_check.h"

int
admit_job (struct job *job, const char **field, struct error *err)
{
  return job_check (job, field, err) != 0 ? -1 : slicer_check (job, field, err);
}
