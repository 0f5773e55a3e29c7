/* publish.h — shards and events on their way in: held back, and written together. */
#ifndef SHOAL_BUS_SQLITE_PUBLISH_H
#define SHOAL_BUS_SQLITE_PUBLISH_H

#include "bus/sqlite/database.h"

int sqlite_publish_shard (struct bus *bus, const struct shard *shard, struct error *err);
int sqlite_publish_event (struct bus *bus, const struct event *event, struct error *err);

/* Writes what is held back. On failure everything stays: flushing again may help. */
int sqlite_flush (struct bus *bus, struct error *err);
void sqlite_drop_pending (struct sqlite_bus *bus);

/* Inserts one event, or one shard, within a transaction. */
int sqlite_add_event (struct sqlite_bus *bus, const struct event *event, struct error *err);
int sqlite_add_shard (struct sqlite_bus *bus, const struct shard *shard, struct error *err);

#endif
