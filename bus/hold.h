/* hold.h — shards that wait until they are let go: those of a job with a pilot, on a bus of one
 * machine. What is published of such a job, and what is replayed, is delivered to nobody before. A
 * retry of a shard that ran isn't held.
 */
#ifndef SHOAL_BUS_HOLD_H
#define SHOAL_BUS_HOLD_H

#include "bus/bus.h"

/* Lets the shards INDEXES of JOB_ID go; with INDEXES NULL all of them. What isn't held stays as it
 * is. 0 or -1; ERROR_USER on a bus that holds none. */
int bus_let_go (struct bus *bus, const char *job_id, const uint32_t *indexes, size_t count,
                struct error *err);

#endif
