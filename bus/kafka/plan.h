/* plan.h — shards and events published; shards found again, and replayed.
 */
#ifndef SHOAL_BUS_KAFKA_PLAN_H
#define SHOAL_BUS_KAFKA_PLAN_H

#include "bus/bus.h"

struct scan; /* plan.c */

int kafka_publish_shard (struct bus *bus, const struct shard *shard, struct error *err);
int kafka_publish_event (struct bus *bus, const struct event *event, struct error *err);
int kafka_flush (struct bus *bus, struct error *err);
int kafka_get_shard (struct bus *bus, const char *job_id, uint32_t index, struct shard *shard,
                     struct error *err);
int kafka_replay (struct bus *bus, const char *job_id, uint32_t generation, const uint32_t *indexes,
                  size_t count, struct error *err);
void scan_free (struct scan *scan);

#endif
