/* steer.h — how a job that waits or runs is to go on: its priority, its limit, whether it is
 * paused. */
#ifndef SHOAL_CLI_STEER_H
#define SHOAL_CLI_STEER_H

#include "bus/bus.h"
#include "bus/settings.h"

/* An order that changes nothing yet. */
#define STEER_NOTHING                                                                              \
  {                                                                                                \
    .kind = CONTROL_SET, .priority = CONTROL_KEPT, .max_parallel = CONTROL_KEPT,                   \
    .paused = CONTROL_KEPT                                                                         \
  }

/* Reads "none" or a number from 1 on. */
int steer_read_parallel (const char *value, int64_t *max_parallel, struct error *err);

/* Whether WANTED can be kept of JOB, which stands as STATUS says: 0, or -1; ERROR_USER when the job
 * has ended, or nothing of it is left to publish. */
int steer_check (struct bus *bus, const struct job *job, const struct job_status *status,
                 const struct control *wanted, struct error *err);

/* Puts WANTED on record for JOB. */
int steer_publish (struct bus *bus, const struct job *job, const struct control *wanted,
                   struct error *err);

/* Whether WANTED, which is on record, came before the last shard of JOB was published: 0, or -1;
 * ERROR_USER when it came too late. Waits for a moment while JOB is planned. */
int steer_confirm (struct bus *bus, const struct job *job, const struct job_status *status,
                   const struct control *wanted, struct error *err);

/* What was set of the jobs of BUS, as far as this user may know it; NULL: he mayn't, and it is
 * logged. */
struct settings *steer_known (struct bus *bus);

/* "paused, priority 5, at most 3 shards at a time"; NULL: all is as usual. The caller frees. */
char *steer_words (const struct job_settings *settings);

#endif
