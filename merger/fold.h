/* fold.h — a job's state as a pure function of its events.
 *
 * The same events give the same state, however they are spread over time: no clock, no disk, no bus in here. The first `succeeded` event
 * of a shard's latest generation wins; later ones are duplicates. At most 64 bytes a shard.
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
  SHARD_FAILED, /* its attempts are used up */
};

struct shard_record
{
  uint64_t
      folder_key; /* generation, attempt, starts of the attempt that counts: fold_folder_name */
  int64_t event;  /* position of the event that settled it, for reading the details again */
  uint32_t generation;
  uint16_t attempts; /* that ended, of this generation */
  uint8_t state;     /* enum shard_state */
  uint8_t outcome;   /* enum outcome of the last attempt that ended */
  int16_t exit_code;
};

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
  FOLD_SUCCEEDED, /* event->index now has a winner: event->report.folder */
  FOLD_REOPENED,  /* shards were sent back: what was assembled of them is void */
};

/* Takes EVENT in. Events whose shard digest contradicts an earlier one of the same shard make the job fail
 * (fold_problem). */
enum fold_change fold_apply (struct fold *fold, const struct event *event);

bool fold_planned (const struct fold *fold);
int64_t fold_shards (const struct fold *fold); /* -1 while the plan is open */
int64_t fold_known (const struct fold *fold);  /* highest index seen + 1 */
const struct shard_record *fold_shard (const struct fold *fold, uint32_t index);
const struct shard_record *
fold_reduce (const struct fold *fold); /* the reduce shard, NULL: none yet */
void fold_counts (const struct fold *fold,
                  struct job_status *counts); /* succeeded, failed, running … */
bool fold_settled (
    const struct fold *fold); /* planned, or cancelled, and nothing is waiting or running */
bool fold_cancelled (const struct fold *fold);
const char *
fold_problem (const struct fold *fold); /* why it failed in planning or was cancelled; NULL */

/* Name of the attempt folder that counts for INDEX; NULL when there is none. The caller frees. */
char *fold_folder_name (const struct fold *fold, uint32_t index);
char *fold_reduce_folder_name (const struct fold *fold);

#endif
