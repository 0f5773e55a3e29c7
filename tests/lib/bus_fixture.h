/* bus_fixture.h — jobs, shards and events for tests of the bus. */
#ifndef SHOAL_TESTS_LIB_BUS_FIXTURE_H
#define SHOAL_TESTS_LIB_BUS_FIXTURE_H

#include "bus/bus.h"

/* Submits a job ID with all that a job must have; what bus_submit gave. */
int fixture_submit (struct bus *bus, const char *id, struct error *err);

int fixture_submit_to (struct bus *bus, const char *id, const char *queue, struct error *err);

/* Shard INDEX of the job, attempt 1 of generation 1; the caller releases. */
void fixture_shard (struct shard *shard, const char *job_id, uint32_t index);

/* Publishes shards FIRST to LAST - 1. */
int fixture_publish (struct bus *bus, const char *job_id, uint32_t first, uint32_t last,
                     struct error *err);

/* Publishes the end of a plan of SHARDS shards, and flushes. */
int fixture_plan_end (struct bus *bus, const char *job_id, uint32_t shards, struct error *err);

/* Settles DELIVERY with a FINISHED event; with a retry RETRY_MS from now unless that is -1. */
int fixture_settle (struct bus *bus, struct delivery *delivery, int64_t retry_ms,
                    struct error *err);

int fixture_cancel (struct bus *bus, const char *job_id, struct error *err);

/* Pauses the job, or lets it go on. */
int fixture_pause (struct bus *bus, const char *job_id, bool paused, struct error *err);
int fixture_status (struct bus *bus, const char *job_id, enum job_state state, uint32_t generation,
                    struct error *err);

#endif
