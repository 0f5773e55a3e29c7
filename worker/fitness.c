#include "worker/fitness.h"

#include "common/clock.h"
#include "common/health.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "worker/pod_link.h"
#include "worker/probe.h"

#include <poll.h>
#include <string.h>

enum
{
  FITNESS_STEP_MS = 100,
  FITNESS_MS = 2000, /* between two tries at first, doubled … */
  FITNESS_MAX_MS = 30000,
  FITNESS_LOOK_MS = 1000,
};

/* Whether PROBE's runtime can be used; says so if not, and didn't say the same BEFORE. */
static bool
fitness_works (const struct runtime_probe *probe, char **before)
{
  if (probe_works (probe))
    return true;
  if (*before != NULL && strcmp (*before, probe->failure.message) == 0)
    return false;
  auto_free char *text = text_log (probe->failure.message);
  log_warn ("runtime_unusable", "runtime=%s error=%s", probe->runtime, text);
  free (*before);
  *before = xstrdup (probe->failure.message);
  return false;
}

static char *
fitness_describe (const struct worker_options *options, const struct runtime_probe *probe)
{
  auto_free char *text = text_log (probe->description != NULL ? probe->description : "");
  return xasprintf (" runtime=%s runtime_by=%s description=%s", probe->runtime,
                    options->oci_program != NULL || options->pod != NULL ? "option" : "default",
                    text);
}

static void
fitness_tell (const struct worker_options *options, const char *why)
{
  auto_free char *text = xasprintf ("no command can be run here: %s", why);
  health_unfit (options->health, text);
}

/* Why the first of the runtimes that were tried can't be used. */
static const char *
fitness_reason (char *before[static PROBE_RUNTIMES])
{
  for (size_t i = 0; i < PROBE_RUNTIMES; i++)
    if (before[i] != NULL)
      return before[i];
  return "the policy allows no runtime";
}

/* 1 with FITNESS when something works. */
static int
fitness_try (const struct worker_options *options, char *before[static PROBE_RUNTIMES],
             struct fitness *fitness)
{
  const char *name = NULL;
  for (size_t i = 0; i < PROBE_RUNTIMES && (name = probe_name (options, i)) != NULL; i++)
    {
      auto_probe struct runtime_probe probe = { 0 };
      if (!probe_is_allowed (options, name))
        continue;
      probe_runtime (options, name, &probe);
      if (fitness_works (&probe, &before[i]) && fitness->description == NULL)
        fitness->description = fitness_describe (options, &probe);
    }
  if (fitness->description != NULL)
    {
      health_unfit (options->health, NULL);
      return 1;
    }
  fitness_tell (options, fitness_reason (before));
  return 0;
}

static bool
fitness_is_stopped (const struct worker_options *options)
{
  return options->stop != NULL && *options->stop != 0;
}

int
fitness_await (const struct worker_options *options, struct fitness *fitness, struct error *err)
{
  char *before[PROBE_RUNTIMES] = { NULL };
  int fit = 0;
  int64_t until = options->idle_ms > 0 ? clock_boot_ms () + options->idle_ms : INT64_MAX;
  for (int wait = FITNESS_MS; !fitness_is_stopped (options); wait *= wait < FITNESS_MAX_MS ? 2 : 1)
    {
      fit = fitness_try (options, before, fitness);
      if (fit == 0 && clock_boot_ms () >= until)
        fit = error_set (err, ERROR_FATAL, "idle for %lld ms, as no command can be run here: %s",
                         (long long) options->idle_ms, fitness_reason (before));
      if (fit != 0)
        break;
      for (int ms = 0; ms < wait && clock_boot_ms () < until && !fitness_is_stopped (options);
           ms += FITNESS_STEP_MS)
        (void) poll (NULL, 0, FITNESS_STEP_MS);
    }
  for (size_t i = 0; i < PROBE_RUNTIMES; i++)
    free (before[i]);
  return fit;
}

bool
fitness_is_lost (const struct worker_options *options, int64_t *at)
{
  struct error why = ERROR_INIT;
  int64_t now = clock_boot_ms ();
  if (options->pod == NULL || options->job_id != NULL || now < *at)
    return false;
  *at = now + FITNESS_LOOK_MS;
  if (pod_link_answers (options->pod->socket, &why))
    return false;
  fitness_tell (options, why.message);
  return true;
}

void
fitness_release (struct fitness *fitness)
{
  free (fitness->description);
  *fitness = (struct fitness){ 0 };
}
