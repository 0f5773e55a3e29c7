/* work.h — jobs and shards: taken, kept, settled, released, replayed. */
#ifndef SHOAL_BUS_SQLITE_WORK_H
#define SHOAL_BUS_SQLITE_WORK_H

#include "bus/sqlite/database.h"

int sqlite_get_shard (struct bus *bus, const char *job_id, uint32_t index, struct shard *shard,
                      struct error *err);
int sqlite_list_shards (struct bus *bus, const char *job_id,
                        void (*each) (void *context, uint32_t index), void *context,
                        struct error *err);
int sqlite_replay (struct bus *bus, const char *job_id, uint32_t generation,
                   const uint32_t *indexes, size_t count, struct error *err);
int sqlite_amend_replay (struct bus *bus, const struct job *job, uint32_t generation,
                         const uint32_t *indexes, size_t count, struct error *err);
int sqlite_take (struct bus *bus, enum bus_queue queue, const char *job_id,
                 struct delivery **delivery, struct error *err);
int sqlite_keep (struct bus *bus, struct delivery *delivery, struct error *err);
int sqlite_settle (struct bus *bus, struct delivery *delivery, const struct event *event,
                   const struct shard *retry, struct error *err);
int sqlite_forget_losses (struct bus *bus, const char *job_id, struct error *err);
int sqlite_release (struct bus *bus, struct delivery *delivery, struct error *err);

#endif
