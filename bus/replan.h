/* replan.h — a job that has ended gets another plan over the same inputs. */
#ifndef SHOAL_BUS_REPLAN_H
#define SHOAL_BUS_REPLAN_H

#include "bus/bus.h"

/* Replaces plan, events and status of the job of JOB's id, and the job by JOB, all or nothing;
 * nobody may work on it meanwhile.
 *
 * FILL gives the new plan: it publishes all its shards in GENERATION, which is above each that the
 * job had, the FINISHED events of those that needn't run, and PLANNED. While it does, bus_get_shard
 * gives the old plan. What it returns below 0 leaves everything as it was.
 *
 * 0 or -1; ERROR_USER on a bus that others read, which hear of a plan once. */
int bus_replan (struct bus *bus, const struct job *job, uint32_t generation,
                int (*fill) (void *context, struct error *err), void *context, struct error *err);

#endif
