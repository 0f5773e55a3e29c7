#include "cli/steer.h"

#include "bus/follower.h"
#include "bus/shard_list.h"
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

enum
{
  CONFIRM_MS = 2000, /* by then a producer has read what was ordered */
  AGAIN_MS = 100,
};

/* Whether WANTED is about shards that are still to be published. */
static bool
steer_is_of_shares (const struct control *wanted)
{
  return wanted->priority != CONTROL_KEPT || wanted->max_parallel != CONTROL_KEPT;
}

static void
steer_count (void *context, uint32_t index)
{
  int64_t *published = context;
  (void) index;
  ++*published;
}

/* Whether all of the SHARDS of JOB's plan are published: 1, 0 or -1. By size the last one may have
 * been among the first. */
static int
steer_has_all (struct bus *bus, const struct job *job, int64_t shards, struct error *err)
{
  auto_shard struct shard last = { 0 };
  int64_t published = 0;
  int got = bus_get_shard (bus, job->id, (uint32_t) (shards - 1), &last, err);
  if (got <= 0 || job->order != ORDER_SIZE)
    return got;
  if (bus_list_shards (bus, job->id, steer_count, &published, err) != 0)
    return -1;
  return published >= shards ? 1 : 0;
}

/* Whether all shards of JOB are published: 1, 0 or -1; those of a replay are at once. *PLANNED: its
 * plan is closed. */
static int
steer_is_published (struct bus *bus, const struct job *job, bool *planned, struct error *err)
{
  int64_t shards = 0;
  *planned = false;
  auto_follower struct follower *events = bus_follow (bus, NULL, job->id, err);
  if (events == NULL)
    return -1;
  for (;;)
    {
      auto_event struct event event = { 0 };
      int got = follower_next (events, &event, err);
      if (got < 0)
        return -1;
      if (got == 0)
        break;
      if (event.kind == EVENT_REOPENED
          || (event.kind == EVENT_PLANNED && !*planned && event.starts == 0))
        return 1;
      if (event.kind == EVENT_PLANNED && !*planned)
        shards = event.shards;
      *planned = *planned || event.kind == EVENT_PLANNED;
    }
  return shards < 1 ? 0 : steer_has_all (bus, job, shards, err);
}

static int
steer_refuse (const struct job *job, const char *when, struct error *err)
{
  return error_set (err, ERROR_USER,
                    "%s: all of its shards are published already%s, and run in that order: only "
                    "jobs with shards in a producer's window (shoal producer --window) can be "
                    "changed",
                    job->id, when);
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
  bool planned = false;
  if (ended || !steer_is_of_shares (wanted))
    return 0;
  int published = steer_is_published (bus, job, &planned, err);
  return published <= 0 ? published : steer_refuse (job, "", err);
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

/* A producer that is at the end of the job's plan may have read control before. */
int
steer_confirm (struct bus *bus, const struct job *job, const struct job_status *status,
               const struct control *wanted, struct error *err)
{
  if (job_state_is_terminal (status->state) || !steer_is_of_shares (wanted))
    return 0;
  for (int64_t end = clock_boot_ms () + CONFIRM_MS;;)
    {
      bool planned = false;
      auto_shard struct shard first = { 0 };
      int published = steer_is_published (bus, job, &planned, err);
      if (published != 0)
        return published < 0 ? -1 : steer_refuse (job, " by now", err);
      int begun = planned ? 0 : bus_get_shard (bus, job->id, 0, &first, err);
      if (begun <= 0 || clock_boot_ms () >= end)
        return begun < 0 ? -1 : 0;
      (void) bus_poll (bus, NULL, 0, AGAIN_MS);
    }
}

struct settings *
steer_known (struct bus *bus)
{
  struct error why = ERROR_INIT;
  struct settings *settings = settings_read (bus, &why);
  if (settings == NULL)
    log_failure (LOG_WARN, "settings_unknown", &why, NULL);
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
