#include "cli/steer.h"

#include "bus/follower.h"
#include "common/buffer.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/units.h"
#include "schemas/job_bounds.h"

#include <string.h>

int
steer_read_parallel (const char *value, int64_t *max_parallel, struct error *err)
{
  *max_parallel = 0;
  return strcmp (value, "none") == 0
             ? 0
             : units_parse_number (value, 1, JOB_COUNT_MAX, max_parallel, err);
}

/* Whether all shards of the job were published at once: 1, 0 or -1. */
static int
steer_is_published (struct bus *bus, const char *job_id, struct error *err)
{
  auto_follower struct follower *events = bus_follow (bus, NULL, job_id, err);
  if (events == NULL)
    return -1;
  for (;;)
    {
      auto_event struct event event = { 0 };
      int got = follower_next (events, &event, err);
      if (got <= 0)
        return got;
      if (event.kind == EVENT_PLANNED)
        return event.starts == 0;
    }
}

int
steer_check (struct bus *bus, const struct job *job, const struct job_status *status,
             const struct control *wanted, struct error *err)
{
  bool limit = wanted->max_parallel != CONTROL_KEPT;
  bool ended = job_state_is_terminal (status->state);
  /* The limit of a job that has ended is that of its retry. */
  if (ended && (!limit || wanted->priority != CONTROL_KEPT || wanted->paused != CONTROL_KEPT))
    return error_set (err, ERROR_USER, "%s: the job has already ended: %s", job->id,
                      job_state_name (status->state));
  if (ended || (!limit && wanted->priority == CONTROL_KEPT))
    return 0;
  int published = steer_is_published (bus, job->id, err);
  if (published <= 0)
    return published;
  return error_set (err, ERROR_USER,
                    "%s: all of its shards are published already, and run in that order: only jobs "
                    "with shards in a producer's window (shoal producer --window) can be changed",
                    job->id);
}

int
steer_publish (struct bus *bus, const struct job *job, const struct control *wanted,
               struct error *err)
{
  struct control control = *wanted;
  control.job_id = job->id;
  control.time = clock_wall_ms ();
  return bus_publish_control (bus, &control, err);
}

struct settings *
steer_known (struct bus *bus)
{
  struct error why = ERROR_INIT;
  struct settings *settings = settings_read (bus, &why);
  if (settings == NULL)
    log_failure (LOG_DEBUG, "settings_unknown", &why, NULL);
  return settings;
}

char *
steer_words (const struct job_settings *settings)
{
  auto_buffer struct buffer words = { 0 };
  if (settings->paused)
    buffer_puts (&words, "paused");
  if (settings->priority != 0)
    buffer_printf (&words, "%spriority %d", words.size > 0 ? ", " : "", settings->priority);
  if (settings->max_parallel > 0)
    buffer_printf (&words, "%sat most %lld %s at a time", words.size > 0 ? ", " : "",
                   (long long) settings->max_parallel,
                   settings->max_parallel == 1 ? "shard" : "shards");
  return words.size == 0 ? NULL : buffer_take (&words);
}
