/* batcher.h — atoms in, shards out.
 *
 *     atom atom atom │ atom atom atom │ atom …     a border: N atoms, or the next would pass SIZE
 *        shard 0           shard 1        open
 *
 * Only the open shard is in memory, and of a large one only its end: what is beyond
 * SHARD_INLINE_MAX goes to the plan file at once.
 */
#ifndef SHOAL_PRODUCER_BATCHER_H
#define SHOAL_PRODUCER_BATCHER_H

#include "producer/slicer.h"

/* What a first pass over the listing found, for a second one to be held against. */
struct first_pass
{
  int64_t shards;
  int64_t atoms;
  uint8_t digest[DIGEST_SIZE]; /* over all atoms as encoded */
};

struct batcher;

/* SINK: NULL to count only. CENSUS: NULL, or what an earlier pass found: the shards get its count,
 * and a fixed number of shards (job->shards) is cut by its atoms; without it such a job is one
 * endless shard. PINS (NULL: none): the shards' volume_pins. All are used as long as the batcher
 * lives. */
struct batcher *batcher_new (const struct job *job, const struct slicer_sink *sink,
                             const struct first_pass *first_pass, const struct strlist *pins);
void batcher_free (struct batcher *batcher);

static inline void
auto_batcher_ (struct batcher **batcher)
{
  batcher_free (*batcher);
}
#define auto_batcher AUTO (auto_batcher_)

/* 0, -1, or what the sink returned. BYTES: -1 when not known. */
int batcher_add (struct batcher *batcher, const struct atom *atom, int64_t bytes,
                 struct error *err);

/* Closes the last shard and fills PLAN (but `listed`) and, unless NULL, FOUND. A listing that isn't
 * that of the first pass is ERROR_USER. As batcher_add. */
int batcher_finish (struct batcher *batcher, struct plan *plan, struct first_pass *found,
                    struct error *err);

#endif
