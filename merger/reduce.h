/* reduce.h — the job's reduce container: one more shard, whose atoms are the succeeded shards'
 * output folders. */
#ifndef SHOAL_MERGER_REDUCE_H
#define SHOAL_MERGER_REDUCE_H

#include "bus/bus.h"
#include "merger/fold.h"

/* Whether all shards are settled well enough for it, and it hasn't come to its end. */
bool reduce_is_wanted (const struct job *job, const struct fold *fold);
bool reduce_is_running (const struct fold *fold);

/* Publishes it; doing so twice is doing it once. */
int reduce_publish (struct bus *bus, const struct job *job, const struct fold *fold,
                    struct error *err);

#endif
