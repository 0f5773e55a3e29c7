/* pilot.h — the shards of a job that run before the others (`run --pilot`). Pure functions.
 *
 * Of S shards N are the pilot: the first, the last, and the others evenly between them. Where there
 * are no more than N shards all of them would be, and none waits: that job has no pilot.
 */
#ifndef SHOAL_MERGER_PILOT_H
#define SHOAL_MERGER_PILOT_H

#include "merger/fold.h"
#include "schemas/messages.h"

enum pilot_state
{
  PILOT_NONE,   /* nothing waits for a pilot */
  PILOT_OPEN,   /* the job isn't planned yet */
  PILOT_RUNS,   /* some of its shards haven't ended */
  PILOT_PASSED, /* all have succeeded, or one that isn't of the pilot has */
  PILOT_FAILED, /* all have ended, and not all succeeded */
};

enum pilot_state pilot_state (const struct job *job, const struct fold *fold);

/* How many of the pilot's shards of a planned job failed. */
int64_t pilot_failures (const struct job *job, const struct fold *fold);

/* The shard that is number I, from 0, of the N of a pilot over SHARDS, of which there are more. */
uint32_t pilot_shard (int64_t i, int64_t n, int64_t shards);

#endif
