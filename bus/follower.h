/* follower.h — reads a bus's events from a position on, alone or as a member of a group.
 *
 * Belongs to the thread of its bus; errors as in bus.h.
 */
#ifndef SHOAL_BUS_FOLLOWER_H
#define SHOAL_BUS_FOLLOWER_H

#include "common/auto.h"
#include "common/error.h"
#include "schemas/event.h"

#include <stdbool.h>

struct bus;
struct follower;

/* Follows the events of JOB_ID (NULL: of all jobs) from the start; or, in GROUP (e.g. "merger"),
 * from the group's committed position: of a group's members only one gets a job's events at a time,
 * the others take over when it is lost. */
struct follower *bus_follow (struct bus *bus, const char *group, const char *job_id,
                             struct error *err);

/* The next event into zeroed EVENT: 1, or 0 when there is none now (or another member has the job).
 * An event that doesn't decode is logged and skipped. Keeps the membership alive. */
int follower_next (struct follower *follower, struct event *event, struct error *err);

/* Whether this member still holds what it was given, and JOB_ID's events (NULL: any job's) are
 * given to it; false for a member that was away for longer than the lease, which must then drop
 * what it built and start over (follower_rewind). True without a group. What isn't needed
 * (follower_commit) may go to other members at any time. */
bool follower_holds (struct follower *follower, const char *job_id, struct error *err);

/* Back to the committed position, or to the start. */
void follower_rewind (struct follower *follower);

/* Of what was delivered the group still needs, of each job in hand, the events from one of the
 * COUNT POSITIONS on; all others are of no more use to it. */
int follower_commit (struct follower *follower, const int64_t *positions, size_t count,
                     struct error *err);
void follower_close (struct follower *follower);

static inline void
auto_follower_ (struct follower **follower)
{
  follower_close (*follower);
}
#define auto_follower AUTO (auto_follower_)

#endif
