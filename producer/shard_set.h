/* shard_set.h — which shards of a job, a bit each. */
#ifndef SHOAL_PRODUCER_SHARD_SET_H
#define SHOAL_PRODUCER_SHARD_SET_H

#include "bus/bus.h"
#include "common/auto.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed, it is empty. */
struct shard_set
{
  uint8_t *bits;
  size_t size; /* bytes */
};

bool shard_set_has (const struct shard_set *set, int64_t index);

/* Whether INDEX is new. */
bool shard_set_add (struct shard_set *set, int64_t index);

/* Adds those of JOB_ID's plan that are published by now: 0 or -1. */
int shard_set_read (struct shard_set *set, struct bus *bus, const char *job_id, struct error *err);

/* It is empty then. */
void shard_set_release (struct shard_set *set);
#define auto_shard_set AUTO (shard_set_release)

#endif
