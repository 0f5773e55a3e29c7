/* fold.h — a job's state as a pure function of its events.
 *
 * The same events give the same state, however they are spread over time: no clock, no disk, no bus
 * in here. The first `succeeded` event of a shard's latest generation wins; later ones are
 * duplicates. Only the order of the events of one shard, and of those of the job as a whole
 * (planned, reopened, cancelled, remerge), matters. At most 64 bytes a shard.
 */
#ifndef SHOAL_MERGER_FOLD_H
#define SHOAL_MERGER_FOLD_H

#include "common/auto.h"
#include "schemas/messages.h"

#include <stdbool.h>
#include <stdint.h>

enum shard_state
{
  SHARD_WAITING,
  SHARD_RUNNING,
  SHARD_SUCCEEDED,
  SHARD_FAILED, /* its attempts are used up, or it was cancelled (outcome) */
};

/* Keys are attempt << 32 | starts, so that a later attempt's key is the higher one; 0: none. */
struct shard_record
{
  uint64_t folder_key; /* of the attempt that counts, where its folder was kept: fold_folder_name */
  uint64_t started_key; /* the highest that began */
  uint64_t ended_key;   /* the highest that ended; of a shard that succeeded, the winner */
  int64_t event;        /* position of the event that brought ended_key */
  uint64_t digest;      /* the first bytes of its atoms' checksum; 0: not known */
  uint32_t generation;
  uint32_t atoms;
  uint32_t reason; /* fold_reason; 0: none, or it is in the attempt's folder */
  int16_t exit_code;
  uint8_t state;   /* enum shard_state */
  uint8_t outcome; /* enum outcome of the attempt of ended_key */
};
_Static_assert(sizeof (struct shard_record) <= 64, "a shard may take 64 bytes of memory");

static inline uint32_t
shard_attempts (const struct shard_record *record)
{
  return (uint32_t) (record->ended_key >> 32);
}

struct fold;

struct fold *fold_new (void);
void fold_free (struct fold *fold);

static inline void
auto_fold_ (struct fold **fold)
{
  fold_free (*fold);
}
#define auto_fold AUTO (auto_fold_)

enum fold_change
{
  FOLD_NOTHING, /* a duplicate, an event of an older generation, one of no meaning here */
  FOLD_CHANGED,
  FOLD_SUCCEEDED, /* the map shard event->index now has a winner */
  FOLD_REOPENED,  /* shards were sent back, or the policy changed: what was assembled is void */
};

/* Takes EVENT in. Events that contradict each other make the job fail (fold_problem). */
enum fold_change fold_apply (struct fold *fold, const struct event *event);

bool fold_planned (const struct fold *fold);
int64_t fold_shards (const struct fold *fold); /* -1 while the plan is open */
/* The `starts` of the frozen plan (frozen_plan.h) that holds the shards; 0: none does. */
uint32_t fold_frozen (const struct fold *fold);
int64_t fold_known (const struct fold *fold);       /* highest index seen or planned + 1 */
uint32_t fold_generation (const struct fold *fold); /* the job's highest, from 1 */

/* The record of INDEX; one that was never heard of is waiting. Valid until the next fold_apply. */
const struct shard_record *fold_shard (const struct fold *fold, uint32_t index);
const struct shard_record *
fold_reduce (const struct fold *fold); /* the reduce shard, NULL: not heard of */

/* Why the shard of RECORD failed where no folder of its attempt says so: it lost its workers, or
 * nothing was begun. NULL: it didn't, or that isn't known. Valid as long as FOLD. */
const char *fold_reason (const struct fold *fold, const struct shard_record *record);

struct fold_counts
{
  int64_t succeeded;
  int64_t failed;
  int64_t stopped; /* ended by a cancel */
  int64_t running;
  int64_t atoms_done;
};
struct fold_counts fold_counts (const struct fold *fold);

/* The counts, the plan's numbers and the generation of STATUS. */
void fold_fill_status (const struct fold *fold, struct job_status *status);

/* Whether nothing more is to come from the map shards: planning failed, or every shard of the plan
 * is settled. After a cancel what waits will never run; IMPATIENT then gives up on what runs as
 * well. */
bool fold_settled (const struct fold *fold, bool impatient);

/* Whether every shard of the plan ran to an end of its own. */
bool fold_complete (const struct fold *fold);

struct fold_plan
{
  int64_t shards;
  int64_t atoms;
  int64_t bytes;
  uint8_t digest[DIGEST_SIZE];
  uint32_t frozen;            /* fold_frozen */
  char *left_out;             /* fold_left_out */
  struct strlist volume_pins; /* as its shards have them */
};
const struct fold_plan *fold_plan (const struct fold *fold); /* NULL while it is open */

bool fold_cancelled (const struct fold *fold); /* in the latest generation */
bool fold_given_up (const struct fold *fold);  /* cancelled because the job's limits were passed */
const char *fold_cancel_reason (const struct fold *fold);
int64_t
fold_cancel_time (const struct fold *fold); /* UTC ms of the latest cancel or reopening, 0 */
/* What planning left out of the inputs, a line for people; NULL: nothing. */
const char *fold_left_out (const struct fold *fold);
const char *fold_failure (const struct fold *fold, const char **class_name); /* of planning; NULL */
const char *fold_problem (const struct fold *fold); /* events that contradict each other; NULL */

/* The policy of the last EVENT_REMERGE, else FALLBACK. */
enum on_conflict fold_on_conflict (const struct fold *fold, enum on_conflict fallback);

int64_t fold_begun (const struct fold *fold); /* UTC ms of the earliest event; 0: none */

/* How long the job runs at NOW (UTC ms), by the times at which its events came to the bus, since
 * its first one or since it was last opened again: no matter which merger asks. A clock that is
 * behind the bus's changes nothing. */
int64_t fold_age (const struct fold *fold, int64_t now);
int64_t fold_ended (const struct fold *fold); /* of the latest that changed anything but STARTED */
int64_t fold_basis (const struct fold *fold); /* that event's highest position */

/* Name of the attempt folder that counts for INDEX (or the reduce shard's); NULL when there is
 * none. The caller frees. */
char *fold_folder_name (const struct fold *fold, uint32_t index);
char *fold_reduce_folder_name (const struct fold *fold);

#endif
