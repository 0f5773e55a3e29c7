/* amend.h — a job's limits and environment, changed after it was submitted. */
#ifndef SHOAL_BUS_AMEND_H
#define SHOAL_BUS_AMEND_H

#include "bus/bus.h"

/* JOB takes the place of the one of its id; nobody may work on it meanwhile. Its plan and its
 * events stay. 0 or -1; ERROR_USER on a bus that others read, which hear of a job once. */
int bus_amend_job (struct bus *bus, const struct job *job, struct error *err);

/* The same together with bus_replay of its shards INDEXES, all or nothing. */
int bus_amend_replay (struct bus *bus, const struct job *job, uint32_t generation,
                      const uint32_t *indexes, size_t count, struct error *err);

#endif
