/* replan.h — another plan for a job that has ended, in one transaction. */
#ifndef SHOAL_BUS_SQLITE_REPLAN_H
#define SHOAL_BUS_SQLITE_REPLAN_H

#include "bus/sqlite/database.h"

int sqlite_replan (struct bus *base, const struct job *job, uint32_t generation,
                   int (*fill) (void *context, struct error *err), void *context,
                   struct error *err);

#endif
