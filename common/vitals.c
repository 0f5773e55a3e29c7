#include "common/vitals.h"

#include "common/clock.h"
#include "common/memory.h"

struct vitals
{
  struct metrics *metrics;
  struct metric *turned; /* an age: boot ms */
  struct metric *ready;
  struct metric *draining;
  struct metric *bus_errors;
};

struct vitals *
vitals_new (void)
{
  struct vitals *vitals = xcalloc (1, sizeof *vitals);
  struct metrics *metrics = metrics_new ();
  vitals->metrics = metrics;
  metric_set (metrics_gauge (metrics, "shoal_build_info",
                             "Version of this build; the value is always 1.",
                             LABELS ("version", SHOAL_VERSION)),
              1);
  vitals->ready =
      metrics_gauge (metrics, "shoal_ready", "1 while the bus is reachable, 0 otherwise.", NULL);
  vitals->draining = metrics_gauge (metrics, "shoal_draining",
                                    "1 while the process shuts down: it takes no new work.", NULL);
  vitals->turned = metrics_age (
      metrics, "shoal_loop_age_seconds",
      "Time since the last iteration of the main loop; /healthz fails beyond 60.", NULL);
  vitals->bus_errors = metrics_counter (metrics, "shoal_bus_errors_total",
                                        "Bus operations that failed and are retried.", NULL);
  return vitals;
}

void
vitals_free (struct vitals *vitals)
{
  if (vitals == NULL)
    return;
  metrics_free (vitals->metrics);
  free (vitals);
}

struct metrics *
vitals_metrics (const struct vitals *vitals)
{
  return vitals == NULL ? NULL : vitals->metrics;
}

void
vitals_turn (struct vitals *vitals)
{
  if (vitals != NULL)
    metric_set (vitals->turned, clock_boot_ms ());
}

void
vitals_bus (struct vitals *vitals, bool answers)
{
  if (vitals != NULL)
    metric_set (vitals->ready, answers);
}

void
vitals_bus_error (struct vitals *vitals)
{
  if (vitals != NULL)
    metric_add (vitals->bus_errors, 1);
}

void
vitals_draining (struct vitals *vitals)
{
  if (vitals != NULL)
    metric_set (vitals->draining, 1);
}

bool
vitals_are_ready (const struct vitals *vitals)
{
  return vitals != NULL && metric_value (vitals->ready) != 0;
}

bool
vitals_are_good (const struct vitals *vitals, int64_t now, struct error *err)
{
  int64_t turned = vitals == NULL ? 0 : metric_value (vitals->turned);
  if (turned == 0 || now - turned < VITALS_STUCK_MS)
    return true;
  (void) error_set (err, ERROR_FATAL, "no iteration of the main loop for %lld s",
                    (long long) ((now - turned) / 1000));
  return false;
}
