#include "common/health.h"

#include "common/clock.h"
#include "common/memory.h"

#include <pthread.h>
#include <stdio.h>

enum
{
  HEALTH_WHY_MAX = 512,
};

struct health
{
  pthread_mutex_t lock;
  char unfit[HEALTH_WHY_MAX]; /* under the lock; "": it can do its work */
  struct metrics *metrics;
  struct metric *turned; /* an age: boot ms */
  struct metric *ready;
  struct metric *draining;
  struct metric *bus_errors;
};

struct health *
health_new (void)
{
  struct health *health = xcalloc (1, sizeof *health);
  (void) pthread_mutex_init (&health->lock, NULL);
  struct metrics *metrics = metrics_new ();
  health->metrics = metrics;
  metric_set (metrics_gauge (metrics, "shoal_build_info",
                             "Version of this build; the value is always 1.",
                             LABELS ("version", SHOAL_VERSION)),
              1);
  health->ready =
      metrics_gauge (metrics, "shoal_ready", "1 while the bus is reachable, 0 otherwise.", NULL);
  health->draining = metrics_gauge (metrics, "shoal_draining",
                                    "1 while the process shuts down: it takes no new work.", NULL);
  health->turned = metrics_age (
      metrics, "shoal_loop_age_seconds",
      "Time since the last iteration of the main loop; /healthz fails beyond 60.", NULL);
  health->bus_errors = metrics_counter (metrics, "shoal_bus_errors_total",
                                        "Bus operations that failed and are retried.", NULL);
  return health;
}

void
health_free (struct health *health)
{
  if (health == NULL)
    return;
  metrics_free (health->metrics);
  (void) pthread_mutex_destroy (&health->lock);
  free (health);
}

struct metrics *
health_metrics (const struct health *health)
{
  return health == NULL ? NULL : health->metrics;
}

void
health_turn (struct health *health)
{
  if (health != NULL)
    metric_set (health->turned, clock_boot_ms ());
}

void
health_rest (struct health *health)
{
  if (health == NULL)
    return;
  metric_set (health->turned, 0);
  metric_set (health->ready, 0);
}

void
health_bus (struct health *health, bool answers)
{
  if (health != NULL)
    metric_set (health->ready, answers);
}

void
health_bus_error (struct health *health)
{
  if (health != NULL)
    metric_add (health->bus_errors, 1);
}

void
health_draining (struct health *health)
{
  if (health != NULL)
    metric_set (health->draining, 1);
}

void
health_unfit (struct health *health, const char *why)
{
  if (health == NULL)
    return;
  (void) pthread_mutex_lock (&health->lock);
  (void) snprintf (health->unfit, sizeof health->unfit, "%s", why == NULL ? "" : why);
  (void) pthread_mutex_unlock (&health->lock);
}

bool
health_is_ready (struct health *health, struct error *err)
{
  if (health == NULL)
    return false;
  (void) pthread_mutex_lock (&health->lock);
  bool fit = health->unfit[0] == '\0';
  if (!fit)
    (void) error_set (err, ERROR_TRANSIENT, "%s", health->unfit);
  (void) pthread_mutex_unlock (&health->lock);
  if (fit && metric_value (health->ready) == 0)
    (void) error_set (err, ERROR_TRANSIENT, "the bus is unreachable");
  return fit && metric_value (health->ready) != 0;
}

bool
health_is_good (const struct health *health, int64_t now, struct error *err)
{
  int64_t turned = health == NULL ? 0 : metric_value (health->turned);
  if (turned == 0 || now - turned < HEALTH_STUCK_MS)
    return true;
  (void) error_set (err, ERROR_FATAL, "no iteration of the main loop for %lld s",
                    (long long) ((now - turned) / 1000));
  return false;
}
