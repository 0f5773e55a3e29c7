/* shard_list.h — which shards of a job's plan are published. */
#ifndef SHOAL_BUS_SHARD_LIST_H
#define SHOAL_BUS_SHARD_LIST_H

#include "bus/bus.h"

/* Calls EACH with the index of every shard of the job's plan that is published by now, in any
 * order. */
int bus_list_shards (struct bus *bus, const char *job_id,
                     void (*each) (void *context, uint32_t index), void *context,
                     struct error *err);

#endif
