/* merge_job.h — one job in a merger's hands: its fold, its tree in the making, and what is said of
 * it.
 *
 * Rebuilt by reading the job's events, so it can be dropped at any time. A status that is final
 * means that all events up to then are dealt with: only a reopening or a remerge takes the job up
 * again.
 */
#ifndef SHOAL_MERGER_MERGE_JOB_H
#define SHOAL_MERGER_MERGE_JOB_H

#include "bus/bus.h"
#include "common/auto.h"
#include "merger/backlog.h"
#include "merger/heartbeat.h"
#include "policy/policy.h"

struct merge_job;

/* Takes up the job that EVENT (already read) is of, with what the log has of it before: 1 and
 * *MERGE; 0 when the job is done and EVENT changes nothing, or the bus has no such job; or -1.
 * HEARTBEAT and POLICY (NULL: anything) outlive it: a job that is refused by it fails, and nothing
 * is made of it. */
int merge_job_open (struct bus *bus, const struct event *event, const struct heartbeat *heartbeat,
                    const struct policy *policy, struct merge_job **merge, struct error *err);
void merge_job_close (struct merge_job *merge);

static inline void
auto_merge_job_ (struct merge_job **merge)
{
  merge_job_close (*merge);
}
#define auto_merge_job AUTO (auto_merge_job_)

const char *merge_job_id (const struct merge_job *merge);
const char *merge_job_queue (const struct merge_job *merge);

/* Takes in the next event of the job. */
int merge_job_apply (struct merge_job *merge, const struct event *event, struct error *err);

/* A control record says that the job is cancelled. One that was dealt with already changes
 * nothing. */
int merge_job_cancel (struct merge_job *merge, const struct control *control, struct error *err);

/* Does what is due: gives up, puts the status; and when the events are read up to their end
 * (DRAINED), assembles, and ends the job. */
int merge_job_tick (struct merge_job *merge, bool drained, struct error *err);

/* WHY is what ends the job's assembling for now, its store mostly: it is begun anew, a little later
 * each time that this comes after the last. The job's status says so. */
void merge_job_set_back (struct merge_job *merge, const struct error *why);

/* Whether the job's final status is on the bus. */
bool merge_job_is_done (const struct merge_job *merge);

/* Its shards that are still to end. */
struct backlog_shards merge_job_backlog (const struct merge_job *merge);

/* Position of the event that it was taken up with: a new merger must read from there. */
int64_t merge_job_first (const struct merge_job *merge);

#endif
