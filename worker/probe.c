#include "worker/probe.h"

#include "common/memory.h"
#include "policy/policy_check.h"
#include "worker/cgroup.h"
#include "worker/slot_process.h"
#include "worker/trial.h"

#include <string.h>
#include <unistd.h>

enum
{
  PROBE_MEMORY = 64 << 20,
  PROBE_MILLI_CPUS = 1000,
  PROBE_PIDS = 64,
  PROBE_SWEEP_MS = 1000, /* as long as containers of a slot that was killed take to vanish */
};

#define PROBE_USER "65534:65534"

#define PROBE_POD "pod" /* what jobs' "oci" is in a pod */

const char *
probe_name (const struct worker_options *options, size_t index)
{
  static const char *const names[PROBE_RUNTIMES] = { "oci", "process" };
  if (options->pod != NULL)
    return index == 0 ? PROBE_POD : NULL;
  return index < PROBE_RUNTIMES ? names[index] : NULL;
}

/* What a job has to say for RUNTIME. */
static const char *
probe_job_runtime (const char *runtime)
{
  return strcmp (runtime, PROBE_POD) == 0 ? "oci" : runtime;
}

int
probe_job (const struct worker_options *options, const struct job *job, char **description,
           struct error *err)
{
  struct slot_process process = { .pid = -1, .reader = { .fd = -1 } };
  auto_free char *name = xasprintf ("%d-probe", (int) getpid ());
  auto_free char *unused = NULL;
  trial_sweep (options->scratch, 0);
  int result = slot_process_start (&process, name, options, err);
  if (result == 0)
    result = slot_process_try (&process, job, options->stop,
                               description != NULL ? description : &unused, err);
  slot_process_release (&process);
  /* One that was ended in the middle of it leaves its control group and its folder. */
  if (result != 0)
    {
      (void) cgroup_sweep (PROBE_SWEEP_MS);
      trial_sweep (options->scratch, PROBE_SWEEP_MS);
    }
  return result;
}

static void
probe_make_job (const char *runtime, struct job *job)
{
  job_init (job);
  job->id = xstrdup ("probe");
  job->results = xstrdup ("/");
  job->image = xstrdup (TRIAL_IMAGE);
  free (job->runtime);
  job->runtime = xstrdup (probe_job_runtime (runtime));
}

bool
probe_is_allowed (const struct worker_options *options, const char *runtime)
{
  const struct policy *policy = options->policy;
  return policy == NULL || policy->anything
         || policy_list_has (&policy->runtimes, probe_job_runtime (runtime));
}

void
probe_runtime (const struct worker_options *options, const char *runtime,
               struct runtime_probe *probe)
{
  auto_free char *description = NULL;
  auto_job struct job job = { 0 };
  probe_make_job (runtime, &job);
  *probe =
      (struct runtime_probe){ .runtime = runtime, .allowed = probe_is_allowed (options, runtime) };
  (void) probe_job (options, &job, &description, &probe->failure);
  if (description == NULL)
    return;
  const char *colon = strstr (description, ": ");
  probe->description = xstrdup (colon != NULL ? colon + 2 : description);
}

size_t
probe_all (const struct worker_options *options, struct runtime_probe probes[static PROBE_RUNTIMES])
{
  size_t count = 0;
  for (const char *name = NULL; (name = probe_name (options, count)) != NULL; count++)
    {
      struct runtime_probe *probe = &probes[count];
      probe_runtime (options, name, probe);
      if (!probe_works (probe) || options->pod != NULL)
        continue;
      auto_job struct job limited = { 0 };
      probe_make_job (name, &limited);
      limited.memory = PROBE_MEMORY;
      limited.cpus = PROBE_MILLI_CPUS;
      limited.pids = PROBE_PIDS;
      (void) probe_job (options, &limited, NULL, &probe->limits);
      /* Whether others may read this very program says nothing of commands. */
      if (strcmp (probe->runtime, "process") == 0)
        continue;
      auto_job struct job other = { 0 };
      probe_make_job (name, &other);
      other.user = xstrdup (PROBE_USER);
      (void) probe_job (options, &other, NULL, &probe->users);
    }
  return count;
}

bool
probe_works (const struct runtime_probe *probe)
{
  return !error_is_set (&probe->failure);
}

void
probe_release (struct runtime_probe *probe)
{
  free (probe->description);
  *probe = (struct runtime_probe){ 0 };
}
