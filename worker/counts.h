/* counts.h — what a worker counts for others to read. Everything in it may be NULL: then nobody
 * counts. */
#ifndef SHOAL_WORKER_COUNTS_H
#define SHOAL_WORKER_COUNTS_H

#include "common/metrics.h"
#include "schemas/messages.h"
#include "storage/storage.h"

#include <stdbool.h>

struct counts
{
  struct metric *attempts[OUTCOME_INFRA + 1];
  struct metric *seconds;
  struct metric *waited;
  struct metric *retries;
  struct metric *lost;
  struct metric *busy;
  struct metric *free;
  struct metric *oldest;
  struct metrics *metrics; /* for what is made when it is first counted */
};

/* METRICS outlives COUNTS; NULL: nobody counts. */
void counts_init (struct counts *counts, struct metrics *metrics);

/* A delivery was taken. */
void counts_take (const struct counts *counts, int64_t waited_ms);

/* An attempt was settled; AGAIN: the shard will be tried again. */
void counts_settle (const struct counts *counts, const struct attempt_report *report, bool again);

/* A delivery was taken over by another worker. */
void counts_lose (const struct counts *counts);

/* What an attempt took from servers. */
void counts_fetch (const struct counts *counts,
                   const struct storage_totals fetched[static STORAGE_KINDS]);

/* BUSY of SLOTS slots have a shard, the first of them since OLDEST (boot ms, 0: none has). */
void counts_slots (const struct counts *counts, int busy, int slots, int64_t oldest);

#endif
