/* shares.h — how many shards of a job are published at a time, beside those of other jobs.
 *
 * Workers take shards in the order in which they were published, so a job gets the slots in
 * proportion to its window. The job of the highest priority that can use it has the whole window
 * of the producer, which keeps all slots busy. Each step below makes a window four fifths as large,
 * and one shard is always left of it: no job waits for ever. Three steps are half the slots of the
 * other, ten a ninth.
 *
 * Pure functions.
 */
#ifndef SHOAL_PRODUCER_SHARES_H
#define SHOAL_PRODUCER_SHARES_H

#include "bus/settings.h"

/* What a producer with WINDOW (0: none) publishes of a job with SETTINGS, where TOP is the highest
 * priority of those that shares_leads: shards that aren't settled; 0: all. */
int64_t shares_window (int64_t window, const struct job_settings *settings, int32_t top);

/* Whether a job with SETTINGS can use the whole window: others are measured by it. What it is too
 * small for would stay idle. */
bool shares_leads (int64_t window, const struct job_settings *settings);

#endif
