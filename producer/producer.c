#include "producer/producer.h"

#include "bus/bus.h"
#include "bus/follower.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/text.h"
#include "producer/planning.h"
#include "producer/window.h"

enum
{
  WINDOW_MS = 20, /* likewise while shards wait to be published */
  WAIT_MS = 1000, /* at most this long until the stop flag is looked at; the bus wakes us earlier */
  TROUBLE_MS = 500, /* pause after an error of the bus */
};

/* Whether an event says that the followed job's planning is over: 1, 0 or -1. */
static int
producer_is_over (struct follower *follower, struct error *err)
{
  for (;;)
    {
      auto_event struct event event = { 0 };
      int got = follower_next (follower, &event, err);
      if (got <= 0)
        return got;
      if (event.kind == EVENT_PLANNED || event.kind == EVENT_FAILED
          || event.kind == EVENT_CANCELLED)
        return 1;
    }
}

/* Takes one job and plans it: 1 when one was settled, PLANNING_WINDOW, 0 when there was none (or it
 * was given back), -1. */
static int
take_one (struct bus *bus, struct windows *windows, const struct producer_options *options,
          struct error *err)
{
  auto_delivery struct delivery *delivery = NULL;
  int got =
      windows_have_room (windows) ? bus_take (bus, BUS_JOBS, options->job_id, &delivery, err) : 0;
  if (got <= 0)
    return got;
  log_info ("planning_started", "job=%s starts=%u", delivery->job->id, delivery->starts);
  int planned = planning_run (bus, delivery, options, windows, err);
  if (planned == PLANNING_WINDOW)
    (void) take (&delivery);
  return planned;
}

static bool
producer_is_stopped (const struct producer_options *options)
{
  return options->stop != NULL && *options->stop != 0;
}

/* Takes and plans what there is: 1 when nothing is left for this producer, 0, or -1. */
static int
producer_step (struct bus *bus, struct windows *windows, struct follower *follower,
               const struct producer_options *options, struct error *err)
{
  health_turn (options->health);
  health_bus (options->health, !bus_is_away (bus));
  int settled = take_one (bus, windows, options, err);
  int more = settled < 0 ? -1 : windows_tend (windows, err);
  if (more < 0)
    return -1;
  bool done = follower != NULL && windows_count (windows) == 0;
  int over = !done ? 0 : settled == 1 ? 1 : producer_is_over (follower, err);
  if (over == 0 && settled == 0 && more == 0 && !producer_is_stopped (options))
    (void) bus_poll (bus, NULL, 0, windows_count (windows) > 0 ? WINDOW_MS : WAIT_MS);
  return over;
}

/* A service outlives the bus's troubles; who plans one job is waited for, and says so. */
static int
producer_tolerate (struct bus *bus, const struct producer_options *options, struct error *err)
{
  if (err->class == ERROR_FATAL || options->job_id != NULL)
    return error_wrap (err, "producer");
  health_bus_error (options->health);
  auto_free char *text = text_log (err->message);
  log_warn ("bus_error", "error=%s", text);
  error_clear (err);
  (void) bus_poll (bus, NULL, 0, TROUBLE_MS);
  return 0;
}

int
producer_run (const struct producer_options *options, struct error *err)
{
  char digest[POLICY_DIGEST_SIZE];
  const char *config = options->policy == NULL || options->job_id != NULL
                           ? NULL
                           : policy_digest (options->policy, digest);
  const struct bus_options bus_options = { .config = config,
                                           .client = "producer",
                                           .role = options->takes_jobs ? BUS_ROLE_API
                                                                       : BUS_ROLE_PRODUCER,
                                           .lease_ms = options->lease_ms,
                                           .patience_ms = -1,
                                           .stop = options->stop,
                                           .properties = options->bus_properties,
                                           .metrics = health_metrics (options->health) };
  auto_bus struct bus *bus = bus_open (options->bus_url, &bus_options, err);
  if (bus == NULL)
    return producer_is_stopped (options) ? 0 : -1;
  auto_follower struct follower *follower = NULL;
  if (options->job_id != NULL)
    {
      follower = bus_follow (bus, NULL, options->job_id, err);
      if (follower == NULL)
        return -1;
    }
  auto_windows struct windows *windows = windows_new (bus, options);
  struct error why = ERROR_INIT;
  int outcome = 0;
  while (outcome == 0 && !producer_is_stopped (options))
    {
      outcome = producer_step (bus, windows, follower, options, &why);
      if (outcome < 0)
        outcome = producer_tolerate (bus, options, &why);
    }
  if (outcome < 0 && err != NULL)
    *err = why;
  return outcome < 0 ? -1 : 0;
}
