/* no_match.h — why a pattern matches nothing.
 *
 * Lists the volumes once more, now every file and at most some thousands, and tries the pattern as
 * it could have been meant.
 */
#ifndef SHOAL_PRODUCER_NO_MATCH_H
#define SHOAL_PRODUCER_NO_MATCH_H

#include "common/halt.h"
#include "producer/slicer_internal.h"

/* A path as the pattern of JOB sees it and what is likely wrong, as the end of a sentence; "" when
 * the volumes can't be listed again. The caller frees. */
char *no_match_explain (const struct job *job, const struct slicer_sources *sources,
                        const struct halt *halt);

#endif
