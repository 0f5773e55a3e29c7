/* swept.h — which results a worker has looked at for what dead workers left there: when it comes
 * for the first time, and when it leaves, for those that died meanwhile. */
#ifndef SHOAL_WORKER_SWEPT_H
#define SHOAL_WORKER_SWEPT_H

#include "common/strlist.h"

struct swept
{
  struct strlist results; /* that are remembered: some of the last */
};

/* SCRATCH in all of these: as workplace_sweep (workplace.h) takes it. */

/* Sweeps RESULTS. */
void swept_look (const char *scratch, const char *results);

/* Sweeps RESULTS unless it is remembered, and remembers it. */
void swept_once (struct swept *swept, const char *scratch, const char *results);

/* Sweeps what is remembered, and forgets it. */
void swept_all (struct swept *swept, const char *scratch);

#endif
