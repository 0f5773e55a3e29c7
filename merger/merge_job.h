/* merge_job.h — one job in a merger's hands: its fold, its tree in the making, and what is said of it.
 *
 * Rebuilt by reading the job's events from the start, so it can be dropped at any time.
 */
#ifndef SHOAL_MERGER_MERGE_JOB_H
#define SHOAL_MERGER_MERGE_JOB_H

#include "common/auto.h"
#include "common/bus/bus.h"

struct merge_job;

/* Takes the job ID up: reads its events up to POSITION. NULL with ERR. */
struct merge_job *merge_job_open (struct bus *bus, const char *id, int64_t position,
                                  struct error *err);
void merge_job_close (struct merge_job *merge);

static inline void
auto_merge_job_ (struct merge_job **merge)
{
  merge_job_close (*merge);
}
#define auto_merge_job AUTO (auto_merge_job_)

const char *merge_job_id (const struct merge_job *merge);

/* Takes in the next event of the job. */
int merge_job_apply (struct merge_job *merge, const struct event *event, struct error *err);

/* A control record says that the job is cancelled. */
int merge_job_cancel (struct merge_job *merge, const char *reason, struct error *err);

/* Does what is due: gives up, puts the status, ends the job. HOLDS is asked before the result is published: false when
 * somebody else has the job by now. */
int merge_job_tick (struct merge_job *merge, bool (*holds) (void *context), void *context,
                    struct error *err);

/* Whether the job's final status is on the bus. */
bool merge_job_is_done (const struct merge_job *merge);

/* Position of the first event of the job. */
int64_t merge_job_first (const struct merge_job *merge);

#endif
